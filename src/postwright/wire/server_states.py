"""The order in which commands may come: the server's states, and for each verb where it may stand and what it is told elsewhere.

Rule 1: a state says what has been agreed, never what has been asked; only a reply moves it.
Rule 2: whatever a verb meets outside its states is answered by this table alone, and leaves the state as it was.
The table is all there is; `server` only looks things up in it.
"""

from __future__ import annotations

from enum import IntEnum

from postwright.model.reply import Reply


class State(IntEnum):
    """Where a session stands (RFC 5321 section 4.1.4)."""

    CONNECT = 0  # the greeting is owed
    REFUSED = 1  # greeted with 554: only QUIT is heard (section 3.1)
    START = 2  # greeted
    READY = 3  # said HELO or EHLO, no transaction
    MAIL = 4  # a reverse-path was accepted
    RCPT = 5  # and at least one recipient
    CHUNKS = 6  # and at least one chunk by BDAT (RFC 3030)
    DATA = 7  # 354 was said: content until CRLF.CRLF
    AUTH = 8  # 334 was said: a response is due
    TLS = 9  # 220 was said to STARTTLS: the handshake is due
    CLOSED = 10
    PARTS = 11  # and at least one part of a mail merge (PowerMTA's XPRT)


_GREETED = frozenset({State.START, State.READY, State.MAIL, State.RCPT, State.CHUNKS, State.PARTS})
_NOT_NOW = Reply(503, "5.5.1", ("bad sequence of commands",))
HELO_FIRST = Reply(503, "5.5.1", ("send HELO or EHLO first",))
_NESTED = Reply(503, "5.5.1", ("a transaction is under way",))
_NEED_MAIL = Reply(503, "5.5.1", ("need MAIL command",))
_NEED_RCPT = Reply(503, "5.5.1", ("need RCPT command",))
_IN_CHUNKS = Reply(503, "5.5.1", ("BDAT has begun: go on with it or RSET",))
_IN_PARTS = Reply(503, "5.5.1", ("XPRT has begun: go on with it or RSET",))
NEED_XMRG = Reply(503, "5.5.1", ("need XMRG command",))
_REFUSED = Reply(503, "5.5.1", ("no service here, say QUIT",))

_OUTSIDE = {
    "MAIL": {State.START: HELO_FIRST, State.MAIL: _NESTED, State.RCPT: _NESTED, State.CHUNKS: _IN_CHUNKS},
    "RCPT": {State.START: HELO_FIRST, State.READY: _NEED_MAIL, State.CHUNKS: _IN_CHUNKS},
    "DATA": {State.START: HELO_FIRST, State.READY: _NEED_MAIL, State.MAIL: _NEED_RCPT, State.CHUNKS: _IN_CHUNKS},
    "BDAT": {State.START: HELO_FIRST, State.READY: _NEED_MAIL, State.MAIL: _NEED_RCPT},
    "AUTH": {State.START: HELO_FIRST, State.MAIL: _NESTED, State.RCPT: _NESTED, State.CHUNKS: _IN_CHUNKS},
    "STARTTLS": {State.MAIL: _NESTED, State.RCPT: _NESTED, State.CHUNKS: _IN_CHUNKS},
}
_OUTSIDE["X-EXPS"] = _OUTSIDE["AUTH"]
_OUTSIDE["XMRG"] = _OUTSIDE["MAIL"]
_OUTSIDE["XDFN"] = {State.START: HELO_FIRST, State.READY: NEED_XMRG, State.CHUNKS: _IN_CHUNKS}
_OUTSIDE["XPRT"] = {State.START: HELO_FIRST, State.READY: NEED_XMRG, State.MAIL: _NEED_RCPT, State.CHUNKS: _IN_CHUNKS}
for _rows in _OUTSIDE.values():
    _rows[State.PARTS] = _IN_PARTS

ALLOWED: dict[str, frozenset[State]] = {
    "HELO": _GREETED,
    "EHLO": _GREETED,
    "MAIL": frozenset({State.READY}),
    "RCPT": frozenset({State.MAIL, State.RCPT}),
    "DATA": frozenset({State.RCPT}),
    "BDAT": frozenset({State.RCPT, State.CHUNKS}),
    "AUTH": frozenset({State.READY}),
    "X-EXPS": frozenset({State.READY}),
    "STARTTLS": frozenset({State.START, State.READY}),
    "RSET": _GREETED,
    "NOOP": _GREETED,
    "HELP": _GREETED,
    "VRFY": _GREETED,
    "EXPN": _GREETED,
    "QUIT": _GREETED | {State.REFUSED},
}


# PowerMTA's, for who was offered them; ACKRCPT is what XACK is called by Net::SMTP::IPMM.
ALLOWED_MERGE: dict[str, frozenset[State]] = {
    "XMRG": frozenset({State.READY}),
    "XDFN": frozenset({State.MAIL, State.RCPT}),
    "XPRT": frozenset({State.RCPT, State.PARTS}),
    "XACK": frozenset({State.START, State.READY, State.MAIL, State.RCPT}),
    "ACKRCPT": frozenset({State.START, State.READY, State.MAIL, State.RCPT}),
}

# RFC 2033 section 4.1: LHLO in the place of EHLO, and no HELO; RSET and the others as they are.
ALLOWED_LMTP: dict[str, frozenset[State]] = {"LHLO": _GREETED, **{verb: at for verb, at in ALLOWED.items() if verb not in ("HELO", "EHLO")}}


def out_of_order(verb: str, state: State) -> Reply:
    """What `verb` is told in a `state` outside `ALLOWED[verb]`."""
    if state is State.REFUSED:
        return _REFUSED
    return _OUTSIDE.get(verb, {}).get(state, _NOT_NOW)
