"""What a relay writes on a message: Received, Date and Message-ID, as octets ready to stand before the header section.

Nothing from outside is trusted: a HELO name, an address or a cipher name that is not of the plainest form is left out rather than
escaped, so no octet of a peer can end a line, close a comment or begin a field. Every function is total; nothing is raised.
The clock is an argument. All times are written in UTC, as what the machine's zone is would make the same message differ by host.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache

from postwright.model.message import Arrival

_WIDTH = 76  # octets of a folded line we aim at; RFC 5322 section 2.1.1 wants at most 78
_MOST = 200  # octets of one name we repeat: what is longer tells nobody anything
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

# Underscores are no part of a host name, yet common in what clients say, and harmless here.
_name = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?").fullmatch
_literal = re.compile(r"\[(?:[0-9.]{7,15}|IPv6:[0-9A-Fa-f:.]{2,45})\]", re.IGNORECASE).fullmatch
_word = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+/-]*").fullmatch
_client = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+@/-]*").fullmatch
_path = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@[A-Za-z0-9.:\[\]_-]+").fullmatch

_LAST_YEAR = 253_402_300_799  # the last second that datetime can write


def received(
    arrival: Arrival, host: str, message_id: str, for_recipient: str, now: float, hide_source: bool, priority: int | None = None
) -> bytes:
    """A Received field of RFC 5321 section 4.4 with its CRLF; `with` as RFC 3848 names it.

    `host` is our own name, `message_id` ours too, `for_recipient` the only recipient or "" (several would tell each about the
    other), `now` Unix seconds. `hide_source` is `hide-message-source`: neither the client's name nor its address is told.
    `priority` is the one that MT-PRIORITY came to (RFC 6710 section 4.2), None when it was not asked for.
    A recipient that is quoted or not ASCII is left out, as a reader of the field may not be able to take it.
    """
    head, lead = _head(arrival, host, hide_source)
    line = f"{lead} id {message_id}" if len(lead) + len(message_id) <= _WIDTH - 4 else f"{lead}\r\n\tid {message_id}"
    more = "" if priority is None else f"\r\n\tPRIORITY {priority}"  # an Additional-Registered-Clause
    if for_recipient and len(for_recipient) <= _MOST and _path(for_recipient) is not None:
        return f"{head}{line}\r\n\tfor <{for_recipient}>{more};\r\n\t{date(now)}\r\n".encode("ascii", "replace")
    return f"{head}{line}{more};\r\n\t{date(now)}\r\n".encode("ascii", "replace")


def date(now: float) -> str:
    """Unix seconds as a date-time of RFC 5322 section 3.3, in UTC: `Tue, 24 Nov 2026 10:17:56 +0000`. Year 9999 at most."""
    return _date(int(now))


def date_header(now: float) -> bytes:
    """A Date field with its CRLF."""
    return f"Date: {_date(int(now))}\r\n".encode("ascii")


def message_id_header(message_id: str, host: str) -> bytes:
    """A Message-ID field of RFC 5322 section 3.6.4 with its CRLF, `message_id` and `host` ours."""
    return f"Message-ID: <{message_id}@{host}>\r\n".encode("ascii", "replace")


@lru_cache(8)
def _date(second: int) -> str:
    # Written by a table and not by strftime, which would speak the language of the process.
    t = datetime.fromtimestamp(min(max(second, 0), _LAST_YEAR), UTC)
    clock = f"{t.hour:02}:{t.minute:02}:{t.second:02}"
    return f"{_DAYS[t.weekday()]}, {t.day} {_MONTHS[t.month - 1]} {t.year:04} {clock} +0000"


# A session brings many messages with one Arrival; a thousand sessions at once are plenty.
@lru_cache(1024)
def _head(arrival: Arrival, host: str, hide_source: bool) -> tuple[str, str]:
    """(lines done with, the line that is still open): everything that is the same for each message of a session."""
    tokens = ["Received:"]
    if not hide_source:
        tokens += _from(arrival)
    tokens.append(f"by {host}")
    if arrival.kind == "smtp":
        if _word(arrival.protocol) is not None:
            tokens.append(f"with {arrival.protocol}")
    elif _word(arrival.kind) is not None:
        tokens.append(f"({arrival.kind})")
    tokens += _tls(arrival)
    if arrival.tls_client and not hide_source:
        tokens += _certified(arrival.tls_client.replace(" ", "_"))
    return _fold(tokens)


def _from(arrival: Arrival) -> list[str]:
    """`from name ([address])`; a name that could be anything but a name is not repeated, the address stands in its place."""
    address = _address_literal(arrival.peer)
    name = arrival.peer_name
    if len(name) > _MOST or (_name(name) is None and _literal(name) is None):
        name = ""
    if not name and not address:
        return []
    return [f"from {name or address}", f"({address})"] if address else [f"from {name}"]


def _address_literal(address: str) -> str:
    if not address:
        return ""
    literal = f"[IPv6:{address}]" if ":" in address else f"[{address}]"
    return literal if _literal(literal) is not None else ""


def _tls(arrival: Arrival) -> list[str]:
    if _word(arrival.tls) is None:
        return []
    if _word(arrival.cipher) is None:
        return [f"(version={arrival.tls})"]
    return [f"(version={arrival.tls}, cipher={arrival.cipher})"]


def _certified(name: str) -> list[str]:
    """Whose certificate the client has shown; we have verified it, but the name in it is still what somebody chose."""
    return [f"(client certificate {name})"] if len(name) <= _MOST and _client(name) is not None else []


def _fold(tokens: list[str]) -> tuple[str, str]:
    lines = ""
    line = tokens[0]
    for token in tokens[1:]:
        if len(line) + len(token) < _WIDTH:
            line += " " + token
        else:
            lines += line + "\r\n"
            line = "\t" + token
    return lines, line
