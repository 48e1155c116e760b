"""Command lines of a client turned into events: the parameters of MAIL, RCPT, BDAT, AUTH and the others.

Pure functions from the text behind the verb to an event or to the reply that refuses it. Whether the command may come now
is the state table's question (`server_states`), whether it is wanted the caller's.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from postwright.model.address import MAX_MAILBOX, NULL_PATH, Address, parse_mailbox
from postwright.model.envelope import Notify
from postwright.model.errors import AddressError
from postwright.model.reply import Reply
from postwright.wire import mail_extras
from postwright.wire.events import Auth, Helo, MailFrom, RcptTo
from postwright.wire.grammar import GrammarError, base64_decode, match_any_rcpt, match_mail, match_rcpt, split_parameters, xtext_decode
from postwright.wire.mail_extras import Refused, bad, unknown
from postwright.wire.options import EXPS, ServerOptions

MAIL_SYNTAX = Reply(501, "5.5.4", ("Syntax: MAIL FROM:<address> [parameters]",))
RCPT_SYNTAX = Reply(501, "5.5.4", ("Syntax: RCPT TO:<address> [parameters]",))
BDAT_SYNTAX = Reply(501, "5.5.4", ("Syntax: BDAT size [LAST]",))
AUTH_SYNTAX = Reply(501, "5.5.4", ("Syntax: AUTH mechanism [initial-response]",))
AUTH_BASE64 = Reply(501, "5.5.2", ("cannot decode the response",))
HELO_SYNTAX = Reply(501, "5.5.4", ("Syntax: HELO or EHLO and your host name",))
TOO_BIG = Reply(552, "5.3.4", ("message size exceeds the limit",))
NOT_UTF8_MAIL = Reply(553, "5.6.7", ("a non-ASCII address needs SMTPUTF8",))

# What each extension adds to a command line: SIZE 26 (RFC 1870), BODY 17 (RFC 6152), RET and ENVID 116, NOTIFY and ORCPT 528
# (RFC 3461 section 4), AUTH 500 (RFC 4954 section 5), SMTPUTF8 10 (RFC 6531 section 3.4).
_MAIL_EXTRA = 26 + 17 + 116 + 500 + 10 + mail_extras.LINE_EXTRA
# XDFN has a line as long as the longest that a session keeps anyway (RFC 4954 section 4: 12288); there may be several.
LINE_EXTRA = {b"MAIL": _MAIL_EXTRA, b"RCPT": 528, b"XMRG": _MAIL_EXTRA, b"XDFN": 12288 - 512}


# MAIL ----------------------------------------------------------------------------------------------------------------


def _size(value: str | None, options: ServerOptions) -> int:
    if value is None or not value.isascii() or not value.isdigit() or len(value) > 20:
        raise bad("SIZE wants a number")
    size = int(value)
    limit = options.limits.message_size
    if limit is not None and size > limit:
        raise Refused(TOO_BIG)
    return size


def _body(value: str | None, options: ServerOptions) -> str:
    if not options.eight_bit:
        raise unknown("BODY")
    body = value.upper() if value else ""
    if body in ("7BIT", "8BITMIME") or (body == "BINARYMIME" and options.binary and options.chunking):
        return body
    raise bad("BODY is not one that is supported here")


def _ret(value: str | None, options: ServerOptions) -> str:
    if not options.dsn:
        raise unknown("RET")
    ret = value.upper() if value else ""
    if ret not in ("FULL", "HDRS"):
        raise bad("RET wants FULL or HDRS")
    return ret


def _envid(value: str | None, options: ServerOptions) -> str:
    if not options.dsn:
        raise unknown("ENVID")
    if value is None or len(value) > 100:  # RFC 3461 section 4.4
        raise bad("ENVID wants up to 100 characters of xtext")
    return xtext_decode(value)


def _smtputf8(value: str | None, options: ServerOptions) -> bool:
    if not options.smtputf8:
        raise unknown("SMTPUTF8")
    if value is not None:
        raise bad("SMTPUTF8 takes no value")
    return True


def _auth_param(value: str | None, options: ServerOptions) -> str:
    if not options.auth:
        raise unknown("AUTH")
    if value is None:
        raise bad("AUTH wants a mailbox or <>")
    mailbox = xtext_decode(value)
    if mailbox != "<>":
        parse_mailbox(mailbox, smtputf8=True)
    return mailbox


_Parser = Callable[[str | None, ServerOptions], object]
_MAIL: dict[str, tuple[str, _Parser]] = {
    "SIZE": ("size", _size),
    "BODY": ("body", _body),
    "RET": ("ret", _ret),
    "ENVID": ("envid", _envid),
    "SMTPUTF8": ("smtputf8", _smtputf8),
    "AUTH": ("auth", _auth_param),
    "VERP": ("verp", mail_extras.verp),
    "REQUIRETLS": ("require_tls", mail_extras.require_tls),
    "HOLDFOR": ("hold_for", mail_extras.hold_for),
    "HOLDUNTIL": ("hold_until", mail_extras.hold_until),
    "BY": ("by", mail_extras.by),
    "MT-PRIORITY": ("priority", mail_extras.priority),
}


def parse_mail(argument: str, options: ServerOptions, authenticated: bool = False) -> MailFrom | Reply:
    """What follows `MAIL `: an event, or the reply that refuses it."""
    match = match_mail(argument)
    if match is None:
        return MAIL_SYNTAX
    mailbox, rest = match[1] or match[2] or "", match[3]
    try:
        if not rest:
            return MailFrom(parse_mailbox(mailbox) if mailbox else NULL_PATH)
        if authenticated and not options.auth:
            # RFC 4954 section 5 has AUTH= from whoever has logged in (Sendmail always says it), though AUTH is offered no more.
            options = replace(options, auth=("PLAIN",))
        values = _parameters(rest, _MAIL, options)
        extras = mail_extras.gather(values)
        utf8 = bool(values.get("smtputf8"))
        address = parse_mailbox(mailbox, smtputf8=utf8) if mailbox else NULL_PATH
        return MailFrom(address, **values, extras=extras)
    except AddressError as error:
        if options.unqualified and _is_bare(mailbox):
            found = parse_mail(f"FROM:<{mailbox}{_SOMEWHERE}> {rest or ''}", options, authenticated)
            return replace(found, address=Address(mailbox, "")) if isinstance(found, MailFrom) else found
        return _address_refusal(mailbox, "5.1.7", str(error))
    except Refused as refused:
        return refused.reply


# RCPT ----------------------------------------------------------------------------------------------------------------


def _notify(value: str | None, options: ServerOptions) -> int:
    if not options.dsn:
        raise unknown("NOTIFY")
    flags = Notify.ABSENT
    for word in (value or "").upper().split(","):
        if word not in ("NEVER", "SUCCESS", "FAILURE", "DELAY"):
            raise bad("NOTIFY wants NEVER, or a list of SUCCESS, FAILURE, DELAY")
        flags |= Notify[word]
    if flags & Notify.NEVER and flags != Notify.NEVER:
        raise bad("NOTIFY=NEVER stands alone")  # RFC 3461 section 4.1
    return int(flags)


_orcpt_type = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*").fullmatch
_embedded = re.compile(r"\\x\{([0-9A-F]{2,6})\}")


def _orcpt(value: str | None, options: ServerOptions) -> str:
    if not options.dsn:
        raise unknown("ORCPT")
    kind, semicolon, address = (value or "").partition(";")
    if not semicolon or not address or len(kind) + len(address) > 500 or _orcpt_type(kind) is None:
        raise bad("ORCPT wants type;address in xtext")
    if kind.lower() != "utf-8":
        return f"{kind};{xtext_decode(address)}"
    if not address.isascii() and not options.smtputf8:
        raise bad("ORCPT wants type;address in xtext")
    return f"{kind};{_unitext(address)}"


def _unitext(address: str) -> str:
    """An address of type utf-8, RFC 6533 section 3: xtext with `\\x{20AC}` for a character, or the characters themselves."""
    text = address if not address.isascii() else xtext_decode(address)
    try:
        text = _embedded.sub(lambda point: chr(int(point[1], 16)), text)
    except (ValueError, OverflowError):
        raise bad("ORCPT names a character that does not exist") from None
    if not text.isprintable():  # also true of surrogates, which could never be encoded again
        raise bad("ORCPT holds a character that is not printable")
    return text


_RCPT: dict[str, tuple[str, _Parser]] = {"NOTIFY": ("notify", _notify), "ORCPT": ("orcpt", _orcpt)}


def parse_rcpt(argument: str, options: ServerOptions, smtputf8: bool) -> RcptTo | Reply:
    """What follows `RCPT `, in a transaction that did or did not ask for SMTPUTF8: an event, or the reply that refuses it."""
    match = match_rcpt(argument) or (match_any_rcpt(argument) if options.bad_recipients else None)
    if match is None:
        return RCPT_SYNTAX
    mailbox, rest = match[1] or match[2] or "", match[3]
    try:
        if not rest:
            return RcptTo(_forward_path(mailbox, smtputf8))
        values = _parameters(rest, _RCPT, options)
        return RcptTo(_forward_path(mailbox, smtputf8), **values)
    except AddressError as error:
        return _imperfect(mailbox, rest or "", options, smtputf8, _address_refusal(mailbox, "5.1.3", str(error)))
    except Refused as refused:
        return refused.reply


def _imperfect(mailbox: str, rest: str, options: ServerOptions, smtputf8: bool, refusal: Reply) -> RcptTo | Reply:
    """A recipient that is no address: without a domain, or to be bounced later, or refused. What is taken is short, and printable."""
    address = Address(mailbox, "")
    if options.unqualified and _is_bare(mailbox):
        found = parse_rcpt(f"TO:<{mailbox}{_SOMEWHERE}> {rest}", options, smtputf8)
        if isinstance(found, RcptTo) and found.invalid is None:
            return replace(found, address=address)
    if not options.bad_recipients or not 0 < len(mailbox) <= MAX_MAILBOX or not mailbox.isprintable():
        return refusal
    if not (mailbox.isascii() or smtputf8):
        return refusal
    try:
        return RcptTo(address, **_parameters(rest, _RCPT, options), invalid=refusal)
    except Refused as refused:
        return refused.reply


_SOMEWHERE = "@a.example"  # a domain that lets the rest of the line be judged as that of any other address


def _is_bare(mailbox: str) -> bool:
    return bool(mailbox) and "@" not in mailbox


def _forward_path(mailbox: str, smtputf8: bool) -> Address:
    if len(mailbox) == 10 and mailbox.lower() == "postmaster":
        return Address(mailbox, "")  # RFC 5321 section 4.1.1.3: without a domain, any case
    return parse_mailbox(mailbox, smtputf8=smtputf8)


# both ----------------------------------------------------------------------------------------------------------------


def _parameters(text: str, table: dict[str, tuple[str, _Parser]], options: ServerOptions) -> dict[str, Any]:
    values: dict[str, Any] = {}
    try:
        for keyword, value in split_parameters(text).items():
            entry = table.get(keyword)
            if entry is None:
                raise unknown(keyword[:40])
            values[entry[0]] = entry[1](value, options)
    except GrammarError as error:
        raise bad(str(error)) from None
    except AddressError:
        raise bad("AUTH wants a mailbox or <>") from None
    return values


def _address_refusal(mailbox: str, status: str, why: str) -> Reply:
    if not mailbox.isascii() and "SMTPUTF8" in why:
        return NOT_UTF8_MAIL  # RFC 6531 section 3.5
    return Reply(553, status, (why,))


# the others ----------------------------------------------------------------------------------------------------------

_helo_name = re.compile(r"[^\x00-\x20\x7f]{1,255}").fullmatch


def parse_helo(argument: str, extended: bool) -> Helo | Reply:
    """HELO and EHLO. Many clients name themselves in ways the grammar forbids (`_`, no dot, no brackets); nothing hangs on it."""
    if _helo_name(argument) is None or not argument.isprintable():
        return HELO_SYNTAX
    return Helo(argument, extended)


_bdat = re.compile(r"([0-9]{1,18})(?:[ \t]+(LAST))?", re.IGNORECASE).fullmatch


def parse_bdat(argument: str) -> tuple[int, bool] | None:
    """(octets, is it the last) of RFC 3030 section 2; None if it is neither."""
    match = _bdat(argument)
    return (int(match[1]), match[2] is not None) if match else None


_mechanism = re.compile(r"([A-Za-z0-9_-]{1,20})(?:[ \t]+([^\s]+))?").fullmatch


def parse_auth(argument: str, verb: str = "AUTH") -> Auth | Reply:
    """RFC 4954 section 4; an initial response of `=` is an empty one. X-EXPS has its own names for mechanisms."""
    match = _mechanism(argument)
    if match is None or not argument.isascii():
        return AUTH_SYNTAX
    name, initial = match.groups()
    mechanism = name.upper() if verb == "AUTH" else EXPS.get(name.upper(), "")
    if initial is None:
        return Auth(mechanism)
    try:
        return Auth(mechanism, b"" if initial == "=" else base64_decode(initial.encode("ascii")))
    except GrammarError:
        return AUTH_BASE64
