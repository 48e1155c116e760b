"""Admission: the rules of the settings in force, put before a shard's listeners and visitors: slots, groups, rates, PROXY, memory.

Decides by `policy.admission` alone; what is counted is in boards that the shards share. A rule that means nothing was refused at load, so
nothing here raises but for a board that has no room (ValueError, at `limits`).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from functools import lru_cache
from typing import Protocol

from msgspec import structs

from postwright.engine.epoch import Epoch
from postwright.engine.login_guard import LoginGuard
from postwright.engine.memory_guard import MemoryGuard
from postwright.model.reply import Reply
from postwright.net.clock import NEVER
from postwright.net.door import Terms
from postwright.net.rate_board import RateBoard
from postwright.net.session_book import SessionLimits
from postwright.net.visit import SessionTimeouts
from postwright.policy.admission import SlotRules, rate_network
from postwright.policy.settings import ListenerSettings, Rate, Settings, SourceSettings
from postwright.wire.options import ServerOptions

TOO_MANY_MESSAGES = Reply(421, "4.7.0", ("too many messages in a short time, try again later",))
TOO_MANY_RECIPIENTS = Reply(421, "4.7.0", ("too many recipients in a short time, try again later",))


class Admission:
    """One per shard. `rates` may be replaced by a board that the shards share, before the first connection."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.rates = RateBoard.alone()
        self.memory = MemoryGuard()
        self._now = now

    def too_fast(self, kind: str, peer: str, rate: Rate) -> bool:
        """Count one more of its `kind` for the network of `peer`. True: that is one too many."""
        return not self.rates.take(kind + rate_network(peer), rate.count, rate.interval, self._now())

    def message(self, source: SourceSettings, peer: str) -> Reply | None:
        """`max-message-rate-in`."""
        rate = source.max_message_rate_in
        return TOO_MANY_MESSAGES if rate is not None and self.too_fast("m", peer, rate) else None

    def recipient(self, source: SourceSettings, peer: str) -> Reply | None:
        """`max-rcpt-rate-in`."""
        rate = source.max_rcpt_rate_in
        return TOO_MANY_RECIPIENTS if rate is not None and self.too_fast("r", peer, rate) else None

    def report(self, which: str, rate: Rate) -> bool:
        """Count a mail for the processor `which` (`max-report-rate`), of the whole relay. False: that is one too many."""
        return self.rates.take("p" + which, rate.count, rate.interval, self._now())


class HasEpoch(Protocol):
    """What a door needs of the shard's intake."""

    epoch: Epoch
    admission: Admission
    guard: LoginGuard


class ListenerDoor:
    """`net.door.Door` of one listener; follows the settings in force."""

    def __init__(self, intake: HasEpoch, listener: ListenerSettings) -> None:
        self._intake = intake
        self._listener = listener
        self._proxies = [ipaddress.ip_network(network) for network in listener.proxy_protocol_from]
        self._epoch: Epoch | None = None
        self._terms: dict[int, Terms] = {}  # by the id of a source that the epoch keeps alive

    def proxied(self, peer: str) -> bool:
        if not self._proxies:
            return False
        address = ipaddress.ip_address(peer)
        return any(address in network for network in self._proxies)

    def terms(self, peer: str) -> Terms:
        epoch = self._intake.epoch
        if epoch is not self._epoch:
            self._epoch, self._terms = epoch, {}
        source = epoch.resolved.source(peer, self._listener.source)
        found = self._terms.get(id(source))
        if found is None:
            found = self._terms[id(source)] = self._make(epoch.settings, source)
        return found

    def _make(self, settings: Settings, source: SourceSettings) -> Terms:
        return Terms(
            group=source.source_group.lower(),
            waits=self._listener.await_slot or settings.general.smtp_await_slot,
            pause=source.early_talker_delay,
            rated=source.max_connect_rate_in is not None,
        )

    def barred(self, peer: str) -> bool:
        """A network that is locked, unless it may relay without a login anyway: then its logins are refused, but not its mail."""
        intake = self._intake
        if not intake.guard.network_barred(peer):
            return False
        return intake.epoch.resolved.source(peer, self._listener.source).always_allow_relaying is not True

    def hurried(self, peer: str) -> bool:
        rate = self._intake.epoch.resolved.source(peer, self._listener.source).max_connect_rate_in
        return rate is not None and self._intake.admission.too_fast("c", peer, rate)


def patience(source: SourceSettings) -> SessionTimeouts:
    """How long a session of `source` is waited for."""
    return SessionTimeouts(
        source.smtp_command_timeout, source.smtp_data_timeout, float(source.min_data_rate or 0), source.smtp_message_timeout or NEVER
    )


@lru_cache(maxsize=256)
def with_xclient(options: ServerOptions) -> ServerOptions:
    """What is offered to a client that may say for whom it speaks (`allow-xclient`)."""
    return structs.replace(options, xclient=True)


def limits(settings: Settings) -> SessionLimits:
    """`total-max-smtp-in`, `max-smtp-in-per-address` and the source groups, as the book of sessions asks for them."""
    general = settings.general
    total, groups = general.total_max_smtp_in, settings.source_groups
    rule = SlotRules(total, groups).admits if total is not None or groups else None
    return SessionLimits(total, general.max_smtp_in_per_address, rule)
