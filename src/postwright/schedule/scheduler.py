"""The scheduler: all queues of one shard in memory, and which of them may use a connection now.

Pure data: time is an argument, nothing waits, nothing is read from disk. Work is found without a pass over the queues: a queue
that has something to do stands in one list; one that waits for a time stands in a heap; one that waits for a shared connection
budget stands in that budget's list, and goes first when there is room again. Everything here is rebuilt from the spool at start.

    submit      entries into their queue
    next_queue  a queue that has due work and may have one more connection (the caller then opens one)
    lease       the next due entry of a queue, its rate debited
    settle      the lease is over: what is left of it comes back with a due time

What must never happen is a queue with work that nobody will look at again. So every call after which a queue may be able to do more
than before lists it; who looks at it in vain puts it where its reason to wait (`why`) will end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec.structs import replace

from postwright.model.work import Entry, Lease, QueueKey, TimedEntry, WaitReason
from postwright.schedule import reasons
from postwright.schedule.agenda import NEVER, Agenda
from postwright.schedule.deadlines import Deadlines
from postwright.schedule.modes import ModeEnds
from postwright.schedule.queue import Backoff, Budget, Queue, QueueLimits

DEFAULT_RETRY = 600.0  # seconds; `retry-after` as it comes


class Scheduler:
    """`limits_for(key)` and `vmta_limit(name)` are asked when a queue or virtual MTA appears, and again by `reloaded`."""

    def __init__(
        self,
        limits_for: Callable[[QueueKey], QueueLimits],
        vmta_limit: Callable[[str], int | None] = lambda name: None,
        total_limit: int | None = None,
    ) -> None:
        self._limits_for = limits_for
        self._vmta_limit = vmta_limit
        self.queues: dict[QueueKey, Queue] = {}
        self.total = Budget(total_limit)
        self._budgets: dict[str, Budget] = {}
        self._agenda = Agenda(self.queues)
        self._roomy: dict[Budget, None] = {}  # budgets in which a place has become free while queues waited for one
        self._shared: dict[QueueLimits, QueueLimits] = {}  # equal limits are one object: most queues have the same
        self._crowd = 0  # queues that wait in some budget
        self.deadlines = Deadlines()
        self._mode_ends = ModeEnds()
        self.recipients = 0
        self.stopping = False

    # -- entries in -------------------------------------------------------------

    def submit(self, key: QueueKey, entry: Entry, now: float) -> Queue:
        """Queue an entry; the queue is returned so that the caller can wake an idle connection of it."""
        queue = self.queues.get(key)
        if queue is None:
            queue = self._new_queue(key)
        if type(entry) is TimedEntry:
            self.deadlines.add(key, entry)
        count = len(entry.recipients)
        self.recipients += count
        queue.recipients += count
        if entry.due <= now:
            queue.append(entry)
            if not queue.listed:
                self._agenda.list(queue)
        else:
            if entry.attempts:
                # after a restart: the clock by which that time was reckoned may have been years ahead
                entry.due = min(entry.due, now + max(queue.limits.longest_wait, DEFAULT_RETRY))
            queue.put(entry, now)
            self._agenda.wake(queue, entry.due)
        return queue

    def _new_queue(self, key: QueueKey) -> Queue:
        budget = self._budgets.get(key.vmta)
        if budget is None:
            budget = self._budgets[key.vmta] = Budget(self._vmta_limit(key.vmta))
        queue = self.queues[key] = Queue(key, self._limits(key), budget)
        return queue

    def _limits(self, key: QueueKey) -> QueueLimits:
        limits = self._limits_for(key)
        return self._shared.setdefault(limits, limits)

    # -- who may connect ----------------------------------------------------------

    def next_queue(self, now: float) -> Queue | None:
        """A queue that should get one more connection now; the caller says `opening` at once. None when there is no such queue."""
        self._ring(now)
        while (queue := self._candidate()) is not None:
            if self._may_open(queue, now):
                return queue
            if not queue.recipients:
                queue.forget(now)
                self._drop_if_empty(queue)
        return None

    def _candidate(self) -> Queue | None:
        """The next queue to look at. Who has waited for a place that is free now comes before who has come in the meantime."""
        while self._roomy:
            budget = next(iter(self._roomy))
            if budget.waiting and not budget.full:
                queue = budget.waiting.popleft()
                queue.waiting = False
                self._crowd -= 1
                return queue
            del self._roomy[budget]
        return self._agenda.take()

    def _may_open(self, queue: Queue, now: float) -> bool:
        if queue.scheduled and queue.retry_at <= now:
            self._promote(queue, now)
        reason = self.why(queue, now) if self.stopping else reasons.why(queue, self.total, now)
        if reason is WaitReason.READY:
            return True
        if reason is WaitReason.VMTA_CONNECTIONS:
            self._queue_up(queue, queue.budget)
        elif reason is WaitReason.TOTAL_CONNECTIONS:
            self._queue_up(queue, self.total)
        else:
            self._agenda.wake(queue, reasons.until(queue, reason, now))
        return False

    def _promote(self, queue: Queue, now: float) -> None:
        """What is due becomes ready, and for the rest there is a timer. The only way from one to the other, so that none goes without."""
        queue.promote(now)
        if queue.scheduled:
            self._agenda.wake(queue, max(queue.scheduled[0].due, now))

    def _queue_up(self, queue: Queue, budget: Budget) -> None:
        # In one list at most. If it waits in the other one, that one's budget is full too, and will bring it here when it is not.
        if not queue.waiting:
            queue.waiting = True
            budget.waiting.append(queue)
            self._crowd += 1

    def why(self, queue: Queue, now: float) -> WaitReason:
        """Why what waits in this queue waits; READY when only a connection is missing and may be opened."""
        return WaitReason.STOPPING if self.stopping and reasons.has_work(queue) else reasons.why(queue, self.total, now)

    def opening(self, queue: Queue, now: float) -> None:
        """A connection for this queue is being opened: it counts against every limit from now on."""
        queue.opening += 1
        queue.budget.open += 1
        self.total.open += 1
        queue.last_connect = now
        if queue.connect_rate is not None:
            queue.connect_rate.take(now)
        if not queue.listed and queue.has_due(now):
            self._agenda.list(queue)

    def opened(self, queue: Queue) -> None:
        """The connection is up. It takes one entry now, so others may want a further one (see `wants`)."""
        queue.opening -= 1
        queue.connections += 1
        if not queue.listed and (queue.ready or queue.scheduled):
            self._agenda.list(queue)

    def closed(self, queue: Queue, *, was_open: bool) -> None:
        """The connection is gone (or did not come up): those that waited for its place may try again."""
        if was_open:
            queue.connections -= 1
        else:
            queue.opening -= 1
        queue.budget.open -= 1
        self.total.open -= 1
        if not queue.listed and queue.recipients > queue.in_flight:
            self._agenda.list(queue)
        for budget in (queue.budget, self.total):
            if budget.waiting:
                self._roomy[budget] = None
        self._drop_if_empty(queue)

    def look_again(self, queue: Queue, now: float) -> None:
        """An idle connection was woken for this queue: is there work for one more?"""
        if not queue.listed and queue.has_due(now):
            self._agenda.list(queue)

    # -- leases -------------------------------------------------------------------

    def lease(self, queue: Queue, now: float, at_most: int | None = None) -> Lease | None:
        """The next due entry of the queue for one transaction, or None (nothing due, rate used up, paused, in retry).

        `at_most`: recipients that the receiver takes in one, None if it does not say.
        """
        if queue.paused or self.stopping or queue.retry_at > now:
            return None
        limits = queue.limits
        most = limits.max_rcpt_per_message
        if at_most is not None and (most is None or at_most < most):
            most = at_most
        rate = queue.rate
        if rate is not None:
            free = rate.free(now)
            if free <= 0:
                if queue.has_due(now):
                    self._agenda.wake(queue, rate.next_free(now))
                return None
            most = free if most is None else min(free, most)
        if queue.scheduled:
            self._promote(queue, now)
        entry = queue.take()
        if entry is None:
            return None
        if most is not None and len(entry.recipients) > most:
            entry = self._split(queue, entry, most)
        count = len(entry.recipients)
        if rate is not None:
            rate.take(now, count)
        queue.in_flight += count
        return Lease(queue.key, entry, now)

    def lease_message(self, queue: Queue, message_id: int) -> Lease | None:
        """What waits of one message, for a fate that needs no session; None when nothing does (any more). A pass over the queue."""
        entry = next((entry for entry in self.entries(queue) if entry.message_id == message_id), None)
        if entry is None:
            return None
        queue.take_out(entry)
        queue.in_flight += len(entry.recipients)
        return Lease(queue.key, entry)

    def lease_for_end(self, queue: Queue, now: float, received_before: float = NEVER) -> Lease | None:
        """A due entry for a fate that needs no session (expired, no such domain): whole, whatever rate, pause or retry say.

        None when the next of each share and rank came in after `received_before`.
        """
        if queue.scheduled:
            self._promote(queue, now)
        entry = queue.take_older(received_before)
        if entry is None:
            return None
        queue.in_flight += len(entry.recipients)
        return Lease(queue.key, entry, now)

    def _split(self, queue: Queue, entry: Entry, most: int) -> Entry:
        """The first `most` recipients; the rest goes back to the front, and may want a connection of its own."""
        queue.put_back(replace(entry, recipients=entry.recipients[most:]))
        self._agenda.list(queue)
        return replace(entry, recipients=entry.recipients[:most])

    def settle(self, queue: Queue, lease: Lease, now: float, again: list[Entry], *, untouched: bool = False) -> None:
        """The lease is over. `again`: entries with what is left, due times set; what is not in it is done with for good.

        `untouched`: nothing was tried, so the rate gets its grants back and the entry goes to the front.
        """
        count = len(lease.entry.recipients)
        queue.in_flight -= count
        if untouched:
            if queue.rate is not None:
                queue.rate.give_back(lease.at, count)
            queue.put_back(lease.entry)
            self._agenda.list(queue)
            return
        left = 0
        for entry in again:
            left += len(entry.recipients)
            queue.put(entry, now)
            if type(entry) is TimedEntry and entry.deadline <= now:
                self.deadlines.add(queue.key, entry)  # its time passed while it was in flight
            if entry.due <= now:
                if not queue.listed:
                    self._agenda.list(queue)
            else:
                self._agenda.wake(queue, entry.due)
        gone = count - left
        queue.recipients -= gone
        self.recipients -= gone
        if not queue.recipients:
            self._drop_if_empty(queue)

    def delivered_something(self, queue: Queue, leased_at: float = NEVER) -> None:
        """A delivery resets the retry steps of the queue (powermta.md, `retry-after`), ends its wait and, if it is told to, backoff mode.

        What was leased before a reply put the queue in its wait or mode says nothing against that reply.
        """
        mode = queue.backoff
        if mode is not None and queue.limits.backoff_to_normal_after_delivery and leased_at > mode.since:
            self.normal(queue)
        if leased_at <= queue.deferred_at:
            return
        queue.retry_step = 0
        queue.retry_at = 0.0
        queue.last_error = ""
        self._agenda.list(queue)

    def retry_later(self, queue: Queue, now: float, error: str = "", *, jitter: float = 0.0, wait: float | None = None) -> float:
        """The site failed: the queue waits for its next step of `retry-after` (the last one repeats), or for `wait` seconds without
        a step. Returns until when. Connections that were under way when the wait began fail with it, not after it."""
        queue.last_error = error
        if queue.retry_at > now:
            return queue.retry_at
        if wait is None:
            steps = queue.limits.retry_after
            wait = steps[min(queue.retry_step, len(steps) - 1)] if steps else DEFAULT_RETRY
            queue.retry_step += 1
        queue.retry_at = now + wait * (1.0 + jitter)
        self._agenda.wake(queue, queue.retry_at)
        return queue.retry_at

    def defer(self, queue: Queue, now: float, error: str) -> float:
        """A reply put the queue in retry (defer-queue): as `retry_later`, and deliveries that were under way do not end the wait."""
        queue.deferred_at = now
        return self.retry_later(queue, now, error)

    def back_off(self, queue: Queue, now: float, reason: str, after: float | None = None) -> None:
        """Backoff mode from now on, for `after` seconds or as long as backoff-to-normal-after says; again when it is in it already.

        It changes limits and retry times, and makes nobody wait (powermta.md section 1.6).
        """
        wait = queue.limits.backoff_to_normal_after if after is None else after
        until = NEVER if wait is None else now + wait
        before, queue.backoff = queue.backoff, Backoff(now, until, reason)
        self._mode_ends.add(queue, until)
        if before is None:
            self._mode_changed(queue)

    def normal(self, queue: Queue) -> None:
        """Backoff mode is over."""
        if queue.backoff is not None:
            queue.backoff = None
            self._mode_changed(queue)

    def _mode_changed(self, queue: Queue) -> None:
        queue.limit(self._limits(queue.key))
        queue.retry_step = 0  # its steps were those of another list
        queue.state = None
        self._agenda.list(queue)

    # -- operators and reload -------------------------------------------------------

    def pause(self, queue: Queue, paused: bool) -> None:
        """Pause or resume."""
        queue.paused = paused
        if not paused:
            self._agenda.list(queue)

    def retry_now(self, queue: Queue, now: float) -> None:
        """Forget the queue's retry wait and make every scheduled entry due."""
        queue.retry_at = 0.0
        for entry in queue.scheduled:
            entry.due = now
            queue.append(entry)
        queue.scheduled.clear()
        self._agenda.list(queue)

    def remove(self, wanted: Callable[[QueueKey, Entry], bool]) -> list[tuple[QueueKey, Entry]]:
        """Take out every entry (not in flight) for which `wanted` says yes. A pass over all queues: for operators and dead shards."""
        taken: list[tuple[QueueKey, Entry]] = []
        for queue in list(self.queues.values()):
            gone = [entry for entry in self.entries(queue) if wanted(queue.key, entry)]
            if not gone:
                continue
            taken_out = {id(entry) for entry in gone}
            queue.drop(taken_out)
            count = sum(len(entry.recipients) for entry in gone)
            queue.recipients -= count
            self.recipients -= count
            taken += [(queue.key, entry) for entry in gone]
            self._drop_if_empty(queue)
        return taken

    def entries(self, queue: Queue) -> Iterator[Entry]:
        """What waits in a queue, in flight excluded."""
        yield from queue.ready
        yield from queue.scheduled

    def reloaded(self, total_limit: int | None) -> None:
        """Settings have changed: every queue gets its limits anew, and may now be allowed what it was not."""
        self.total.limit = total_limit
        for name, budget in self._budgets.items():
            budget.limit = self._vmta_limit(name)
        self._roomy = dict.fromkeys((self.total, *self._budgets.values()))
        self._shared.clear()
        for queue in self.queues.values():
            queue.limit(self._limits(queue.key))
            queue.state = None
            self._agenda.list(queue)

    # -- time -------------------------------------------------------------------

    def next_wake(self) -> float:
        """The earliest time at which a queue that waits for a time should be looked at; NEVER if none does."""
        return min(self._agenda.next, self._mode_ends.next, self.deadlines.next)

    @property
    def wants(self) -> bool:
        """`next_queue` may have something (without asking the time)."""
        return bool(self._agenda.line.count or self._roomy)

    @property
    def crowded(self) -> bool:
        """Some queue waits for a place in a budget that is full: a connection that has nothing to do should give up its own."""
        return self._crowd > 0

    def _ring(self, now: float) -> None:
        self._agenda.ring(now)
        for queue in self._mode_ends.reached(now):
            self.normal(queue)

    def clock_went_back(self, by: float) -> None:
        """The wall clock was set back `by` seconds; without a word of it, all that waits would wait for that much longer."""
        for queue in self.queues.values():
            queue.clock_went_back(by)
        self._agenda.clock_went_back(by)
        self._mode_ends.clock_went_back(by)

    def _drop_if_empty(self, queue: Queue) -> None:
        """Forget a queue that holds nothing; one that remembers what it has used, or is paused, stays until it does not."""
        if not queue.empty or queue.listed or queue.paused or self.queues.get(queue.key) is not queue:
            return
        until = queue.remembers_until()
        if until is None:
            del self.queues[queue.key]
            queue.wake_at = NEVER  # what stands in the heap for it is overtaken
        else:
            self._agenda.wake(queue, until)
