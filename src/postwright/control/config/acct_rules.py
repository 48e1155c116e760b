"""Values of `<acct-file>` that have a form of their own: which header goes into which column, which queues, how addresses are hidden.

Each function turns the text behind a directive's name into a plain value, or raises `ValueProblem` with the column at fault. A key is never
repeated in a message.
"""

from __future__ import annotations

import re

from postwright.control.config import values
from postwright.control.config.directive import ValueProblem
from postwright.control.config.rules import checked, record_type, shifted, take
from postwright.control.config.scan import Scanner, comma_list
from postwright.model.columns import ARF, HEADER, SECRET, canonical
from postwright.model.digest import SIPHASH_KEY
from postwright.model.privacy import REDACTED, Privacy

_field_name = re.compile(r"\*|!?[A-Za-z][A-Za-z0-9_-]*").fullmatch
_HEX = {"siphash-hexkey": "siphash", "hmac-sha256-hexkey": "hmac-sha256"}
_KEYED = ("siphash", "hmac-sha256", *_HEX)
_POLICIES = ("retain", "redact", "siphash", "siphash-hexkey", "hmac-sha256", "hmac-sha256-hexkey")


def record_fields(text: str) -> tuple[str, tuple[str, ...]]:
    """`TYPE FIELD[,FIELD…]`, fields being names, `*` or `!name`."""
    scanner = Scanner(text)
    kind = take(scanner, "the type of record", record_type)
    if scanner.done():
        raise ValueProblem("the fields are missing", scanner.at)
    return kind, tuple(checked(_field, word, at) for word, at in shifted(comma_list, scanner))


def _field(text: str) -> str:
    if _field_name(text) is None:
        raise ValueProblem(f"`{text}` is no field", hint="fields are names, * for the usual ones, !name to leave one out")
    _open(text.removeprefix("!"))
    if text != "*" and not canonical(text.removeprefix("!")):
        hint = f"docs/reference/accounting-files.md has them; a header field is {HEADER}NAME, a field of a feedback report {ARF}NAME"
        raise ValueProblem(f"`{text}` is no field of accounting records", hint=hint, unknown=True)
    return text


def _open(field: str) -> None:
    """What is secret goes into no record. Raises ValueProblem."""
    if field.lower().removeprefix(HEADER) in SECRET:
        raise ValueProblem(f"`{field}` holds a private key, which is never written to accounting", hint="leave it out")


def header_map(text: str) -> tuple[str, str, str]:
    """`TYPE header_X FIELD`."""
    scanner = Scanner(text)
    at = scanner.at
    kind = take(scanner, "the type of record", record_type)
    if kind == "tq":
        raise ValueProblem("a record of a queue (tq) has no message, and so no header fields", at)
    at = scanner.at
    header = scanner.take_word("the header")
    if not header.lower().startswith(HEADER) or len(header) == len(HEADER):
        raise ValueProblem(f"`{header}` is no header", at, f"it is {HEADER} and the name of the field")
    _open(header)
    at = scanner.at
    field = take(scanner, "the field", _field)
    if field == "*" or field.startswith("!") or canonical(field) == "type":
        raise ValueProblem(f"`{field}` is no single field that something could be put into", at)
    scanner.end()
    return kind, header, field


def queue_filter(text: str) -> tuple[str, ...]:
    """`[!]DOMAIN[/VMTA][,…]`: names of queues, `*` on either side allowed."""
    found = tuple(checked(_queue, word, at) for word, at in comma_list(text))
    if not found:
        raise ValueProblem("the queues are missing")
    return found


def _queue(text: str) -> str:
    bang = "!" if text.startswith("!") else ""
    domain, slash, vmta = text[len(bang) :].partition("/")
    if slash and not vmta:
        raise ValueProblem(f"`{text}` has no virtual MTA behind the slash")
    if domain.startswith("{"):
        raise ValueProblem(f"`{text}` is a queue of the relay's own", hint="a filter names domains: a.com/vmta1, *.a.com/*, !*/vmta2")
    return f"{bang}{checked(values.domain_pattern, domain, len(bang))}{slash}{vmta}"


def privacy_policy(text: str) -> Privacy | None:
    """`retain`, `redact [WORD]`, or a digest and its key, as text or in hex. None for `retain`."""
    scanner = Scanner(text)
    at = scanner.at
    kind = scanner.take_word("the policy").lower()
    if kind not in _POLICIES:
        raise ValueProblem(f"`{kind}` is no policy", at, f"policies are {', '.join(_POLICIES)}")
    at = scanner.at
    word = "" if scanner.done() else scanner.take_word("the text")
    scanner.end()
    if kind in _KEYED:
        return _keyed(kind, word, at)
    if kind == "retain":
        if word:
            raise ValueProblem("`retain` has no text", at)
        return None
    return Privacy("redact", word or REDACTED)


def _keyed(kind: str, word: str, at: int) -> Privacy:
    if not word:
        raise ValueProblem(f"`{kind}` needs a key", at)
    digest = _HEX.get(kind, kind)
    try:
        key = bytes.fromhex(word) if kind in _HEX else word.encode("utf-8")
    except ValueError:
        raise ValueProblem("the key is not in hex", at) from None
    if digest == "siphash" and len(key) > SIPHASH_KEY:
        raise ValueProblem(f"a SipHash key has at most {SIPHASH_KEY} octets", at)
    return Privacy(digest, "", key)
