"""MX rollup: which queue the mail of a domain shares with that of other domains, by what the DNS says of their mail hosts.

    declared    `<mx-rollup-list>`: each name (or pattern) that is listed for a queue must be among the domain's hosts, and one of those
                that are best must be listed (powermta.md 1.6). Only what is listed is then sent to
    by address  `rollup-by-ip`: the best hosts of the domain are listed; the domain shares the queue with those whose addresses are the same
    discovered  an option of ours, `mx-rollup-discovered`: domains with the same set of best hosts share a queue named after the first of
                them, for big providers or for suffixes that the operator names

Mail is never sent to a host that is not the domain's own by its DNS, unless the operator has written down where the queue's mail goes
(`smtp-hosts`, or the names in the list). Pure: answers come in, a `Rollup` or None comes out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct

from postwright.model.route import MxHost
from postwright.policy.placement import SUFFIX
from postwright.policy.settings import RollupRule

# Suffixes of MX hosts of providers that take mail for a great many domains by the same names, as of July 2025. Not in it: whoever gives
# each customer a name of its own (mail.protection.outlook.com), as nobody would share a set with anybody.
PROVIDERS = (
    "google.com", "googlemail.com", "yahoodns.net", "outlook.com", "icloud.com", "mail.me.com", "zoho.com", "zoho.eu", "zoho.in",
    "fastmail.com", "messagingengine.com", "protonmail.ch", "secureserver.net", "emailsrvr.com", "gmx.net", "web.de", "kundenserver.de",
    "ionos.com", "1and1.com", "ovh.net", "gandi.net", "mail.ru", "yandex.net", "yandex.ru", "qq.com", "163.com", "netease.com",
    "aliyun.com", "mxhichina.com", "hostinger.com", "titan.email", "privateemail.com", "registrar-servers.com", "strato.de", "rzone.de",
    "orange.fr", "laposte.net", "comcast.net", "att.net", "mimecast.com", "registrar.eu",
)  # fmt: skip


class Rollup(Struct, frozen=True):
    """`queue` ends in `.rollup`; `hosts` are the names or addresses that its mail goes to, sorted; empty where its settings say."""

    queue: str
    hosts: tuple[str, ...] = ()


class _Listed:
    """All lines of one queue."""

    def __init__(self, queue: str) -> None:
        self.queue = queue
        self.patterns: list[str] = []
        self.by_ip = False

    def add(self, rule: RollupRule) -> None:
        self.patterns.append(rule.pattern)
        self.by_ip = self.by_ip or rule.by_ip

    def compiled(self) -> _Rule:
        wild = any("*" in pattern for pattern in self.patterns)
        names = () if wild else tuple(sorted(set(self.patterns)))
        return _Rule(self.queue, tuple(_matcher(pattern) for pattern in self.patterns), self.by_ip, names)


class _Rule(Struct, frozen=True):
    """`names` where all lines are names; then they are what is sent to."""

    queue: str
    matchers: tuple[Callable[[str], object], ...]
    by_ip: bool
    names: tuple[str, ...]

    def fits(self, best: Sequence[str], others: Sequence[str]) -> bool:
        """Are these a domain's hosts that the queue is for? By address: all of the best are listed, since all are compared."""
        if self.by_ip:
            return all(self.lists(name) for name in best)
        every = [*best, *others]
        return any(self.lists(name) for name in best) and all(any(map(matcher, every)) for matcher in self.matchers)

    def lists(self, name: str) -> bool:
        return any(matcher(name) for matcher in self.matchers)


class RollupRules:
    """`has_hosts(queue)`: do the settings of that queue say where its mail goes (`smtp-hosts`)? `discovered` as `mx-rollup-discovered`: a
    tuple of suffixes, empty for none."""

    def __init__(self, rules: Iterable[RollupRule], discovered: Iterable[str], has_hosts: Callable[[str], bool]) -> None:
        listed: dict[str, _Listed] = {}
        for rule in rules:
            listed.setdefault(rule.queue, _Listed(rule.queue)).add(rule)
        self._rules = [one.compiled() for one in listed.values()]
        self._has_hosts = has_hosts
        self._suffixes = tuple(f".{suffix.lower().strip('.')}" for suffix in discovered)
        self.said = (tuple((rule.queue, rule.by_ip, tuple(sorted(listed[rule.queue].patterns))) for rule in self._rules), self._suffixes)

    def __bool__(self) -> bool:
        return bool(self._rules or self._suffixes)

    def find(self, hosts: Sequence[MxHost]) -> Rollup | tuple[str, tuple[str, ...]] | None:
        """The rollup of a domain with these MX hosts, the first in the list that fits; None for none.

        Where addresses are compared: (queue, names), whose addresses the caller looks up and gives to `by_address`.
        """
        if not hosts:
            return None
        least = min(host.preference for host in hosts)
        best = sorted({host.name for host in hosts if host.preference == least})
        others = sorted({host.name for host in hosts} - set(best))
        for rule in self._rules:
            if not rule.fits(best, others):
                continue
            if self._has_hosts(rule.queue):
                return Rollup(rule.queue)
            if rule.by_ip:
                return rule.queue, tuple(best)
            if rule.names:
                return Rollup(rule.queue, rule.names)
        if self._suffixes and all(f".{name}".endswith(self._suffixes) for name in best):
            return Rollup(f"{best[0]}{SUFFIX}", tuple(best))
        return None

    def hosts_of(self, queue: str) -> tuple[str, ...]:
        """Where a queue's mail goes by the list alone, though no domain of it was looked up; empty when that is not known."""
        return next((rule.names for rule in self._rules if rule.queue == queue and not rule.by_ip), ())


def by_address(queue: str, addresses: Iterable[str]) -> Rollup | None:
    """The rollup of a domain whose best hosts have these addresses; None without any."""
    found = tuple(sorted(set(addresses)))
    return Rollup(queue, found) if found else None


def suffixes(value: str | tuple[str, ...]) -> tuple[str, ...]:
    """`mx-rollup-discovered` as suffixes of MX hosts: `yes` is our list of providers, `no` none."""
    words = (value,) if isinstance(value, str) else value
    if words in ((), ("no",)):
        return ()
    return PROVIDERS if words == ("yes",) else words


def wild_without_hosts(rules: Iterable[RollupRule], has_hosts: Callable[[str], bool]) -> list[RollupRule]:
    """Lines with a pattern whose queue nobody can say the hosts of: they roll nothing up."""
    return [rule for rule in rules if "*" in rule.pattern and not rule.by_ip and not has_hosts(rule.queue)]


def _matcher(pattern: str) -> Callable[[str], object]:
    if "*" not in pattern:
        return pattern.__eq__
    return re.compile("[a-z0-9_.-]*".join(map(re.escape, pattern.split("*")))).fullmatch
