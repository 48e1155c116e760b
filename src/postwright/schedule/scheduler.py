"""The scheduler: all queues of one shard in memory, and which of them may use a connection now.

Pure data: time is an argument, nothing waits, nothing is read from disk. Work is found without a pass over the queues: a queue
that has something to do stands in one list; one that waits for a time stands in a heap; one that waits for a shared connection
budget stands in that budget's list. Everything here is rebuilt from the spool at start.

    submit      entries into their queue
    next_queue  a queue that has due work and may have one more connection (the caller then opens one)
    lease       the next due entry of a queue, its rate debited
    settle      the lease is over: what is left of it comes back with a due time
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator

from postwright.model.work import Entry, Lease, QueueKey, WaitReason
from postwright.schedule.queue import Budget, Queue, QueueLimits

NEVER = float("inf")


class Scheduler:
    """`limits_for(key)` and `vmta_limit(name)` are asked when a queue appears, and again when `epoch` has moved on."""

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
        self._wanting: deque[Queue] = deque()
        self._timers: list[tuple[float, int, Queue]] = []
        self._count = 0
        self.epoch = 0
        self.recipients = 0
        self.stopping = False

    # -- entries in -------------------------------------------------------------

    def submit(self, key: QueueKey, entry: Entry, now: float) -> Queue:
        """Queue an entry; the queue is returned so that the caller can wake an idle connection of it."""
        queue = self.queues.get(key)
        if queue is None:
            queue = self._new_queue(key)
        count = len(entry.recipients)
        self.recipients += count
        queue.recipients += count
        if entry.due <= now:
            queue.ready.append(entry)
            if not queue.listed:
                self._list(queue)
        else:
            queue.put(entry, now)
            self._wake(queue, entry.due)
        return queue

    def _new_queue(self, key: QueueKey) -> Queue:
        budget = self._budgets.get(key.vmta)
        if budget is None:
            budget = self._budgets[key.vmta] = Budget(self._vmta_limit(key.vmta))
        queue = self.queues[key] = Queue(key, self._limits_for(key), budget, self.epoch)
        return queue

    # -- who may connect ----------------------------------------------------------

    def next_queue(self, now: float) -> Queue | None:
        """A queue that should get one more connection now; the caller says `opening` at once. None when there is no such queue."""
        self._ring(now)
        wanting = self._wanting
        while wanting:
            queue = wanting.popleft()
            queue.listed = False
            if self._may_open(queue, now):
                return queue
            if not queue.recipients:
                queue.forget(now)
                self._drop_if_empty(queue)
        return None

    def _may_open(self, queue: Queue, now: float) -> bool:
        reason = self.why(queue, now)
        if reason is WaitReason.READY:
            return True
        if reason is WaitReason.VMTA_CONNECTIONS:
            queue.budget.waiting.append(queue)
        elif reason is WaitReason.TOTAL_CONNECTIONS:
            self.total.waiting.append(queue)
        else:
            self._wake(queue, self._until(queue, reason, now))
        return False

    def why(self, queue: Queue, now: float) -> WaitReason:
        """Why what waits in this queue waits; READY when only a connection is missing and may be opened."""
        if not queue.recipients or queue.in_flight >= queue.recipients:
            return WaitReason.NONE
        if self.stopping:
            return WaitReason.STOPPING
        if queue.paused:
            return WaitReason.PAUSED
        if queue.retry_at > now:
            return WaitReason.QUEUE_RETRY
        if not queue.has_due(now):
            first = queue.scheduled[0].entry if queue.scheduled else None
            return WaitReason.SCHEDULED if first is None or not first.attempts else WaitReason.RECIPIENT_RETRY
        if queue.rate is not None and queue.rate.free(now) <= 0:
            return WaitReason.MESSAGE_RATE
        return self._why_no_connection(queue, now)

    def _why_no_connection(self, queue: Queue, now: float) -> WaitReason:
        if queue.idle:
            return WaitReason.READY  # a connection stands by: nothing has to be opened
        limits = queue.limits
        used = queue.connections + queue.opening
        if limits.max_smtp_out is not None and used >= limits.max_smtp_out:
            return WaitReason.QUEUE_CONNECTIONS
        if queue.opening >= queue.backlog:
            return WaitReason.CONNECTING
        if queue.budget.full:
            return WaitReason.VMTA_CONNECTIONS
        if self.total.full:
            return WaitReason.TOTAL_CONNECTIONS
        if queue.connect_rate is not None and queue.connect_rate.free(now) <= 0:
            return WaitReason.CONNECT_RATE
        if limits.smtp_out_rampup_interval and used and now < queue.last_connect + limits.smtp_out_rampup_interval:
            return WaitReason.RAMP_UP
        return WaitReason.READY

    def _until(self, queue: Queue, reason: WaitReason, now: float) -> float:
        """When to look at the queue again; NEVER when an event (not time) will bring it back."""
        if reason is WaitReason.QUEUE_RETRY:
            return queue.retry_at
        if reason in (WaitReason.SCHEDULED, WaitReason.RECIPIENT_RETRY):
            return queue.scheduled[0].due if queue.scheduled else NEVER
        if reason is WaitReason.MESSAGE_RATE and queue.rate is not None:
            return queue.rate.next_free(now)
        if reason is WaitReason.CONNECT_RATE and queue.connect_rate is not None:
            return queue.connect_rate.next_free(now)
        if reason is WaitReason.RAMP_UP:
            return queue.last_connect + queue.limits.smtp_out_rampup_interval
        return NEVER

    def opening(self, queue: Queue, now: float) -> None:
        """A connection for this queue is being opened: it counts against every limit from now on."""
        queue.opening += 1
        queue.budget.open += 1
        self.total.open += 1
        queue.last_connect = now
        if queue.connect_rate is not None:
            queue.connect_rate.take(now)
        if queue.has_due(now) and not queue.listed:
            self._list(queue)

    def opened(self, queue: Queue) -> None:
        """The connection is up."""
        queue.opening -= 1
        queue.connections += 1

    def closed(self, queue: Queue, *, was_open: bool) -> None:
        """The connection is gone (or did not come up): those that waited for its place may try again."""
        if was_open:
            queue.connections -= 1
        else:
            queue.opening -= 1
        queue.budget.open -= 1
        self.total.open -= 1
        if queue.recipients > queue.in_flight and not queue.listed:
            self._list(queue)
        for budget in (queue.budget, self.total):
            if budget.waiting:
                waiting = budget.waiting.popleft()
                if not waiting.listed:
                    self._list(waiting)
        self._drop_if_empty(queue)

    def look_again(self, queue: Queue, now: float) -> None:
        """An idle connection was woken for this queue: is there work for one more?"""
        if not queue.listed and queue.has_due(now):
            self._list(queue)

    # -- leases -------------------------------------------------------------------

    def lease(self, queue: Queue, now: float) -> Lease | None:
        """The next due entry of the queue for one transaction, or None (nothing due, rate used up, paused, in retry)."""
        if queue.paused or self.stopping or queue.retry_at > now:
            return None
        if queue.rate is not None:
            return self._lease_by_rate(queue, now, queue.rate.free(now))
        if queue.ready and not queue.scheduled:
            entry = queue.ready.popleft()
        else:
            found = queue.take(now)
            if found is None:
                return None
            entry = found
        most = queue.limits.max_rcpt_per_message
        rest = None
        if most is not None and len(entry.recipients) > most:
            entry, rest = self._split(queue, entry, most)
        queue.in_flight += len(entry.recipients)
        return Lease(queue.key, entry, rest)

    def _lease_by_rate(self, queue: Queue, now: float, free: int) -> Lease | None:
        if free <= 0:
            if queue.has_due(now) and queue.rate is not None:
                self._wake(queue, queue.rate.next_free(now))
            return None
        entry = queue.take(now)
        if entry is None:
            return None
        most = min(free, queue.limits.max_rcpt_per_message or free)
        rest = None
        if len(entry.recipients) > most:
            entry, rest = self._split(queue, entry, most)
        count = len(entry.recipients)
        if queue.rate is not None:
            queue.rate.take(now, count)
        queue.in_flight += count
        return Lease(queue.key, entry, rest)

    def _split(self, queue: Queue, entry: Entry, most: int) -> tuple[Entry, Entry]:
        first = _with(entry, entry.recipients[:most])
        rest = _with(entry, entry.recipients[most:])
        queue.ready.appendleft(rest)
        return first, rest

    def settle(self, queue: Queue, lease: Lease, now: float, again: list[Entry], *, untouched: bool = False) -> None:
        """The lease is over. `again`: entries with what is left, due times set; what is not in it is done with for good.

        `untouched`: nothing was tried, so the rate gets its grants back and the entry goes to the front.
        """
        count = len(lease.entry.recipients)
        queue.in_flight -= count
        if untouched:
            if queue.rate is not None:
                queue.rate.give_back(count)
            queue.ready.appendleft(lease.entry)
            if not queue.listed:
                self._list(queue)
            return
        left = 0
        for entry in again:
            left += len(entry.recipients)
            queue.put(entry, now)
            if entry.due <= now:
                if not queue.listed:
                    self._list(queue)
            else:
                self._wake(queue, entry.due)
        gone = count - left
        queue.recipients -= gone
        self.recipients -= gone
        if not queue.recipients:
            self._drop_if_empty(queue)

    def delivered_something(self, queue: Queue) -> None:
        """A delivery resets the retry steps of the queue (powermta.md, `retry-after`)."""
        queue.retry_step = 0
        queue.retry_at = 0.0
        queue.last_error = ""

    def retry_later(self, queue: Queue, now: float, error: str = "", jitter: float = 0.0) -> float:
        """The site failed: the queue waits for its next step of `retry-after` (the last one repeats). Returns until when."""
        steps = queue.limits.retry_after
        step = steps[min(queue.retry_step, len(steps) - 1)] if steps else 600.0
        queue.retry_step += 1
        queue.retry_at = now + step * (1.0 + jitter)
        queue.last_error = error
        self._wake(queue, queue.retry_at)
        return queue.retry_at

    # -- operators and reload -------------------------------------------------------

    def pause(self, queue: Queue, paused: bool) -> None:
        """Pause or resume."""
        queue.paused = paused
        if not paused and not queue.listed:
            self._list(queue)

    def retry_now(self, queue: Queue, now: float) -> None:
        """Forget the queue's retry wait and make every scheduled entry due."""
        queue.retry_at = 0.0
        for due in queue.scheduled:
            due.entry.due = now
            queue.ready.append(due.entry)
        queue.scheduled.clear()
        if not queue.listed:
            self._list(queue)

    def remove(self, wanted: Callable[[QueueKey, Entry], bool]) -> list[tuple[QueueKey, Entry]]:
        """Take out every entry (not in flight) for which `wanted` says yes. A pass over all queues: for operators and dead shards."""
        taken: list[tuple[QueueKey, Entry]] = []
        for queue in list(self.queues.values()):
            gone = [entry for entry in self.entries(queue) if wanted(queue.key, entry)]
            if not gone:
                continue
            keep = {id(entry) for entry in gone}
            queue.ready = deque(entry for entry in queue.ready if id(entry) not in keep)
            queue.scheduled = [due for due in queue.scheduled if id(due.entry) not in keep]
            heapq.heapify(queue.scheduled)
            count = sum(len(entry.recipients) for entry in gone)
            queue.recipients -= count
            self.recipients -= count
            taken += [(queue.key, entry) for entry in gone]
            self._drop_if_empty(queue)
        return taken

    def entries(self, queue: Queue) -> Iterator[Entry]:
        """What waits in a queue, in flight excluded."""
        yield from queue.ready
        for due in queue.scheduled:
            yield due.entry

    def reloaded(self, total_limit: int | None) -> None:
        """Settings have changed: every queue gets its limits anew, and may now be allowed what it was not."""
        self.epoch += 1
        self.total.limit = total_limit
        for name, budget in self._budgets.items():
            budget.limit = self._vmta_limit(name)
        for queue in self.queues.values():
            queue.limit(self._limits_for(queue.key), self.epoch)
            queue.state = None
            if not queue.listed:
                self._list(queue)

    # -- time -------------------------------------------------------------------

    def next_wake(self) -> float:
        """The earliest time at which a queue that waits for a time should be looked at; NEVER if none does."""
        return self._timers[0][0] if self._timers else NEVER

    @property
    def wants(self) -> bool:
        """`next_queue` may have something (without asking the time)."""
        return bool(self._wanting)

    def _ring(self, now: float) -> None:
        timers = self._timers
        while timers and timers[0][0] <= now:
            at, _, queue = heapq.heappop(timers)
            if queue.wake_at == at:
                queue.wake_at = NEVER
                if not queue.listed:
                    self._list(queue)

    def _wake(self, queue: Queue, at: float) -> None:
        if at < queue.wake_at:
            queue.wake_at = at
            self._count += 1
            heapq.heappush(self._timers, (at, self._count, queue))

    def _list(self, queue: Queue) -> None:
        queue.listed = True
        self._wanting.append(queue)

    def _drop_if_empty(self, queue: Queue) -> None:
        """Forget a queue that holds nothing; one whose rates remember something, or that is paused, stays until they do not."""
        if queue.empty and not queue.listed and not queue.paused:
            until = queue.remembers_until()
            if until is None:
                self.queues.pop(queue.key, None)
            else:
                self._wake(queue, until)


def _with(entry: Entry, recipients: tuple[int, ...]) -> Entry:
    return Entry(
        message_id=entry.message_id,
        ref=entry.ref,
        recipients=recipients,
        received_at=entry.received_at,
        due=entry.due,
        attempts=entry.attempts,
        first_attempt=entry.first_attempt,
        size=entry.size,
        job=entry.job,
        priority=entry.priority,
    )
