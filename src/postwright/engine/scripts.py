"""A message as values (an envelope, what is asked of delivery, a content) written as the dialogue of SMTP that shards read.

Whatever a caller gives, no value of it becomes another command or parameter: addresses are parsed, texts are xtext or quoted, and what
cannot be said is a ScriptError with the name of the value. Pure; times are Unix seconds, and `now` comes in.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from msgspec import Struct

from postwright.model.address import parse_mailbox
from postwright.model.errors import AddressError, PostwrightError
from postwright.wire.body import has_bare, repair
from postwright.wire.grammar import xtext_encode

NAME_MOST = 256  # characters of a job or a virtual MTA (`content.transform`)
ENVID_MOST = 100  # characters of xtext (RFC 3461 section 4.4)
VALUE_MOST = 8000  # octets of one variable: a command is a line
LATEST = 253_402_300_799.0  # the last second that a date can write
_DAYS_9 = 999_999_999  # seconds, what BY can say (RFC 2852 section 4)


class ScriptError(PostwrightError):
    """A value that no message can have; the text begins with its name."""


class To(Struct, frozen=True):
    """A recipient. `address` any text: what is no address is refused by the relay, for this recipient alone. `variables` by name."""

    address: str
    variables: Mapping[str, str] = {}


class Asked(Struct, frozen=True):
    """What is asked beside. `priority` 0 to 100, 50 the usual one; `send_at` and `expires_at` Unix seconds, 0 for not said; `notify` words
    of RFC 3461 or ""; `ret` "", "FULL" or "HDRS"."""

    virtual_mta: str = ""
    job: str = ""
    envelope_id: str = ""
    priority: int = 50
    send_at: float = 0.0
    expires_at: float = 0.0
    require_tls: bool = False
    verp: bool = False
    notify: str = ""
    ret: str = ""


def script(sender: str, recipients: list[To], content: bytes, asked: Asked, now: float, *, merge: bool = False) -> bytes:
    """The dialogue; bare line ends of the content become CRLF. `merge`: the content is a template, each recipient has its own variables.

    Raises ScriptError.
    """
    utf8 = not all(text.isascii() for text in (sender, *[to.address for to in recipients]))
    lines = [f"{'XMRG' if merge else 'MAIL'} FROM:<{_sender(sender)}>{_parameters(asked, content, utf8, now)}"]
    ending = f" NOTIFY={asked.notify}" if asked.notify else ""
    for to in recipients:
        if merge:
            lines += [f'XDFN {name}="{_value(name, value)}"' for name, value in to.variables.items()]
        lines.append(f"RCPT TO:<{_recipient(to.address)}>{ending}")
    content = repair(content) if has_bare(content) else content
    said = content if merge else _fields(asked) + content  # of a merge they would stand in a template, where brackets are not text
    lines += [f"BDAT {len(said)} LAST", ""]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + said


def merged(asked: Asked) -> dict[str, str]:
    """What each recipient of a merge is to have defined, as a message has fields for it."""
    values = {"*vmta": asked.virtual_mta, "*jobid": asked.job}
    return {name: value for name, value in values.items() if value}


def _sender(text: str) -> str:
    if not text:
        return ""
    try:
        return parse_mailbox(text, smtputf8=True).text
    except AddressError as error:
        raise ScriptError(f"the sender {text!a} is no address: {error}") from None


def _recipient(text: str) -> str:
    """As it was given, where it cannot be taken for more than an address; what is none the relay refuses by its own words."""
    try:
        return parse_mailbox(text, smtputf8=True).text
    except AddressError:
        plain = text.isprintable() and not any(c in text for c in '<> "\\')
        return text if plain and len(text) < 320 else "@"


def _value(name: str, value: str) -> str:
    if not value.replace("\t", "").isprintable():
        raise ScriptError(f"the variable {name!a} has a control character")
    if len(value.encode("utf-8", "surrogatepass")) > VALUE_MOST:
        raise ScriptError(f"the variable {name!a} has more than {VALUE_MOST} octets")
    return value.replace("\\", "\\\\").replace('"', '\\"')


def _fields(asked: Asked) -> bytes:
    """What is said in fields that the relay reads and takes away (powermta.md section 6)."""
    fields = {"x-virtual-mta": asked.virtual_mta, "x-job": asked.job}
    return "".join([f"{name}: {_plain(name, value)}\r\n" for name, value in fields.items() if value]).encode()


def _plain(name: str, value: str) -> str:
    if not value.isprintable() or len(value) > NAME_MOST or value != value.strip():
        raise ScriptError(f"{name.removeprefix('x-')} is a name of up to {NAME_MOST} printable characters")
    return value


def _parameters(asked: Asked, content: bytes, utf8: bool, now: float) -> str:
    words = []
    if not content.isascii():
        words.append("BODY=8BITMIME")
    if utf8:
        words.append("SMTPUTF8")
    if asked.envelope_id:
        words.append(f"ENVID={_envid(asked.envelope_id)}")
    if asked.ret:
        words.append(f"RET={asked.ret}")
    if asked.require_tls:
        words.append("REQUIRETLS")
    if asked.verp:
        words.append("VERP")
    return "".join([f" {word}" for word in words + _times(asked, now) + _priority(asked)])


def _envid(text: str) -> str:
    encoded = xtext_encode(text) if text.isprintable() else ""
    if not 0 < len(encoded) <= ENVID_MOST:
        raise ScriptError(f"the envelope id is a text of up to {ENVID_MOST} printable characters")
    return encoded


def _times(asked: Asked, now: float) -> list[str]:
    words = []
    if asked.send_at > now:
        if asked.send_at > LATEST:
            raise ScriptError("the time to send at is too far ahead")
        words.append(f"HOLDUNTIL={datetime.fromtimestamp(asked.send_at, UTC):%Y-%m-%dT%H:%M:%SZ}")
    if asked.expires_at:
        left = int(asked.expires_at - max(now, asked.send_at))
        if left < 1:
            raise ScriptError("the message would expire before it may be sent")
        words.append(f"BY={min(left, _DAYS_9)};R")
    return words


def _priority(asked: Asked) -> list[str]:
    """0 to 100 in steps of five (RFC 6710 has nineteen levels)."""
    if not 0 <= asked.priority <= 100:
        raise ScriptError("the priority is a number from 0 to 100")
    level = max(-9, min(9, round((asked.priority - 50) / 5)))
    return [f"MT-PRIORITY={level}"] if level else []
