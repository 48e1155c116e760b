"""What pasted pieces of logins are said to be: a table of real ones, and octets of strangers that must not raise."""

from __future__ import annotations

import struct
from base64 import b64encode, urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postwright.wire.explained import Explained, printable
from postwright.wire.sasl_explain import MAX_LINES, NOT_BASE64, explain

NOW = 1_700_000_000.0


def b64(data: bytes) -> str:
    return b64encode(data).decode()


def jwt(header: str, claims: str) -> str:
    return ".".join([urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in (header, claims, "sig")])


TOKEN = jwt(
    '{"alg":"RS256","kid":"k1"}', f'{{"iss":"https://login.example","aud":["a","b"],"exp":{NOW + 7200:.0f},"email":"joe@example.com"}}'
)
OLD = jwt('{"alg":"RS256"}', f'{{"exp":{NOW - 90:.0f}}}')

# MS-NLMP section 4.2.4.3 and after: the messages of its NTLMv2 example are in this form.
TYPE1 = b"NTLMSSP\0" + struct.pack("<II", 1, 0x2201) + struct.pack("<HHI", 6, 6, 32) + struct.pack("<HHI", 4, 4, 38) + b"DOMAINHOST"
_INFO = struct.pack("<HH", 3, 8) + "mx.a".encode("utf-16-le") + struct.pack("<HH", 0, 0)
TYPE2 = (
    b"NTLMSSP\0"
    + struct.pack("<I", 2)
    + struct.pack("<HHI", 12, 12, 48)
    + struct.pack("<I", 0x201)
    + bytes.fromhex("0123456789abcdef")
    + bytes(8)
    + struct.pack("<HHI", len(_INFO), len(_INFO), 60)
    + "DOMAIN".encode("utf-16-le")
    + _INFO
)
_USER = "joe".encode("utf-16-le")
TYPE3 = (
    b"NTLMSSP\0"
    + struct.pack("<I", 3)
    + struct.pack("<HHI", 0, 0, 64)
    + struct.pack("<HHI", 30, 30, 64 + len(_USER))
    + struct.pack("<HHI", 0, 0, 64)
    + struct.pack("<HHI", len(_USER), len(_USER), 64)
    + struct.pack("<HHI", 0, 0, 64)
    + struct.pack("<HHI", 0, 0, 64)
    + struct.pack("<I", 0x1)
    + _USER
    + bytes(range(30))
)

# text -> (kind of its last line, rows of it that must be there)
KNOWN: dict[str, tuple[str, str, dict[str, str]]] = {
    "prompt": ("334 VXNlcm5hbWU6", "LOGIN: the server asks for the user name", {"prompt": "Username:"}),
    "prompt in lower case": ("334 dXNlcm5hbWU6", "LOGIN: the server asks for the user name", {"prompt": "username:"}),
    "password prompt": ("334 UGFzc3dvcmQ6", "LOGIN: the server asks for the password", {}),
    "plain": ("AUTH PLAIN AGZvbwBiYXI=", "AUTH PLAIN", {"user": "foo", "password": "bar", "written out": r"\0foo\0bar"}),
    "plain, no padding": ("AGZvbwBiYXI", "PLAIN", {"user": "foo", "password": "bar"}),
    "plain with identity": (b64(b"boss\0foo\0bar"), "PLAIN", {"acts as": "boss", "user": "foo", "password": "bar"}),
    "plain in two lines": ("C: AUTH PLAIN\nS: 334 \nC: AGZvbwBiYXI=", "PLAIN", {"user": "foo"}),
    "login with the user": ("AUTH LOGIN am9l", "AUTH LOGIN with the user name", {"user": "joe"}),
    "login dialogue": ("AUTH LOGIN\n334 VXNlcm5hbWU6\nam9l\n334 UGFzc3dvcmQ6\nc2VjcmV0", "LOGIN: the password", {"password": "secret"}),
    "login without prompts": ("AUTH LOGIN\nam9l\nc2VjcmV0", "LOGIN: the password", {"password": "secret"}),
    "a pair": ("am9l\nc2VjcmV0", "LOGIN: the password", {"password": "secret"}),
    "a lone text": ("c2VjcmV0", "Base64 of a text or of octets", {"text": "secret"}),
    "cram challenge": ("334 " + b64(b"<1896.697170952@postoffice.reston.mci.net>"), "CRAM-MD5 challenge, from the server", {}),
    "cram answer": (b64(b"tim b913a602c7eda7a495b4e6e7334d3890"), "CRAM-MD5 answer", {"user": "tim"}),
    "xoauth2": (
        b64(f"user=joe@example.com\1auth=Bearer {TOKEN}\1\1".encode()),
        "XOAUTH2",
        {"user": "joe@example.com", "token": TOKEN, "issuer": "https://login.example"},
    ),
    "oauthbearer": (
        b64(b"n,a=j=3Doe,\1host=mx.example\1port=587\1auth=Bearer abc\1\1"),
        "OAUTHBEARER",
        {"user": "j=oe", "host": "mx.example", "port": "587", "token": "abc"},
    ),
    "oauth error": ("334 " + b64(b'{"status":"401"}'), "the server's error (RFC 7628), in JSON", {"error": '{"status":"401"}'}),
    "oauth end": (b64(b"\1"), "OAUTHBEARER: the client has heard the error and ends the dialogue", {}),
    "scram 1": (
        "AUTH SCRAM-SHA-1 " + b64(b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL"),
        "AUTH SCRAM-SHA-1: SCRAM, first message of the client",
        {"user": "user", "channel binding": "none"},
    ),
    "scram 1 plus": (
        b64(b"p=tls-exporter,,n=u=2Cx,r=abc"),
        "SCRAM, first message of the client",
        {"user": "u,x", "channel binding": "tls-exporter"},
    ),
    "scram 2": ("334 " + b64(b"r=fyko3rfc,s=QSXCR+Q6sek8bf92,i=4096"), "SCRAM, first message of the server", {"iterations": "4096"}),
    "scram 3": (
        b64(b"c=biws,r=fyko3rfc,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="),
        "SCRAM, last message of the client",
        {"proof": "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="},
    ),
    "scram 4": ("334 " + b64(b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ="), "SCRAM, last message of the server: it proves that it knows the user", {}),
    "scram error": ("334 " + b64(b"e=invalid-proof"), "SCRAM, the server's error", {"error": "invalid-proof"}),
    "ntlm 1": (
        "AUTH NTLM " + b64(TYPE1),
        "AUTH NTLM: NTLM type 1 (negotiate), from the client",
        {"domain": "DOMAIN", "workstation": "HOST"},
    ),
    "ntlm 2": (
        "334 " + b64(TYPE2),
        "NTLM type 2 (challenge), from the server",
        {"target": "DOMAIN", "challenge": "0123456789abcdef", "computer (DNS)": "mx.a"},
    ),
    "ntlm 2 of MS-NLMP section 4.2.4.3": (
        "TlRMTVNTUAACAAAADAAMADgAAAAFgomiASNFZ4mrze8AAAAAAAAAACQAJABEAAAABgBwFwAAAA9TAGUAcgB2AGUAcgACAAwARABvAG0AYQBpAG4AAQAMAFMAZQBy"
        "AHYAZQByAAAAAAA=",
        "NTLM type 2 (challenge), from the server",
        {"target": "Server", "challenge": "0123456789abcdef", "domain (NetBIOS)": "Domain", "computer (NetBIOS)": "Server"},
    ),
    "ntlm 3": (b64(TYPE3), "NTLM type 3 (authenticate), from the client", {"user": "joe", "response": "NTLMv2, 30 octets"}),
    "ntlm 9": (b64(b"NTLMSSP\0\x09\0\0\0"), "NTLM message of an unknown type", {"type": "9"}),
    "spnego": ("X-EXPS GSSAPI " + b64(b"\x60\x10krb5token"), "AUTH GSSAPI: a GSSAPI or SPNEGO token (Kerberos)", {"octets": "11"}),
    "external": ("AUTH EXTERNAL =", "AUTH EXTERNAL with an empty initial response", {}),
    "jwt": (
        f"Authorization: Bearer {TOKEN}",
        "JSON Web Token",
        {"algorithm": "RS256", "key": "k1", "audience": "a, b", "expires": "2023-11-15 00:13:20 UTC"},
    ),
    "535": (
        "535 5.7.8 authentication failed",
        "reply 535: user name or password (or token) is wrong",
        {"text": "5.7.8 authentication failed"},
    ),
    "given up": ("*", "the client gives the dialogue up", {}),
}


@pytest.mark.parametrize("case", KNOWN.values(), ids=KNOWN)
def test_known(case: tuple[str, str, dict[str, str]]) -> None:
    text, kind, rows = case
    last = explain(text, NOW)[-1]
    assert last.kind == kind
    found = {row.label: row.text for row in last.rows}
    assert rows.items() <= found.items()


def test_what_is_a_secret() -> None:
    whole = [explain(text, NOW)[-1] for text, _, _ in KNOWN.values()]
    secrets = {row.label for one in whole for row in one.rows if row.secret}
    assert secrets == {"password", "written out", "text", "digest", "token", "proof"}
    assert not any(row.secret for one in whole for row in one.rows if row.label in ("user", "challenge", "error"))
    assert "bar" not in repr(explain("AGZvbwBiYXI=", NOW))


def test_a_token_and_its_time() -> None:
    assert "It expires in 2 hours." in explain(TOKEN, NOW)[0].notes
    assert "It has expired 1 minute ago." in explain(OLD, NOW)[0].notes
    assert explain(jwt('{"alg":"none"}', "{}"), NOW)[0].notes[-1] == "It names no time at which it expires."
    odd = explain(jwt('{"alg":"x"}', '{"exp":1e300,"iat":"soon"}'), NOW)[0]
    assert {row.label: row.text for row in odd.rows}["issued"] == "soon"


def test_what_it_does_not_know() -> None:
    assert explain("hello world!", NOW) == [NOT_BASE64]
    assert explain("", NOW) == []
    assert explain("AUTH PLAIN %%%", NOW)[0].notes == ("Servers answer this with 501.",)
    assert explain("AUTH PLAIN am9l", NOW)[0].notes[-1].startswith("This is not the form that PLAIN wants")
    assert len(explain("\n".join(["am9l"] * 99), NOW)) == MAX_LINES


def test_nothing_reaches_a_terminal_unescaped() -> None:
    [one] = explain(b64(b"\0j\x1b[31moe\0p\xff\xe2\x80\xae"), NOW)
    assert all(row.text.isprintable() for row in one.rows)
    assert printable(b"a\0b\x1b\xff") == r"a\0b\x1b\xff"


@given(
    st.one_of(st.binary(max_size=200).map(b64), st.binary(max_size=200).map(lambda tail: b64(b"NTLMSSP\0" + tail)), st.text(max_size=200))
)
def test_strangers(text: str) -> None:
    for line in (text, f"334 {text}", f"AUTH PLAIN {text}", f"AUTH LOGIN\n{text}\n{text}"):
        for one in explain(line, NOW):
            assert isinstance(one, Explained)
            assert all(row.text.isprintable() for row in one.rows)
