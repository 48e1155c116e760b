"""Delivery: channels fed from queues. Here a connection begins and all of them end. Between the two: `engine.opening` makes an open channel
of a queue, `engine.worker` leases, sends and judges on it, `engine.fates` ends what needs no session.
"""

from __future__ import annotations

from postwright.engine.hub import Hub
from postwright.engine.local_delivery import Serving
from postwright.engine.opening import Opener
from postwright.engine.queue_state import QueueState
from postwright.engine.transports import Transport
from postwright.engine.worker import Crew
from postwright.model.work import BOUNCE
from postwright.schedule.queue import Queue


class Delivery:
    """All deliveries of one shard."""

    def __init__(self, node: Hub) -> None:
        self.node = node
        self.crew = Crew(node)
        self.opener = Opener(self.crew)

    def start(self, queue: Queue) -> None:
        """Open one more connection for a queue; its place in every limit is taken at once."""
        self.node.scheduler.opening(queue, self.node.clock.now())
        self.crew.spawn(self._connect(queue))

    async def _connect(self, queue: Queue) -> None:
        worker, served = None, False
        try:
            state = self.node.state(queue)
            transport = state.ways.transport
            if transport is not None and state.ways.known_vmta and queue.key.domain != BOUNCE:
                if not (self.node.where.active and await self.node.moves.leave(queue)):
                    served = True
                    await self._serve(queue, state, transport)
                return
            worker = await self.opener.open(queue)
        except Exception:
            # a defect of ours (the task's end logs it) must not make us try again as fast as the machine can
            self.node.scheduler.retry_later(queue, self.node.clock.now(), "a local error")
            raise
        finally:
            if worker is None and not served:
                if self.crew.traces:
                    self.crew.traces.no_session(str(queue.key), queue.last_error)
                self.node.scheduler.closed(queue, was_open=False)
                self.node.pump_soon()
        if worker is not None:
            self.crew.keep_to_mode(queue)
            worker.feed()
            if self.node.scheduler.wants:
                self.node.pump_soon()

    async def _serve(self, queue: Queue, state: QueueState, transport: Transport) -> None:
        """A queue that needs no host."""
        self.node.scheduler.opened(queue)
        if self.crew.traces:
            self.crew.traces.no_session(str(queue.key), f"type {state.ways.settings.type} has none")
        try:
            await Serving(self.crew, queue, state, transport).run()
        finally:
            self.node.scheduler.closed(queue, was_open=True)
            self.node.pump_soon()

    def reloaded(self) -> None:
        """Settings have changed: what is there counts by the new ones, and ends."""
        self.opener.seating.reloaded()
        # the busy ones, too, when their message is through: with mail without end they would go on by the old settings without end
        for worker in list(self.crew.workers):
            worker.retire()

    async def stop(self, within: float) -> None:
        """Let what is in flight end, at most `within` seconds, then hang up."""
        deadline = self.node.clock.monotonic() + within
        for worker in list(self.crew.workers):
            worker.retire()
        while (self.crew.workers or self.crew.tasks) and self.node.clock.monotonic() < deadline:
            await self.node.clock.sleep(0.02)
        for worker in list(self.crew.workers):
            worker.channel.abort()
        for task in list(self.crew.tasks):
            task.cancel()
        self.crew.signer.close()
