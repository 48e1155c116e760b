"""The verbs of views: what a shard answers to them, and what the supervisor makes of the answers.

On the control socket an answer's body is the view as JSON; text and PowerMTA's trees are made of it by whoever shows it (`control.pmta`).
A shard that does not answer in time is missing from the sums, and named in the lines of the answer. Wrong arguments are told as they are.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final, Protocol
from weakref import WeakKeyDictionary

import msgspec

from postwright.engine import frames as f
from postwright.engine.flow_book import FlowsView
from postwright.engine.views import details, flows, gauges, metrics, queues, status, sums
from postwright.engine.views.detail_verbs import DETAIL_COMMANDS
from postwright.engine.views.gathering import TOO_MUCH, Arguments, fits
from postwright.engine.views.gathering import gathered as _parts
from postwright.engine.views.gathering import refused as _refused
from postwright.engine.views.gathering import told as _told
from postwright.engine.views.metrics import Measured
from postwright.engine.views.passing import Kept, of
from postwright.engine.views.seen import Seen
from postwright.engine.views.settings import Describe, described
from postwright.engine.views.traffic import TrafficBook
from postwright.policy.settings import Settings


class Viewed(Measured, Protocol):
    """What views ask of the supervisor."""

    started: float
    settings: Settings
    traffic: TrafficBook
    describe: Describe | None

    @property
    def stopping(self) -> bool: ...

    async def ask_shards(self, verb: str, argument: bytes = b"", timeout: float = 10.0) -> list[f.Answer]: ...
    def pids(self) -> list[int]: ...


SHARD_VIEWS: Final[Mapping[str, Callable[[Seen, Arguments], Awaitable[Any]]]] = {
    "view-status": status.part,
    "view-queues": queues.part,
    "view-domains": sums.domains,
    "view-vmtas": sums.vmtas,
    "view-jobs": sums.jobs,
    "view-flows": flows.flows,
    "view-bounces": flows.bounces,
    "view-warm-up": flows.warm_up,
    "view-metrics": gauges.part,
    "view-queue": details.queue,
    "view-job": details.job,
    "view-disabled-sources": details.disabled,
    "view-precache": details.precached,
}
"""What a shard answers: a struct, sent as msgpack. They let the loop turn, and raise ValueError where an argument is wrong."""


_PASSES: Final = frozenset(("view-queues", "view-domains", "view-vmtas", "view-jobs", "view-job", "view-disabled-sources"))
KEPT: Final = 8  # answers of a shard; one may have `asked.MOST` rows
KEEP: Final = 40.0  # times what a pass took
FRESH: Final = 5.0  # seconds that an answer may be old
_answers: WeakKeyDictionary[Seen, OrderedDict[tuple[str, bytes], Kept[bytes]]] = WeakKeyDictionary()


async def answer(node: Seen, verb: str, argument: bytes) -> bytes:
    """A shard's answer to one of `SHARD_VIEWS`; of a pass over many queues the one that somebody had a moment ago. Raises ValueError."""
    if verb not in _PASSES:
        return await _made(node, verb, argument)
    known = _answers.setdefault(node, OrderedDict())
    kept = known.pop((verb, argument), None) or Kept(of(node, partial(_made, verb=verb, argument=argument)), FRESH, KEEP)
    known[verb, argument] = kept
    if len(known) > KEPT:
        known.popitem(last=False)
    return await kept.get()


async def _made(node: Seen, verb: str, argument: bytes) -> bytes:
    answer = msgspec.msgpack.encode(await SHARD_VIEWS[verb](node, msgspec.json.decode(argument or b"{}", type=Arguments)))
    if not fits(answer):
        raise ValueError(f"shard {node.number}: {TOO_MUCH}")
    return answer


async def _status(relay: Viewed, arguments: Arguments) -> f.Told:
    parts, troubles = await _parts(relay, "view-status", arguments, status.StatusPart)
    relay.traffic.tick(time.monotonic())
    traffic = relay.traffic.view()
    view = status.merged(parts, relay.settings, traffic, len(relay.pids()), time.time(), relay.started, relay.stopping)
    return _told(view, troubles)


async def _queues(relay: Viewed, arguments: Arguments) -> f.Told:
    parts, troubles = await _parts(relay, "view-queues", arguments, queues.QueuesView)
    return _told(queues.merged(parts, arguments), troubles) if parts else _refused(troubles)


async def _vmtas(relay: Viewed, arguments: Arguments) -> f.Told:
    parts, troubles = await _parts(relay, "view-vmtas", arguments, sums.Sums)
    return _told(sums.merged(parts, arguments), troubles) if parts else _refused(troubles)


async def _many(verb: str, also: str, relay: Viewed, arguments: Arguments) -> f.Told:
    """Names of which several shards may have a part; `also` narrows what is added up under one."""
    parts, troubles = await _parts(relay, verb, arguments, sums.Sums)
    if len(parts) < 2:
        return _told(sums.merged(parts, arguments, parts), troubles) if parts else _refused(troubles)
    names = dict.fromkeys(row.name for part in parts for row in part.rows)
    narrowed = {also: arguments[also]} if also in arguments else {}
    whole, _ = await _parts(relay, verb, {**sums.only(names), **narrowed}, sums.Sums)
    return _told(sums.merged(whole, arguments, parts), troubles)


async def _settings(what: str, relay: Viewed, arguments: Arguments) -> f.Told:
    return described(relay.describe, relay.settings, what, arguments)


async def _traffic(relay: Viewed, arguments: Arguments) -> f.Told:
    relay.traffic.tick(time.monotonic())
    return _told(relay.traffic.view(), ())


async def _flows(relay: Viewed, arguments: Arguments) -> f.Told:
    parts, troubles = await _parts(relay, "view-flows", arguments, FlowsView)
    return _told(flows.merged_flows(parts, arguments), troubles) if parts else _refused(troubles)


async def _bounces(relay: Viewed, arguments: Arguments) -> f.Told:
    parts, troubles = await _parts(relay, "view-bounces", arguments, flows.BouncesView)
    return _told(flows.merged_bounces(parts), troubles) if parts else _refused(troubles)


async def _warm_up(relay: Viewed, arguments: Arguments) -> f.Told:
    parts, troubles = await _parts(relay, "view-warm-up", arguments, flows.WarmUpView)
    return _told(flows.merged_warm_up(parts, arguments), troubles) if parts else _refused(troubles)


View = Callable[[Viewed, Arguments], Awaitable[f.Told]]


def _told_of_mistakes(view: View) -> View:
    """A wrong argument (a cursor that is none) is told."""

    async def careful(relay: Viewed, arguments: Arguments) -> f.Told:
        try:
            return await view(relay, arguments)
        except ValueError as error:
            return _refused([str(error)])

    return careful


_VIEWS: Final[Mapping[str, View]] = {
    "view-status": _status,
    "view-queues": _queues,
    "view-domains": partial(_many, "view-domains", "vmta"),
    "view-vmtas": _vmtas,
    "view-jobs": partial(_many, "view-jobs", ""),
    "view-traffic": _traffic,
    "view-flows": _flows,
    "view-bounces": _bounces,
    "view-warm-up": _warm_up,
    "view-metrics": metrics.view,
    "view-settings": partial(_settings, "queue"),
    "view-vmta-settings": partial(_settings, "vmta"),
    **DETAIL_COMMANDS,
}
VIEW_COMMANDS: Final[Mapping[str, View]] = {name: _told_of_mistakes(view) for name, view in _VIEWS.items()}
