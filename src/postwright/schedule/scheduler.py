"""The scheduler: all queues of one shard in memory, and which of them may use a connection now.

Pure data: time is an argument, nothing waits, nothing is read from disk. Everything here is rebuilt from the spool at start.

    submit      entries into their queue
    next_queue  a queue that has due work and may have one more connection (see `schedule.openings`)
    lease       the next due entry of a queue, its rate debited
    settle      the lease is over: what is left of it comes back with a due time

What must never happen is a queue with work that nobody will look at again. So every call after which a queue may be able to do more
than before lists it; who looks at it in vain puts it where its reason to wait (`why`) will end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec.structs import replace

from postwright.model.work import Entry, Lease, NotifiedEntry, QueueKey, TimedEntry, WaitReason
from postwright.schedule import meters
from postwright.schedule.budget import Places, Total, VmtaRates
from postwright.schedule.deadlines import Deadlines
from postwright.schedule.memo import Memo, restored_mode, restored_sources, restored_wait
from postwright.schedule.owned import Owned
from postwright.schedule.queue import Backoff, Queue, QueueLimits
from postwright.schedule.rate import NEVER as NEVER
from postwright.schedule.sifting import Sifting
from postwright.schedule.sources import SourceUse

DEFAULT_RETRY = 600.0  # seconds; `retry-after` as it comes
NO_RATES = VmtaRates()


class Scheduler(Sifting):
    """`limits_for(key)` is asked when a queue appears, and again by `reloaded`; for the rest see `openings.Openings`."""

    def __init__(
        self,
        limits_for: Callable[[QueueKey], QueueLimits],
        vmta_limit: Callable[[str], int | None] = lambda name: None,
        total_limit: int | None = None,
        vmta_rates: Callable[[str], VmtaRates] = lambda name: NO_RATES,
        places: Places | None = None,
    ) -> None:
        super().__init__(Total(total_limit, places), vmta_limit, vmta_rates)
        self._limits_for = limits_for
        self._shared: dict[QueueLimits, QueueLimits] = {}  # equal limits are one object: most queues have the same
        self.deadlines = Deadlines()
        self.mode_changed: Callable[[Queue], None] = lambda queue: None  # the engine's, to be told
        self.recall: Callable[[QueueKey], Memo | None] | None = None  # the engine's: what it remembers of a queue that comes to be
        self.recipients = 0
        self.owned = Owned()

    # -- entries in -------------------------------------------------------------

    def submit(self, key: QueueKey, entry: Entry, now: float) -> Queue:
        """Queue an entry; the queue is returned so that the caller can wake an idle connection of it."""
        queue = self.queues.get(key)
        if queue is None:
            queue = self._new_queue(key, now)
        if type(entry) is not Entry:
            self._add_deadline(queue, entry, now)
        count = len(entry.recipients)
        self.recipients += count
        queue.recipients += count
        queue.octets += entry.ref.content_size
        if entry.owner:
            self.owned.came(entry)
        if entry.due <= now:
            queue.append(entry)
            if queue.retry_at and queue.limits.retry_upon_new_mail and not entry.attempts:
                queue.retry_at = 0.0
            if not queue.listed:
                self._agenda.list(queue)
        else:
            if entry.attempts:
                # after a restart: the clock by which that time was reckoned may have been years ahead
                entry.due = min(entry.due, now + max(queue.limits.longest_wait, DEFAULT_RETRY))
            queue.put(entry, now)
            self._agenda.wake(queue, entry.due)
        return queue

    def _new_queue(self, key: QueueKey, now: float) -> Queue:
        queue = self.queues[key] = Queue(key, self._limits(key), self.budgets.of(key.vmta))
        if self.recall is not None and (memo := self.recall(key)) is not None:
            self._restore(queue, memo, now)
        if self.suspends is not None:
            queue.paused = self.suspends(key)
        return queue

    def hold(self, key: QueueKey, entry: Entry, now: float) -> Queue:
        """Into its queue, but not into its line: nobody takes it before it is let go (`sift`)."""
        queue = self._counted(key, entry, now)
        if type(entry) is not Entry:
            self._add_deadline(queue, entry, now)
        queue.beside().held.append(entry)
        return queue

    def lease_new(self, key: QueueKey, entry: Entry, now: float) -> tuple[Queue, Lease]:
        """A lease of what was in no queue, for a fate that needs no session."""
        queue = self._counted(key, entry, now)
        queue.in_flight += len(entry.recipients)
        return queue, Lease(key, entry, now)

    def _counted(self, key: QueueKey, entry: Entry, now: float) -> Queue:
        """The queue, which has this entry from now on."""
        queue, count = self.queues.get(key) or self._new_queue(key, now), len(entry.recipients)
        self.recipients += count
        queue.recipients += count
        queue.octets += entry.size
        if entry.owner:
            self.owned.came(entry)
        return queue

    def came_apart(self, queue: Queue, entry: Entry, parts: int) -> None:
        """See `Sifting.came_apart`."""
        queue.octets += (parts - 1) * entry.size
        if entry.owner:
            self.owned.change(entry.owner, 0, (parts - 1) * entry.size)

    def _add_deadline(self, queue: Queue, entry: Entry, now: float) -> None:
        if isinstance(entry, NotifiedEntry):
            self.notify_later(queue, entry, now)
        elif isinstance(entry, TimedEntry):
            self.deadlines.add(queue.key, entry)

    def notify_later(self, queue: Queue, entry: NotifiedEntry, now: float) -> None:
        """Somebody wants to hear of a delay: at the next multiple of the queue's interval since the message came."""
        every = queue.limits.notify_of_delay_every
        entry.deadline = 0.0
        if every is not None:
            entry.deadline = entry.received_at + every * (max(0.0, now - entry.received_at) // every + 1)
            self.deadlines.add(queue.key, entry)

    def _restore(self, queue: Queue, memo: Memo, now: float) -> None:
        """A queue of before a restart goes on where it was."""
        queue.backoff = restored_mode(memo, now)
        if queue.backoff is not None:
            self._mode_ends.add(queue, queue.backoff.until)
            queue.limit(self._limits(queue.key))
        queue.retry_step, queue.last_error = memo.step, memo.error
        queue.retry_at = restored_wait(memo, max(queue.limits.longest_wait, DEFAULT_RETRY), now)
        for address, until in restored_sources(memo, now).items():
            self.disable_source(queue, address, until)

    def _limits(self, key: QueueKey) -> QueueLimits:
        limits = self._limits_for(key)
        return self._shared.setdefault(limits, limits)

    # -- leases -------------------------------------------------------------------

    def lease(self, queue: Queue, now: float, at_most: int | None = None, source: str = "") -> Lease | None:
        """The next due entry of the queue for one transaction, or None (nothing due, rate used up, paused, in retry).

        `at_most`: recipients that the receiver takes in one, None if it does not say. `source`: the address that it leaves by.
        """
        if queue.paused or self.stopping or queue.retry_at > now:
            return None
        most = queue.limits.max_rcpt_per_message
        if at_most is not None and (most is None or at_most < most):
            most = at_most
        if queue.scheduled:
            self._promote(queue, now)
        if queue.metered:
            return self._lease_metered(queue, now, most, source)
        rate = queue.rate
        if rate is not None:
            free = rate.free(now)
            if free <= 0:
                if queue.ready:
                    self._agenda.wake(queue, rate.next_free(now))
                return None
            most = free if most is None else min(free, most)
        entry = queue.take()
        if entry is None:
            return None
        if most is not None and len(entry.recipients) > most:
            entry = self._split(queue, entry, most)
        count = len(entry.recipients)
        if rate is not None:
            rate.take(now, count)
        queue.in_flight += count
        return Lease(queue.key, entry, now, source)

    def _lease_metered(self, queue: Queue, now: float, most: int | None, source: str) -> Lease | None:
        """A lease that more is asked for than `max-msg-rate`."""
        if not queue.ready:
            return None
        use = queue.sources.of(source) if queue.sources is not None else None
        reason = meters.holds_up(queue, now)
        if reason is not None:
            self._wait(queue, reason, now)
            return None
        if use is not None and (block := use.may_send(now)) is not None:
            self._agenda.wake(queue, block[1])
            return None
        entry = queue.take()
        assert entry is not None
        reason = meters.too_large(queue, use, now, entry.size)
        if reason is not None:
            queue.put_back(entry)
            self._wait_for_volume(queue, use, reason, now)
            return None
        free = meters.recipients(queue, use, now)
        most = free if most is None or (free is not None and free < most) else most
        if most is not None and len(entry.recipients) > most:
            entry = self._split(queue, entry, most)
        count = len(entry.recipients)
        meters.debit(queue, use, now, count, entry.size)
        queue.in_flight += count
        return Lease(queue.key, entry, now, source)

    def _wait_for_volume(self, queue: Queue, use: SourceUse | None, reason: WaitReason, now: float) -> None:
        """Its next entry is larger than what is left: it stays the next, here and in the line of its virtual MTA."""
        rates = queue.budget.rates
        if reason is WaitReason.VMTA_DATA_VOLUME and rates is not None:
            self.budgets.queue_up(queue, rates, now, first=True)
        elif reason is WaitReason.SOURCE_DATA_VOLUME and use is not None and use.volume is not None:
            self._agenda.wake(queue, use.volume.next_free(now))
        else:
            self._wait(queue, reason, now)

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
        queue.octets += entry.ref.content_size
        if entry.owner:
            self.owned.change(entry.owner, 0, entry.ref.content_size)
        self._agenda.list(queue)
        return replace(entry, recipients=entry.recipients[:most])

    def settle(self, queue: Queue, lease: Lease, now: float, again: list[Entry], *, untouched: bool = False) -> None:
        """The lease is over. `again`: entries with what is left, due times set; what is not in it is done with for good.

        `untouched`: nothing was tried, so the rate gets its grants back and the entry goes to the front.
        """
        count = len(lease.entry.recipients)
        queue.in_flight -= count
        if untouched:
            if queue.metered or queue.rate is not None:
                meters.credit(queue, self._use(queue, lease), lease.at, count, lease.entry.size)
                self._given_back(queue)
            queue.put_back(lease.entry)
            self._agenda.list(queue)
            return
        left = 0
        queue.octets -= lease.entry.ref.content_size
        for entry in again:
            left += len(entry.recipients)
            queue.octets += entry.ref.content_size
            queue.put(entry, now)
            if isinstance(entry, TimedEntry) and 0 < entry.deadline <= now:
                self.deadlines.add(queue.key, entry)  # its time passed while it was in flight
            if entry.due <= now:
                if not queue.listed:
                    self._agenda.list(queue)
            else:
                self._agenda.wake(queue, entry.due)
        gone = count - left
        queue.recipients -= gone
        self.recipients -= gone
        owner = lease.entry.owner
        if owner:
            self.owned.change(owner, -gone, (len(again) - 1) * lease.entry.ref.content_size)
        if not queue.recipients:
            self._drop_if_empty(queue)

    def withdraw(self, queue: Queue, lease: Lease, now: float) -> None:
        """The lease is over, nothing was tried, and its entry waits in another queue: the rates get their grants back."""
        if queue.metered or queue.rate is not None:
            meters.credit(queue, self._use(queue, lease), lease.at, len(lease.entry.recipients), lease.entry.size)
            self._given_back(queue)
        self.settle(queue, lease, now, [])

    def delivered_nothing(self, queue: Queue, lease: Lease) -> None:
        """Of a lease that is about to be settled: rates of octets count what is delivered, so they get theirs back."""
        if queue.metered:
            meters.credit_volume(queue, self._use(queue, lease), lease.at, lease.entry.size)
            self._given_back(queue)

    def _use(self, queue: Queue, lease: Lease) -> SourceUse | None:
        return queue.sources.of(lease.source) if queue.sources is not None else None

    def _given_back(self, queue: Queue) -> None:
        if queue.budget.rates is not None:
            self.budgets.freed(queue.budget.rates)
        self._agenda.list(queue)

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
        self.noted(queue)

    def retry_later(self, queue: Queue, now: float, error: str = "", *, jitter: float = 0.0, wait: float | None = None) -> float:
        """The site failed: the queue waits for its next step of `retry-after` (the last one repeats), or for `wait` seconds without
        a step. Returns until when. Connections that were under way when the wait began fail with it, not after it."""
        queue.last_error = error
        queue.wary = True
        if queue.retry_at > now:
            return queue.retry_at
        if wait is None:
            steps = queue.limits.retry_after
            wait = steps[min(queue.retry_step, len(steps) - 1)] if steps else DEFAULT_RETRY
            queue.retry_step += 1
        queue.retry_at = now + wait * (1.0 + jitter)
        self._agenda.wake(queue, queue.retry_at)
        self.noted(queue)
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
        self.noted(queue)
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
        self.noted(queue)
        self.mode_changed(queue)

    # -- operators and reload -------------------------------------------------------

    def pause(self, queue: Queue, paused: bool) -> None:
        """Pause or resume."""
        queue.paused = paused
        if not paused:
            self._agenda.list(queue)

    def retry_now(self, queue: Queue, now: float) -> None:
        """Forget the queue's retry wait and make every scheduled entry due."""
        queue.retry_at = 0.0
        self.noted(queue)
        for entry in queue.scheduled:
            entry.due = now
            queue.append(entry)
        queue.scheduled = []
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
            self._gone(queue, gone)
            self.recipients -= count
            taken += [(queue.key, entry) for entry in gone]
            self._drop_if_empty(queue)
        return taken

    def _gone(self, queue: Queue, entries: list[Entry]) -> None:
        for entry in entries:
            queue.octets -= entry.size
            if entry.owner:
                self.owned.went(entry)

    def take_away(self, queue: Queue, most: int) -> list[Entry]:
        """At most so many entries that wait, due or not, out of the queue and all counts: they go to another one."""
        taken: list[Entry] = []
        while len(taken) < most:
            entry = queue.take() or queue.take_scheduled() or (queue.aside.take() if queue.aside is not None else None)
            if entry is None:
                break
            taken.append(entry)
        count = sum(len(entry.recipients) for entry in taken)
        queue.recipients -= count
        self._gone(queue, taken)
        self.recipients -= count
        self._drop_if_empty(queue)
        return taken

    def entries(self, queue: Queue) -> Iterator[Entry]:
        """What waits in a queue, in flight excluded."""
        yield from queue.ready
        yield from queue.scheduled
        if queue.aside is not None:
            yield from queue.aside

    def reloaded(self, total_limit: int | None) -> None:
        """Settings have changed: every queue gets its limits anew, and may now be allowed what it was not."""
        self.budgets.reloaded(total_limit)
        self._shared.clear()
        for queue in self.queues.values():
            queue.limit(self._limits(queue.key))
            queue.state = None
            self._agenda.list(queue)

    # -- time -------------------------------------------------------------------

    def next_wake(self) -> float:
        """The earliest time at which a queue that waits for a time should be looked at; NEVER if none does."""
        return min(self._agenda.next, self.budgets.next_wake, self._mode_ends.next, self.deadlines.next)

    def clock_went_back(self, by: float) -> None:
        """The wall clock was set back `by` seconds; without a word of it, all that waits would wait for that much longer."""
        for queue in self.queues.values():
            queue.clock_went_back(by)
        self._agenda.clock_went_back(by)
        self.budgets.clock_went_back(by)
        self._mode_ends.clock_went_back(by)
