"""Random worlds with an operator in them: he pauses, resumes, deletes, reschedules and sets priorities while receivers fail, mail moves,
and shards stop and crash. Nothing is lost but what he deleted; what was deleted is not tried again; nothing goes while it is paused.

POSTWRIGHT_WORLDS=1000 has more of them, POSTWRIGHT_FIRST_WORLD=500 others; the seed of one that fails is in the test's name.
"""

from __future__ import annotations

import os

import msgspec
import pytest
from tests.engine.test_random_worlds import FIRST, Life, Moving

from postwright.engine.frames import Told
from postwright.engine.orders.listing import Page
from postwright.testing.world import START
from postwright.testing.world_orders import WorldOrders

COUNT = int(os.environ.get("POSTWRIGHT_WORLDS", "1"))
seeds = pytest.mark.parametrize("seed", range(FIRST, FIRST + COUNT))
DELETED = "x-pmta;deleted by administrator"
LONGEST_ATTEMPT = 1200.0  # seconds: a session of these receivers is over by then, whatever happens in it


class Operated(Life):
    """A life with an operator. `doomed`: recipients that he has deleted, and when nothing is tried for them any more; `paused` queues and
    jobs, and since when."""

    def _build(self) -> None:
        super()._build()
        self.orders = WorldOrders(self.world)
        self.doomed: dict[str, float] = {}
        self.paused: dict[str, float] = {}  # domain or job, "" for all: since
        self.jobs: dict[str, str] = {}
        self.held_back: list[str] = []
        self.loud: set[str] = set()  # deleted, and their senders are told

    def _submit(self, number: int) -> None:
        before = set(self.accepted)
        super()._submit(number)
        self.jobs.update(dict.fromkeys(self.accepted - before, f"job{number % 3}"))

    def _pass_time(self) -> None:
        super()._pass_time()
        if self.chance.random() < 0.4:
            self.orders.down = set()
            self.chance.choice((self._pause, self._pause_job, self._resume, self._delete, self._schedule, self._set))()
        self._look()

    def _pause(self) -> None:
        domain = self.chance.choice((*self.domains, "*"))
        lasting = {"for": "100s"} if self.chance.random() < 0.3 else {}
        assert self.orders.give("order-pause", queue=f"{domain}/*", **lasting).ok
        for what in [one for one in self.paused if not one.startswith("job") and domain in (one, "*")]:
            del self.paused[what]  # the order takes the place of those that mean nothing else
        if not lasting:
            self.paused[domain] = self.world.now

    def _pause_job(self) -> None:
        job = f"job{self.chance.randrange(3)}"
        assert self.orders.give("order-pause", job=job).ok
        self.paused[job] = self.world.now

    def _resume(self) -> None:
        for what in self.chance.sample(sorted(self.paused), min(len(self.paused), 2)):
            self._end(what)

    def _end(self, what: str) -> None:
        if what not in self.paused:
            return
        named = {"job": what} if what.startswith("job") else {"queue": f"{what}/*"}
        assert self.orders.give("order-resume", **named).ok
        wide = [] if "job" in named else [one for one in self.paused if not one.startswith("job") and "*" in (one, what)]
        for other in {what, *wide}:  # what is resumed by its name goes on though all is paused, and is then not watched any more
            del self.paused[other]

    def _delete(self) -> None:
        domain = self.chance.choice(self.domains)  # not all: the reports to senders are what the end is judged by
        if self.chance.random() < 0.5:
            chosen = {"job": f"job{self.chance.randrange(3)}", "rcpt": f"*@{domain}"}
        else:
            chosen = {"queue": self.chance.choice(("*", f"*/{self.chance.choice('ab')}", f"{domain}/*")), "rcpt": f"*@{domain}"}
        if self.chance.random() < 0.3:
            chosen["dsn"] = "yes"
        before, waiting = self._deleted(), {row.rcpt for row in self._list(chosen).rows}
        told = self.orders.give("order-delete", **chosen)
        assert told.ok
        assert self._list(chosen).rows == [], "nothing that is meant waits afterwards"
        now, gone = self.world.now, self._deleted() - before
        self.doomed.update(dict.fromkeys(gone, now))
        if "dsn" in chosen:
            self.loud |= gone & waiting  # an earlier order may have met some of it just now
        for rcpt, job in self.jobs.items() if chosen.get("queue", "*") == "*" else ():
            if chosen.get("job", job) == job and rcpt.endswith(chosen.get("rcpt", "").lstrip("*")):
                self.doomed.setdefault(rcpt, now + LONGEST_ATTEMPT)  # it was in flight, or is done with

    def _deleted(self) -> set[str]:
        return {record.rcpt for record in self.world.of("b") if record.dsn_diag == DELETED}

    def _list(self, chosen: dict[str, str]) -> Page:
        told: Told = self.orders.give("order-list", maxitems="10000", **{name: text for name, text in chosen.items() if name != "dsn"})
        assert told.ok
        return msgspec.json.decode(told.body, type=Page)

    def _schedule(self) -> None:
        assert self.orders.give("order-schedule", queue="*", retry_recipients=self.chance.choice(("yes", "no"))).ok

    def _set(self) -> None:
        priority = str(self.chance.randrange(101))
        assert self.orders.give("order-priority", job=f"job{self.chance.randrange(3)}", priority=priority).ok

    def _tried(self) -> list[tuple[str, float]]:
        """Recipients and when something was tried for them: taken by a receiver, or put off by one."""
        taken = [(rcpt, message.at) for receiver in self.receivers.values() for message in receiver.messages for rcpt in message.recipients]
        return taken + [(record.rcpt, record.time_logged - START) for record in self.world.of("t")]

    def _look(self) -> None:
        """Of what was paused for longer than an attempt takes nothing is in flight any more, and nothing goes."""
        for recipient, at in self._tried():
            for what, since in self.paused.items():
                if at > since + LONGEST_ATTEMPT and self._is_of(recipient, what):
                    self.held_back.append(f"{recipient} at {at}, {what} was paused at {since}")

    def _is_of(self, recipient: str, what: str) -> bool:
        return self.jobs.get(recipient) == what if what.startswith("job") else what == "*" or recipient.endswith(f"@{what}")

    def live(self) -> None:
        """As any, and in the end he resumes all."""
        self._build()
        for number in range(40):
            self._submit(number)
            self._pass_time()
        if self.paused and self.chance.random() < 0.5:
            self.world.advance(LONGEST_ATTEMPT + self.chance.random() * 1000)
            self._look()
        for receiver in self.receivers.values():
            receiver.set_rules([])
            receiver.down = None
        self.orders.give("order-resume", queue="*")
        for job in range(3):
            self.orders.give("order-resume", job=f"job{job}")
        self.world.run_until_empty(within=30 * 86400.0)
        self.world.advance(1.0)

    def check(self) -> None:
        deleted = self._deleted()
        self.silent = deleted - self.loud
        super().check()
        assert self.held_back == []
        assert deleted <= self.accepted
        after = {rcpt: at for rcpt, at in self._tried() if at > self.doomed.get(rcpt, float("inf"))}
        assert after == {}, "what was deleted is not tried again"


class OperatedMoving(Operated, Moving):
    """And mail moves from queue to queue. A pause is of a queue by its name, so here only jobs can be watched, and all queues at once."""

    def _pause(self) -> None:
        self.domains, domains = [], self.domains
        try:
            super()._pause()
        finally:
            self.domains = domains


@seeds
@pytest.mark.parametrize("shards", [1, 3])
def test_with_an_operator_nothing_is_lost_but_what_he_deleted(seed: int, shards: int) -> None:
    live(Operated(seed, shards=shards, crashes=False, copies=False))


@seeds
def test_and_shards_that_crash_forget_none_of_his_orders(seed: int) -> None:
    live(Operated(seed, shards=seed % 3 + 1))


@seeds
def test_and_mail_that_moves_does_not_escape_him(seed: int) -> None:
    live(OperatedMoving(seed, shards=seed % 3 + 1, crashes=seed % 2 == 1))


def live(life: Operated) -> None:
    with life.world:
        life.live()
        life.check()
