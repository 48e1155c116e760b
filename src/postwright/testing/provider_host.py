"""A host of a simulated provider, its sessions, and the ledger of all that came: visits, recipients asked for, messages taken, refusals.

A session carries out what the provider says at each stage; rules given to the host (an outage, say) come before that. What is noted here
is the receivers' side of the truth. Nothing here decides, and nothing raises for what a peer does.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from msgspec import Struct

from postwright.net.clock import Clock
from postwright.testing.simulated_net import Receiver
from postwright.testing.sink_rules import GOOD, Verdict
from postwright.testing.sink_session import SinkSession

NO_TLS = Verdict(action="reply", code=454, status="4.7.0", text="TLS not available due to local problem")


class Visit(Struct, eq=False):
    """One connection: when it was open (seconds since the world began; `closed` None: it still is), from where, to whom.

    `asked` are the times at which a recipient was asked for, with his domain; `messages` how many were taken.
    """

    provider: str
    host: str
    source: str
    opened: float
    closed: float | None = None
    sender: str = ""
    messages: int = 0
    asked: list[tuple[float, str]] = []


class Taken(Struct, frozen=True):
    """A message that a provider took."""

    at: float
    provider: str
    host: str
    source: str
    recipients: tuple[str, ...]


class Event(Struct, frozen=True):
    """Something else that happened to a source address: `what` is refused or blocked, `detail` "mail 421" or the offence."""

    at: float
    provider: str
    source: str
    what: str
    detail: str


class Ledger:
    """See the module; `now` are seconds since the world began. Two ledgers of one seed are equal in `taken` and `events`."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self.visits: list[Visit] = []
        self.taken: list[Taken] = []
        self.events: list[Event] = []

    def visit(self, provider: str, host: str, source: str) -> Visit:
        """A connection is open."""
        visit = Visit(provider, host, source, self.now(), asked=[])
        self.visits.append(visit)
        return visit

    def asked(self, visit: Visit, recipient: str) -> None:
        """A recipient is asked for."""
        visit.asked.append((self.now(), recipient.rpartition("@")[2].lower()))

    def took(self, visit: Visit, recipients: tuple[str, ...]) -> None:
        """A message is taken."""
        self.taken.append(Taken(self.now(), visit.provider, visit.host, visit.source, recipients))

    def note(self, visit: Visit, what: str, detail: str) -> None:
        """An `Event`."""
        self.events.append(Event(self.now(), visit.provider, visit.source, what, detail))

    def recipients(self, *providers: str) -> list[str]:
        """All recipients of messages taken (by these providers), in order."""
        return [rcpt for taken in self.taken if not providers or taken.provider in providers for rcpt in taken.recipients]

    def chosen(self, *, provider: str = "", source: str = "", domains: Iterable[str] = ()) -> list[Visit]:
        """Visits to this provider, from this address, on which a recipient of one of these domains was asked for ("" and (): any)."""
        wanted = frozenset(domains)
        return [
            visit
            for visit in self.visits
            if (not provider or visit.provider == provider)
            and (not source or visit.source == source)
            and (not wanted or any(domain in wanted for _, domain in visit.asked))
        ]


def most_at_once(visits: Iterable[Visit]) -> int:
    """How many of these connections were open at the same time, at most."""
    edges = [(visit.opened, 1) for visit in visits] + [(visit.closed, -1) for visit in visits if visit.closed is not None]
    open_now = most = 0
    for _, step in sorted(edges):  # at one instant those that close go first
        open_now += step
        most = max(most, open_now)
    return most


def most_within(times: Iterable[float], interval: float) -> int:
    """How many of `times` lie in one window of `interval` seconds, at most; a window does not hold its own end."""
    ordered = sorted(times)
    return max((at + 1 - bisect_right(ordered, time - interval) for at, time in enumerate(ordered)), default=0)


class Judge(Protocol):
    """What a session needs of its provider; `providers.Provider` is one."""

    ledger: Ledger

    @property
    def name(self) -> str: ...
    @property
    def manner(self) -> Any: ...
    def came(self, visit: Visit) -> Verdict: ...
    def left(self, visit: Visit) -> None: ...
    def mail(self, visit: Visit, sender: str) -> Verdict: ...
    def rcpt(self, visit: Visit, recipient: str) -> Verdict: ...
    def end_of_data(self, visit: Visit, recipients: tuple[str, ...]) -> Verdict: ...


class ProviderHost(Receiver):
    """One MX host. It keeps no content; what it took is in the ledger."""

    def __init__(self, judge: Judge, address: str, clock: Clock, start: float, rules: Iterable[str] = (), **options: Any) -> None:
        super().__init__(address, clock, start, rules, keep="nothing", **options)
        self.on_message = None
        self.keeps_content = False
        self.judge = judge

    def session(self) -> SinkSession:
        return ProviderSession(self, self.judge)

    def reply(self, code: int, status: str, text: str) -> bytes:
        """A text of several lines is a reply of several lines."""
        lines = text.split("\n")
        begin = f"{code}-"
        ahead = f"{status} " if status and self.extensions.enhanced_status_codes else ""
        return "".join([f"{begin}{ahead}{line}\r\n" for line in lines[:-1]] + [f"{code} {ahead}{lines[-1]}\r\n"]).encode()


class ProviderSession(SinkSession):
    """One connection to it."""

    def __init__(self, host: ProviderHost, judge: Judge) -> None:
        super().__init__(host)
        self._judge = judge
        self._visit: Visit | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        visit = self._visit
        if visit is not None and visit.closed is None:
            visit.closed = self._judge.ledger.now()
            self._judge.left(visit)
        super().connection_lost(exc)

    def _asks(self, stage: str) -> bool:
        return True

    def _verdict(self, stage: str, subjects: tuple[str, ...]) -> Verdict:
        if self._visit is None:
            self._visit = self._judge.ledger.visit(self._judge.name, self._host.hostname, subjects[0])
        ruled = super()._verdict(stage, subjects)
        if ruled.action:
            return ruled
        judged = self._ask(self._visit, stage, subjects)
        return judged if ruled is GOOD else Verdict(ruled.delay + judged.delay, judged.action, judged.code, judged.status, judged.text)

    def _ask(self, visit: Visit, stage: str, subjects: tuple[str, ...]) -> Verdict:
        if stage == "connect":
            return self._judge.came(visit)
        if stage == "mail":
            return self._judge.mail(visit, subjects[0])
        if stage == "rcpt":
            return self._judge.rcpt(visit, subjects[0])
        if stage == "eod":
            return self._judge.end_of_data(visit, subjects)
        return NO_TLS if stage == "starttls" and self._judge.manner.tls == "refused" else GOOD

    # -- TLS that does not work: agreed upon or not, no handshake ever comes

    def _offers_tls(self) -> bool:
        return bool(self._judge.manner.tls)

    def _begin_tls(self) -> bytes:
        self._ending = True
        return self._host.reply(220, "2.0.0", "go ahead")
