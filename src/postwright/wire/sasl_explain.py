"""What a pasted piece of a login dialogue says: replies, AUTH commands, and bare Base64 recognised by what it holds.

Pure. `explain` takes what a person copied out of a telnet window, a log or a debugger, a line or several, and gives one `Explained` a line.
It proves nothing and checks no password; it masks nothing either, but says which rows are secrets. Bounded by MAX_LINES and MAX_TEXT,
linear in its input; never raises. The forms: RFC 4616 (PLAIN), the LOGIN draft, RFC 2195 (CRAM-MD5), RFC 5802 (SCRAM), RFC 7628
(OAUTHBEARER), Google's XOAUTH2, MS-NLMP (NTLM), RFC 4178 (SPNEGO), RFC 7519 (JWT).
"""

from __future__ import annotations

import re

from postwright.wire.explained import Explained, Row, printable
from postwright.wire.grammar import GrammarError, base64_decode
from postwright.wire.jwt_explain import explain_jwt
from postwright.wire.ntlm_explain import SIGNATURE, explain_ntlm

MAX_LINES = 50
MAX_TEXT = 65536

NOT_BASE64 = Explained("not Base64", (), ("It is neither an SMTP reply, an AUTH command, a token, nor Base64.",))

_prefix = re.compile(r"(?:[CS]|<<|>>|<-|->|~>|=>)\s*:?\s+|[CS]:\s*").match
_reply = re.compile(r"([2-5][0-9][0-9])(?:[ -](.*))?").fullmatch
_auth = re.compile(r"(?:AUTH|X-EXPS)[ =]([A-Za-z0-9_-]{1,40})(?:\s+(\S+))?\s*", re.IGNORECASE).fullmatch
_bearer = re.compile(r"(?:Authorization:\s*)?Bearer\s+(\S+)", re.IGNORECASE).fullmatch
_cram_challenge = re.compile(rb"<[^<>\s]{1,250}@[^<>\s]{1,250}>").fullmatch
_cram_response = re.compile(rb"(\S.{0,250}) ([0-9a-fA-F]{32})").fullmatch
_scram_first = re.compile(r"([ny]|p=[A-Za-z0-9.-]+),(a=[^,]*)?,n=([^,]*),r=([^,]*)").fullmatch
_scram_server = re.compile(r"r=([^,]*),s=([^,]*),i=([0-9]{1,9})").fullmatch
_scram_final = re.compile(r"c=([^,]*),r=([^,]*),p=([^,]*)").fullmatch
_oauth = re.compile(r"(?:user=([^\x01]*)|([ny]|p=[^,]*),(?:a=([^,]*))?,)\x01(.*)", re.DOTALL).fullmatch

# RFC 4954 section 4 and 6: what a server says to AUTH.
_REPLIES = {
    "235": "logged in",
    "334": "the server asks for the next answer",
    "421": "the server closes the connection",
    "432": "the user has to change to another mechanism first",
    "454": "the server cannot check logins just now; try again later",
    "500": "the line was too long, or not a command",
    "501": "the answer was not valid Base64, or the dialogue was given up",
    "502": "the server knows no AUTH",
    "503": "AUTH is not possible now: logged in already, or in the middle of a message",
    "504": "the server does not know this mechanism",
    "530": "one has to log in (or to use TLS) first",
    "534": "the mechanism is too weak for this user, or the provider wants an app password",
    "535": "user name or password (or token) is wrong",
    "538": "this mechanism needs TLS first",
}
_PROMPTS = {"username": "user", "user name": "user", "login": "user", "password": "password"}


def explain(text: str, now: float) -> list[Explained]:
    """Each line of `text` explained; `now` in Unix seconds, for the expiry of tokens."""
    reader = _Reader(now)
    lines = [line.strip() for line in text[:MAX_TEXT].splitlines()]
    lines = [line[found.end() :] if (found := _prefix(line)) else line for line in lines if line][:MAX_LINES]
    if len(lines) == 2 and not _told_by_itself(lines[0]) and all(_plain_text(line) for line in lines):
        # Two bare lines of Base64 text: what people copy of AUTH LOGIN.
        reader.expects = ["user", "password"]
    return [reader.line(line) for line in lines]


class _Reader:
    """`expects` what the next bare lines are, by what was seen before them."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.expects: list[str] = []

    def line(self, line: str) -> Explained:
        reply, auth, bearer = _reply(line), _auth(line), _bearer(line)
        if reply is not None:
            return self._reply(reply[1], (reply[2] or "").strip())
        if auth is not None:
            return self._command(auth[1].upper(), auth[2])
        token = explain_jwt(bearer[1] if bearer is not None else line, self.now)
        if token is not None:
            return token
        return self._bare(line)

    def _reply(self, code: str, text: str) -> Explained:
        meaning = _REPLIES.get(code, "a reply that is none of AUTH's own")
        if code != "334":
            return Explained(f"reply {code}: {meaning}", (Row("text", printable(text.encode())),) if text else ())
        if not text:
            return Explained("334 with nothing: the server waits for the first answer")
        data = _decode(text)
        if data is None:
            return Explained("334 with a text that is not Base64", (Row("text", printable(text.encode())),))
        prompt = _PROMPTS.get(data.decode("latin-1").strip(" :\0").lower())
        if prompt:
            self.expects = [prompt]
            return Explained(f"LOGIN: the server asks for the {'user name' if prompt == 'user' else 'password'}", (_row("prompt", data),))
        return _sniff(data, self.now) or Explained("a challenge of the server", (_row("text", data),))

    def _command(self, mechanism: str, response: str | None) -> Explained:
        expects = {"LOGIN": ["user", "password"], "PLAIN": ["PLAIN"]}.get(mechanism, [])
        if response is None:
            self.expects = expects
            return Explained(f"AUTH {mechanism}, without an initial response")
        self.expects = expects[1:]
        if response == "=":
            return Explained(f"AUTH {mechanism} with an empty initial response")
        data = _decode(response)
        if data is None:
            return Explained(f"AUTH {mechanism} with something that is not Base64", (), ("Servers answer this with 501.",))
        if mechanism == "LOGIN":
            return Explained("AUTH LOGIN with the user name", (_row("user", data),))
        if mechanism == "EXTERNAL":
            return Explained("AUTH EXTERNAL: the client certificate says who it is", (_row("acts as", data),))
        found = _sniff(data, self.now) or Explained("an initial response of another form", (_row("text", data, secret=True),))
        kind = f"AUTH {mechanism}" if found.kind == mechanism else f"AUTH {mechanism}: {found.kind}"
        return Explained(kind, found.rows, (*found.notes, *_mismatch(mechanism, found.kind)))

    def _bare(self, line: str) -> Explained:
        if line == "*":
            return Explained("the client gives the dialogue up")
        data = _decode(line)
        if data is None:
            return NOT_BASE64
        expected = self.expects.pop(0) if self.expects else ""
        if expected in ("user", "password"):
            name = "user name" if expected == "user" else "password"
            return Explained(f"LOGIN: the {name}", (_row(expected, data, secret=expected == "password"),))
        found = _sniff(data, self.now)
        if found is not None:
            return found
        prompt = _PROMPTS.get(data.decode("latin-1").strip(" :\0").lower())
        if prompt:
            return Explained("LOGIN: a prompt of the server", (_row("prompt", data),))
        return Explained(
            "Base64 of a text or of octets", (_row("text", data, secret=True),), ("Alone it may be a user name or a password.",)
        )


def _sniff(data: bytes, now: float) -> Explained | None:
    """What octets are, by their own form; None if they have none."""
    if data.startswith(SIGNATURE):
        return explain_ntlm(data)
    if data[:1] in (b"\x60", b"\xa1") and len(data) > 2:
        inner = data.find(SIGNATURE)
        return (
            explain_ntlm(data[inner:]) if inner > 0 else Explained("a GSSAPI or SPNEGO token (Kerberos)", (Row("octets", str(len(data))),))
        )
    if data == b"\1":
        return Explained("OAUTHBEARER: the client has heard the error and ends the dialogue")
    parts = data.split(b"\0")
    if len(parts) == 3 and parts[1]:
        return _plain(parts)
    if _cram_challenge(data):
        return Explained("CRAM-MD5 challenge, from the server", (_row("challenge", data),))
    response = _cram_response(data)
    if response is not None:
        rows = (_row("user", response[1]), Row("digest", response[2].decode().lower(), secret=True))
        return Explained(
            "CRAM-MD5 answer", rows, ("The password is not in it, but who has the challenge too can try passwords at leisure.",)
        )
    return _sniff_text(data, now)


def _sniff_text(data: bytes, now: float) -> Explained | None:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    oauth = _oauth(text)
    if oauth is not None:
        return _oauth_rows(oauth, now)
    if text.startswith("{") and '"' in text:
        return Explained("the server's error (RFC 7628), in JSON", (_row("error", data),), ("The token was refused; 535 comes next.",))
    return _scram(text) or explain_jwt(text, now)


def _plain(parts: list[bytes]) -> Explained:
    identity, user, password = parts
    written = printable(identity + b"\0" + user + b"\0")
    rows = [Row("written out", written + printable(password), secret=True, masked=written + "********")]
    rows += [_row("acts as", identity)] * bool(identity)
    rows += [_row("user", user), _row("password", password, secret=True)]
    return Explained("PLAIN", tuple(rows), ("The password is not encrypted in it: whoever sees it has it.",))


def _oauth_rows(match: re.Match[str], now: float) -> Explained:
    kind = "XOAUTH2" if match[1] is not None else "OAUTHBEARER"
    user = match[1] if match[1] is not None else (match[3] or "").replace("=2C", ",").replace("=3D", "=")
    rows = [_row("user", user.encode())]
    notes = ["The token in it is as good as a password until it expires."]
    for pair in match[4].split("\1"):
        name, _, value = pair.partition("=")
        if name == "auth":
            token = value.removeprefix("Bearer ")
            rows.append(_row("token", token.encode(), secret=True))
            inner = explain_jwt(token, now)
            if inner is not None:
                rows += inner.rows
                notes += inner.notes
        elif name:
            rows.append(_row(printable(name.encode())[:20], value.encode()))
    return Explained(kind, tuple(rows), tuple(notes))


def _scram(text: str) -> Explained | None:
    first, server, final = _scram_first(text), _scram_server(text), _scram_final(text)
    if first is not None:
        binding = {"n": "none", "y": "the client could, and believes the server cannot"}.get(first[1], first[1][2:])
        rows = [("user", first[3].replace("=2C", ",").replace("=3D", "=")), ("channel binding", binding), ("nonce", first[4])]
        return _told("SCRAM, first message of the client", rows)
    if server is not None:
        return _told("SCRAM, first message of the server", [("nonce", server[1]), ("salt", server[2]), ("iterations", server[3])])
    if final is not None:
        return _told("SCRAM, last message of the client", [("channel binding", final[1]), ("nonce", final[2])], ("proof", final[3]))
    if text.startswith("v=") and _decode(text[2:]) is not None:
        return _told("SCRAM, last message of the server: it proves that it knows the user", [("signature", text[2:])])
    if text.startswith("e=") and len(text) < 100:
        return _told("SCRAM, the server's error", [("error", text[2:])])
    return None


def _told(kind: str, rows: list[tuple[str, str]], secret: tuple[str, str] | None = None) -> Explained:
    found = [_row(label, text.encode()) for label, text in rows]
    return Explained(kind, (*found, *([_row(secret[0], secret[1].encode(), secret=True)] if secret else [])))


def _mismatch(mechanism: str, kind: str) -> tuple[str, ...]:
    wrong = mechanism == "PLAIN" and kind != "PLAIN"
    return ("This is not the form that PLAIN wants: NUL user NUL password.",) if wrong else ()


def _row(label: str, data: bytes, *, secret: bool = False) -> Row:
    return Row(label, printable(data)[:2000], secret)


def _decode(text: str) -> bytes | None:
    """Base64, forgiving the missing padding that hand-made strings have; url-safe letters too."""
    raw = text.replace("-", "+").replace("_", "/").encode("ascii", "replace")
    try:
        return base64_decode(raw + b"=" * (-len(raw) % 4))
    except GrammarError:
        return None


def _told_by_itself(line: str) -> bool:
    return bool(_reply(line) or _auth(line) or _bearer(line))


def _plain_text(line: str) -> bool:
    data = _decode(line)
    return (
        data is not None and not _told_by_itself(line) and _sniff(data, 0.0) is None and printable(data) == data.decode("utf-8", "ignore")
    )
