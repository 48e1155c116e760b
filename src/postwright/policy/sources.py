"""Who we are towards receivers: the addresses that a virtual MTA sends from, directly or through proxies, and the names said in EHLO.

Each directive is looked for by itself, the virtual MTA's before the global one: `smtp-source-host` and `smtp-proxy-source-host` exclude one
another, so the narrower of the two counts; `use-proxy` lies over both, until a `use-proxy none` lifts it. Pure: `local` are this machine's
addresses.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

from postwright.model.route import Proxy, SourceHost
from postwright.policy.resolve import Resolved
from postwright.policy.settings import ProxyClient, ProxySettings, ProxySourceRule, Settings, SourceHostRule, VmtaSettings

_NONE = "none"
_SOCKS5 = 5


def sources(resolved: Resolved, vmta_name: str, local: Sequence[str]) -> tuple[SourceHost, ...]:
    """What takes turns; never empty."""
    settings, vmta = resolved.settings, resolved.vmta(vmta_name)
    by_proxy = _through(_proxies(settings, vmta))
    if by_proxy:
        return by_proxy
    version = int(vmta.proxy_protocol) if vmta is not None else 1
    for scope in (vmta, settings) if vmta is not None else (settings,):
        if scope.smtp_proxy_source_host:
            return tuple(_behind(scope.smtp_proxy_source_host, version, local))
        if scope.smtp_source_host:
            found = tuple(_expand(scope.smtp_source_host, local))
            if found:
                return found
            break
    return (SourceHost("", _ehlo_name(settings, vmta)),)


def _proxies(settings: Settings, vmta: VmtaSettings | None) -> list[ProxySettings]:
    """In the order in which they are tried."""
    names = (vmta.use_proxy if vmta is not None else ()) or settings.use_proxy
    wanted = [name.lower() for name in names if name.lower() != _NONE]
    return [settings.proxies[name] for name in wanted if name in settings.proxies]


def _through(proxies: Sequence[ProxySettings]) -> tuple[SourceHost, ...]:
    """The clients of the first proxy take turns; each knows who stands in for it at the next one."""
    behind: tuple[SourceHost, ...] = ()
    for proxy in reversed(proxies):
        behind = tuple(
            SourceHost(client.address, client.name, _proxy(proxy, client), _stand_in(client, number, behind))
            for number, client in enumerate(proxy.client)
        )
    return behind


def _stand_in(client: ProxyClient, number: int, others: Sequence[SourceHost]) -> SourceHost | None:
    """One of `others` that reaches the same hosts."""
    same = [other for other in others if (":" in other.address) == (":" in client.address)]
    return same[number % len(same)] if same else None


def _proxy(settings: ProxySettings, client: ProxyClient) -> Proxy:
    kind = _SOCKS5 if settings.type == "socks5" else int(settings.protocol_version)
    host, port = settings.server
    return Proxy(settings.name, kind, host, port, client_port=client.port, user=settings.auth_username, password=settings.auth_password)


def _behind(rules: Iterable[ProxySourceRule], version: int, local: Sequence[str]) -> Iterable[SourceHost]:
    """`smtp-proxy-source-host`: one for each address of ours in the network that is named."""
    for rule in rules:
        client = rule.client
        for address in _own(rule.local, local) or ("",):
            proxy = Proxy("", version, *rule.server, local=address, client_port=client.port)
            yield SourceHost(client.address, client.name, proxy)


def _expand(rules: Iterable[SourceHostRule], local: Sequence[str]) -> Iterable[SourceHost]:
    """`smtp-source-host`: an address as it stands, a network as the local addresses in it."""
    for rule in rules:
        yield from (SourceHost(address, rule.name) for address in _own(rule.network, local))


def _own(text: str, local: Sequence[str]) -> Sequence[str]:
    network = ipaddress.ip_network(text, strict=False)
    if network.num_addresses == 1:
        return (str(network.network_address),)
    return [address for address in local if ipaddress.ip_address(address) in network]


def _ehlo_name(settings: Settings, vmta: VmtaSettings | None) -> str:
    if vmta is not None and vmta.host_name:
        return vmta.host_name[0]
    names = settings.general.host_name
    return names[0] if names else "localhost"
