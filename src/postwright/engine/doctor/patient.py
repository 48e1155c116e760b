"""Who is examined: the settings, this machine's addresses, and the ways by which a check may ask the world. Asks nothing itself.

Which addresses mail leaves from is `policy.sources`' word for each virtual MTA; where it leaves the choice to the system, these are the
public addresses of the machine, or those that the user names (behind a translation of addresses the machine does not know its own).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from ipaddress import ip_address
from pathlib import Path

from msgspec import Struct

from postwright.model.route import SourceHost
from postwright.net.clock import Clock
from postwright.net.dialer import Dialer
from postwright.net.resolver import Resolver
from postwright.policy.resolve import Resolved
from postwright.policy.settings import Settings
from postwright.policy.sources import sources

LARGEST = 64  # source addresses that are looked at; a relay with more has them in order or not, and one in a network is like the next


class Wishes(Struct, frozen=True):
    """What the user asked for. `reach`: hosts to which port 25 is tried ("HOST" or "HOST:PORT"); `addresses`: by which the world sees this
    machine; `domains`: sender domains beside those of `domain-key`; `blocklists`: zones that are asked, none for not asking."""

    reach: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    blocklists: tuple[str, ...] = ()
    patience: float = 10.0


class Patient:
    """`local` this machine's addresses; `folder` an empty folder that may be written to; `state` the relay's; `another` makes a resolver
    of its own for who closes the one it is given."""

    def __init__(
        self,
        settings: Settings,
        wishes: Wishes,
        *,
        state: Path,
        folder: Path,
        resolver: Resolver,
        dialer: Dialer,
        clock: Clock,
        local: Sequence[str],
        another: Callable[[], Resolver],
    ) -> None:
        self.settings = settings
        self.resolved = Resolved(settings)
        self.wishes = wishes
        self.state = state
        self.folder = folder
        self.resolver = resolver
        self.dialer = dialer
        self.clock = clock
        self.local = tuple(local)
        self.another = another

    @property
    def name(self) -> str:
        """The first `host-name`, "" without one."""
        return next(iter(self.settings.general.host_name), "")

    def senders(self, vmtas: Iterable[str]) -> list[SourceHost]:
        """The public identities of these virtual MTAs, each once; "" stands for mail of none."""
        found = [one for vmta in vmtas for source in sources(self.resolved, vmta, self.local) for one in self._public(source)]
        return list(dict.fromkeys(found))[:LARGEST]

    def all_senders(self) -> list[SourceHost]:
        """Those of the whole relay."""
        return self.senders(self.settings.vmtas or ("",))

    def _public(self, source: SourceHost) -> list[SourceHost]:
        """How the world sees a source. A private address leaves by a translation, whose addresses the user has to name."""
        if source.address and is_public(source.address):
            return [source]
        named = self.wishes.addresses or (() if source.address else tuple(filter(is_public, self.local)))
        return [SourceHost(address, source.name) for address in named]


def is_public(address: str) -> bool:
    """Whether receivers can see it."""
    found = ip_address(address)
    return found.is_global and not found.is_multicast
