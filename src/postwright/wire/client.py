"""The client's side of SMTP as a box without doors: bytes in, events and bytes out.

Greeting, EHLO or HELO, STARTTLS, AUTH, then transactions, each with a reply per recipient. With PIPELINING a transaction's
commands leave in one group, and those of the next leave with the content of the one before (RFC 2920 section 3.1 lets content
be the first "command" of a group). Knows no socket and no clock: who owns those calls `lost` when a connection or patience
ends. Never raises for what a peer says; `begin` raises Unsendable for what our own side must not say. Everything the peer sends
is bounded by `wire.replies`.

DATA or BDAT: what is binary must go by BDAT. Other content goes by DATA, but for one case: with PIPELINING and CHUNKING, when
nothing is ahead and the content has at most `EARLY_OCTETS`, MAIL, RCPT and BDAT LAST leave in one group, which saves the round
trip of the 354. It costs the content's octets when all recipients are refused (RFC 3030 section 2 obliges the receiver to read
and drop them). With something ahead the 354 is no round trip of its own, and DATA has the better word on what may have been
taken; so BDAT is not used there.
"""

from __future__ import annotations

from collections import deque

from postwright.model.outcome import Failure, Fault, TransactionResult
from postwright.model.reply import Reply
from postwright.model.route import SessionOptions, TlsLevel
from postwright.wire.client_ehlo import misfit, read_ehlo, read_helo
from postwright.wire.client_encode import Unsendable, commands, for_bdat, for_data
from postwright.wire.client_login import LoginAttempt
from postwright.wire.client_states import (
    AUTH,
    BANNER,
    CLOSED,
    DATA,
    EHLO,
    END,
    HANDSHAKE,
    HELO,
    IDLE,
    MAIL,
    QUIT,
    RCPT,
    RSET,
    STAGES,
    STARTTLS,
    Capabilities,
    Done,
    Ended,
    Event,
    Ready,
    Secure,
    Transaction,
)
from postwright.wire.client_turn import Turn
from postwright.wire.replies import ReplyParser

EARLY_OCTETS = 65536  # content sent before anyone said 250 to a recipient; a window's worth, see the top
BULKY_OCTETS = 65536  # content above this leaves on its own, so that the commands behind it do not wait in a full buffer

_PIX = "*" * 10  # powermta.md, bounce-upon-pix-transfer-failure
_UNSOLICITED = "a reply that nothing asked for"


class SmtpClient:
    """One session. `name` is said in EHLO (RFC 5321 section 4.1.4); `secure`: TLS comes first, and then the greeting. With a `login`
    nothing is ready before that has come to a good end.

    `clear` is the owner's word that all octets given out have left; `greeting` and `capabilities` grow as the receiver speaks;
    `heard` counts whole replies. `pix`: before the receiver stands an old PIX firewall, which writes asterisks over its greeting and may
    lose an end of data that shares its segment. `apart` is an end of data that has to leave in a segment of its own: ask once more for it.
    """

    __slots__ = (
        "_events",
        "_login",
        "_name",
        "_options",
        "_out",
        "_parser",
        "_phase",
        "_quitting",
        "_reset",
        "_turns",
        "apart",
        "capabilities",
        "clear",
        "greeting",
        "heard",
        "pix",
        "secure",
        "served",
    )
    _INTRODUCTION = "EHLO"

    def __init__(self, name: str, options: SessionOptions, *, secure: bool = False, login: LoginAttempt | None = None) -> None:
        self._name = name
        self._options = options
        self._parser = ReplyParser()
        self._phase = HANDSHAKE if secure else BANNER
        self._out: list[bytes] = []
        self._events: list[Event] = []
        self._turns: deque[Turn] = deque()
        self._login = login
        self._reset = False
        self._quitting = False
        self.secure = secure
        self.apart = b""
        self.pix = False
        self.clear = True
        self.greeting: Reply | None = None
        self.capabilities = Capabilities()
        self.served = 0
        self.heard = 0

    # the owner's side ------------------------------------------------------------------------------------------------

    @property
    def expect(self) -> int:
        """What is waited for now: one of the numbers of `wire.client_states`."""
        if self._turns and self._phase == IDLE:
            return self._turns[0].stage(self.clear)
        return self._phase

    @property
    def open(self) -> bool:
        """Transactions may be begun."""
        return self._phase == IDLE and not self._quitting

    @property
    def outstanding(self) -> int:
        """Transactions begun and not done."""
        return len(self._turns)

    @property
    def octets_behind(self) -> int:
        """Octets given out behind the content of the foremost transaction."""
        turns = self._turns
        return turns[1].octets if len(turns) > 1 and turns[1].started else 0

    def receive_data(self, data: bytes) -> list[Event]:
        """What the peer's bytes amount to. Ask `data_to_send` afterwards."""
        parser = self._parser
        replies = parser.feed(data)
        left = len(replies)
        self.heard += left
        for reply in replies:
            left -= 1
            if self._phase == IDLE:
                self._transaction_reply(reply)
            elif self._phase == CLOSED:
                break
            elif self._phase == STARTTLS:
                self._starttls_reply(reply, alone=not (left or parser.partial or parser.error))
            else:
                self._session_reply(reply)
        if parser.error and self._phase != CLOSED:
            self._fault(Fault.PROTOCOL, parser.error)
        return self._take_events()

    def lost(self, fault: Fault, detail: str = "", left: bool = True) -> list[Event]:
        """The connection is gone (LOST), or patience is (TIMEOUT). Whether the foremost transaction's content, if given, had `left`
        us whole decides if it may have been taken."""
        if self._phase != CLOSED:
            self.clear = left
            self._fault(fault, detail)
        return self._take_events()

    def begin(self, transaction: Transaction, token: object) -> None:
        """Queue a transaction; its `Done` bears `token`. Only while `open`. Raises Unsendable, and then nothing happened."""
        if transaction.facts.binary and not self.capabilities.binary_mime:
            raise Unsendable("the content has a bare CR or LF, NUL or overlong lines, and BINARYMIME is not offered")
        if not transaction.recipients:
            raise Unsendable("no recipients")
        turn = Turn(transaction, token, commands(transaction, self.capabilities, self._options))
        turn.first = not (self.served or self._turns)
        turn.result.pix = self.pix
        self._turns.append(turn)

    def misfit(self, transaction: Transaction) -> Failure | None:
        """What this receiver does not offer and the transaction needs."""
        return misfit(transaction, self.capabilities)

    def quit(self) -> None:
        """QUIT once nothing is outstanding."""
        self._quitting = True

    def tls_started(self, binding: tuple[str, bytes] | None = None) -> None:
        """The handshake is done: everything heard before is void (RFC 3207 section 4.2). `binding` is of use to a login only."""
        self.secure = True
        if self._login is not None:
            self._login.bind(binding)
        self.capabilities = Capabilities()
        if self.greeting is None:
            self._phase = BANNER
        else:
            self._say(EHLO, f"{self._INTRODUCTION} {self._name}")

    def data_to_send(self) -> list[bytes]:
        """Octets to write now, in order; ask again when they have all left (`clear`)."""
        turns = self._turns
        if self.apart and self.clear and not self._out:
            end, self.apart = self.apart, b""
            return [end]
        if turns:
            head = turns[0]
            if not head.started:
                self._start(head, ahead=None)
            if len(turns) > 1 and head.given and (head.size <= BULKY_OCTETS or not self._out) and self.clear and not self.apart:
                behind = turns[1]
                if not behind.started and self.capabilities.pipelining:
                    self._start(behind, ahead=head)
        elif self._quitting and self._phase == IDLE:
            self._say(QUIT, "QUIT")
        out = self._out
        if out:
            self._out = []
        return out

    # opening ---------------------------------------------------------------------------------------------------------

    def _session_reply(self, reply: Reply) -> None:
        phase = self._phase
        if phase == QUIT:
            self._end(None)
        elif phase == HANDSHAKE:
            # In the clear, where only TLS may follow.
            self._fault(Fault.PROTOCOL, _UNSOLICITED)
        elif phase == AUTH:
            self._login_reply(reply)
        elif not 200 <= reply.code < 300:
            self._negative(phase, reply)
        elif phase == BANNER:
            self.greeting = reply
            self.pix = any(_PIX in line for line in reply.lines)
            self._say(EHLO, f"{self._INTRODUCTION} {self._name}")
        else:
            self.capabilities = read_ehlo(reply, self._options) if phase == EHLO else read_helo(reply)
            self._introduced()

    def _negative(self, phase: int, reply: Reply) -> None:
        # RFC 5321 section 3.2: a receiver that does not know EHLO says 5xx and may know HELO. One that closes says 421.
        if phase == EHLO and 500 <= reply.code < 600:
            self._say(HELO, f"HELO {self._name}")
        else:
            self._refused(phase, reply)

    def _introduced(self) -> None:
        """EHLO or HELO is done: go on to TLS, AUTH or the transactions."""
        tls = self._options.tls
        if tls != TlsLevel.NONE and not self.secure:
            if self.capabilities.starttls:
                self._say(STARTTLS, "STARTTLS")
                return
            if tls >= TlsLevel.REQUIRED:
                self._give_up(Failure(STAGES[STARTTLS], None, Fault.NOT_OFFERED, "STARTTLS is not offered"))
                return
        self._authenticate()

    def _starttls_reply(self, reply: Reply, *, alone: bool) -> None:
        if 200 <= reply.code < 300:
            # RFC 3207 section 5 and CVE-2021-33515: what came in the same breath was said by whoever sits on the line.
            if not alone:
                self._fault(Fault.PROTOCOL, "octets in the clear after the reply to STARTTLS")
                return
            self._phase = HANDSHAKE
            self._events.append(Secure())
        elif reply.code == 421 or reply.code < 400 or self._options.tls >= TlsLevel.REQUIRED:
            self._refused(STARTTLS, reply)
        else:
            self._authenticate()

    def _authenticate(self) -> None:
        if self._login is None:
            self._ready()
            return
        self._say_or_leave(self._login.begin(self.capabilities.auth, secure=self.secure))

    def _login_reply(self, reply: Reply) -> None:
        assert self._login is not None, "AUTH was said"
        if 300 <= reply.code < 400:
            answer = self._login.answer(reply)
            if isinstance(answer, Failure):
                self._out.append(b"*\r\n")  # RFC 4954 section 4: so a client cancels
            self._say_or_leave(answer)
            return
        failure = self._login.end(reply)
        if failure is None:
            self._ready()
        else:
            self._give_up(failure)

    def _say_or_leave(self, what: str | Failure) -> None:
        if isinstance(what, Failure):
            self._give_up(what)
        else:
            self._say(AUTH, what)

    def _ready(self) -> None:
        self._phase = IDLE
        self._events.append(Ready(self.capabilities))

    def _say(self, phase: int, line: str) -> None:
        self._phase = phase
        self._out.append(line.encode("ascii", "replace") + b"\r\n")

    # transactions ----------------------------------------------------------------------------------------------------

    def _start(self, turn: Turn, ahead: Turn | None) -> None:
        """Give out a transaction's first commands; with PIPELINING all of them, up to DATA."""
        turn.started = True
        # A BDAT that failed leaves its transaction in an indeterminate state until RSET (RFC 3030 section 2), and behind one
        # that is not answered yet we cannot know. RSET may stand anywhere in a group.
        if self._reset or (ahead is not None and ahead.by_bdat):
            self._reset = False
            self._out.append(b"RSET\r\n")
            turn.expect = RSET
        if self.capabilities.pipelining:
            self._start_group(turn, ahead)
        elif turn.expect == MAIL:
            self._out.append(turn.lines[0])

    def _start_group(self, turn: Turn, ahead: Turn | None) -> None:
        out = self._out
        out += turn.lines
        turn.grouped = True
        if ahead is None and self.capabilities.chunking and turn.size <= EARLY_OCTETS:
            turn.by_bdat = True
        if not turn.by_bdat:
            out.append(b"DATA\r\n")
        elif ahead is None and turn.size <= EARLY_OCTETS:
            self._give_content(turn)

    def _give_content(self, turn: Turn) -> None:
        self._out += for_bdat(turn.transaction) if turn.by_bdat else for_data(turn.transaction)
        if turn.result.pix and self._options.pix_workaround and not turn.by_bdat:
            self.apart = self._out.pop()
        turn.given = True
        turn.result.bytes_sent = turn.size

    def _transaction_reply(self, reply: Reply) -> None:
        if not self._turns or not self._turns[0].started:
            self._unsolicited(reply)
            return
        turn = self._turns[0]
        expect = turn.expect
        turn.answered = True
        if reply.code == 421:
            self._closing(turn, reply)
        elif expect == RCPT:
            self._rcpt_reply(turn, reply)
        elif expect == END:
            self._end_reply(turn, reply)
        elif expect == MAIL:
            self._mail_reply(turn, reply)
        elif expect == DATA:
            self._data_reply(turn, reply)
        else:
            # RSET: 250 whatever there was (RFC 5321 section 4.1.1.5). One that refuses even this is not told off: MAIL will show.
            turn.expect = MAIL
            if not turn.grouped:
                self._out.append(turn.lines[0])

    def _mail_reply(self, turn: Turn, reply: Reply) -> None:
        if 300 <= reply.code < 400:
            self._fault(Fault.PROTOCOL, f"{reply.code} in reply to MAIL")
            return
        turn.result.mail = reply
        turn.expect = RCPT
        if reply.code >= 400:
            turn.refused = True
            turn.result.failure = Failure(STAGES[MAIL], reply)
            if not turn.grouped:
                self._finish(turn)
        elif not turn.grouped:
            self._out.append(turn.lines[1])

    def _rcpt_reply(self, turn: Turn, reply: Reply) -> None:
        if 300 <= reply.code < 400:
            self._fault(Fault.PROTOCOL, f"{reply.code} in reply to RCPT")
            return
        rcpt = turn.result.rcpt
        if not turn.refused:
            # Behind a refused MAIL a reply to RCPT (503) says nothing about the recipient.
            rcpt[turn.index] = reply
            if reply.code < 300:
                turn.accepted += 1
        turn.index += 1
        if turn.index == len(rcpt):
            self._recipients_known(turn)
        elif not turn.grouped:
            self._out.append(turn.lines[turn.index + 1])

    def _recipients_known(self, turn: Turn) -> None:
        if turn.given:
            turn.expect = END
            turn.void = not turn.accepted
        elif turn.grouped and not turn.by_bdat:
            turn.expect = DATA
        elif not turn.accepted:
            self._reset = not turn.refused
            self._finish(turn)
        elif turn.by_bdat:
            turn.expect = END
            self._give_content(turn)
        else:
            turn.expect = DATA
            self._out.append(b"DATA\r\n")

    def _data_reply(self, turn: Turn, reply: Reply) -> None:
        if reply.code < 300:
            self._fault(Fault.PROTOCOL, f"{reply.code} in reply to DATA")
        elif reply.code >= 400:
            if turn.accepted:
                turn.result.failure = Failure(STAGES[DATA], reply)
            self._reset = not turn.refused
            self._finish(turn)
        else:
            turn.expect = END
            if turn.accepted:
                self._give_content(turn)
            else:
                # RFC 2920 section 3.1: a 354 with nobody to send to must still be ended, by an empty message.
                self._out.append(b".\r\n")
                turn.given = turn.void = True

    def _end_reply(self, turn: Turn, reply: Reply) -> None:
        if 300 <= reply.code < 400:
            self._fault(Fault.PROTOCOL, f"{reply.code} in reply to the end of data")
            return
        if not self.clear and reply.code < 300:
            self._fault(Fault.PROTOCOL, "content accepted before it was sent")
            return
        if not turn.void:
            turn.result.final = reply
        self._reset = turn.by_bdat and reply.code >= 300
        if self.clear:
            self._finish(turn)
        else:
            # Refused in the middle of the content. The rest would have to go down the line for nothing: hang up instead.
            self._end(Failure(STAGES[END], reply))

    def _finish(self, turn: Turn) -> None:
        self._turns.popleft()
        self.served += 1
        self._events.append(Done(turn.token, turn.result))

    # endings ---------------------------------------------------------------------------------------------------------

    def _closing(self, turn: Turn, reply: Reply) -> None:
        """421 may answer anything, and the receiver closes (RFC 5321 section 3.8)."""
        expect = turn.expect
        if expect == MAIL:
            turn.result.mail = reply
        elif expect == RCPT and not turn.refused:
            turn.result.rcpt[turn.index] = reply
        elif expect == END and not turn.void:
            turn.result.final = reply
        self._end(Failure(STAGES[expect], reply))

    def _unsolicited(self, reply: Reply) -> None:
        if reply.code == 421:
            self._end(Failure(STAGES[IDLE], reply))
        else:
            self._fault(Fault.PROTOCOL, _UNSOLICITED)

    def _refused(self, phase: int, reply: Reply) -> None:
        self._give_up(Failure(STAGES[phase], reply))

    def _give_up(self, failure: Failure) -> None:
        """We leave, and say so if the receiver still listens."""
        if failure.reply is None or failure.reply.code != 421:
            self._out.append(b"QUIT\r\n")
        self._end(failure)

    def _fault(self, fault: Fault, detail: str) -> None:
        self._out = []
        self._end(Failure(STAGES[self.expect], None, fault, detail))

    def _end(self, failure: Failure | None) -> None:
        """Settle everything outstanding, the foremost by `failure`, those behind as lost by it."""
        if self._turns and failure is not None:
            head = self._turns.popleft()
            self._events.append(Done(head.token, self._settle(head, failure)))
            behind = Failure(STAGES[MAIL], failure.reply, Fault.LOST, "the session ended before this transaction")
            self._events += [Done(turn.token, turn.broken(behind, left=True)) for turn in self._turns]
            self._turns.clear()
        self._phase = CLOSED
        self._events.append(Ended(failure))

    def _settle(self, turn: Turn, failure: Failure) -> TransactionResult:
        if failure.reply is None:
            return turn.broken(failure, left=self.clear)
        # The receiver said no and closed: nothing is in doubt.
        turn.result.failure = failure
        turn.result.usable = False
        return turn.result

    def _take_events(self) -> list[Event]:
        events = self._events
        if events:
            self._events = []
        return events
