"""Who may do what: the network that somebody comes from (`http-access`) and the key that he shows, as a set of scopes.

A route names one scope; whoever has it may. A network gives a role's scopes: none, monitor, operator, admin, the first line that fits;
without a line nobody has any (PowerMTA's default). A key gives its own scopes wherever it is used from, unless it names networks.
`http-api-key` of the configuration is an administrator's, as in PowerMTA. Keys are compared by their digests, so that time tells nothing;
whoever tries wrong ones waits. Nothing here raises: an answer is an `Identity` or a `Refusal`.
"""

from __future__ import annotations

import ipaddress
from base64 import b64decode
from collections import OrderedDict
from collections.abc import Iterable, Mapping

from msgspec import Struct

from postwright.control.http.keys import SCOPES, Key, digest
from postwright.policy.settings import HttpAccess, Settings

ALL = frozenset(SCOPES)
ROLES: dict[str, frozenset[str]] = {
    "none": frozenset(),
    "monitor,deny-logs": frozenset({"read"}),
    "monitor": frozenset({"read", "logs"}),
    "operator": frozenset({"read", "logs", "queues", "suppression"}),
    "admin": ALL,
}
TRIES = 10  # wrong keys from one address within WINDOW
WINDOW = 600.0  # seconds
MOST_REMEMBERED = 10_000

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Identity(Struct, frozen=True):
    """Who asks. `name` is what the audit says: `key NAME`, or the address for somebody known by his network alone.

    `by_key`: shown in the request itself, so no browser sends it by itself and no forged request has it. `role` "" for a key. `user`: the
    <smtp-user> whose rights and limits count for mail that this key hands in.
    """

    name: str
    address: str
    scopes: frozenset[str]
    by_key: bool = False
    role: str = ""
    user: str = ""

    def may(self, scope: str) -> bool:
        return scope in self.scopes


class Refusal(Struct, frozen=True):
    """No: the status, why, and after how many seconds to try again (0: never)."""

    status: int
    why: str
    retry_after: int = 0


class Guess:
    """Wrong keys by address, bounded."""

    def __init__(self) -> None:
        self._tried: OrderedDict[str, list[float]] = OrderedDict()

    def failed(self, address: str, now: float) -> None:
        tries = [when for when in self._tried.pop(address, []) if now - when < WINDOW]
        self._tried[address] = [*tries, now][-TRIES:]
        while len(self._tried) > MOST_REMEMBERED:
            self._tried.popitem(last=False)

    def wait(self, address: str, now: float) -> int:
        """Seconds until this address may try again, 0 for now."""
        tries = [when for when in self._tried.get(address, []) if now - when < WINDOW]
        return int(WINDOW - (now - tries[0])) + 1 if len(tries) >= TRIES else 0


class Gate:
    """The rules of one generation of settings; `keys` by digest, read anew by whoever owns the file."""

    def __init__(self, settings: Settings, guesses: Guess) -> None:
        http = settings.http
        self._rows = [(_network(row.network), row.right) for row in _rows(settings)]
        self._fixed = {digest(key): f"key http-api-key {number}" for number, key in enumerate(http.http_api_key, 1)}
        self._guesses = guesses

    def role(self, address: str) -> str:
        """Of somebody from there: the first line that fits; none without one."""
        ip = _plain(address)
        return next((right for network, right in self._rows if ip.version == network.version and ip in network), "none")

    def identify(self, address: str, headers: Mapping[str, str], keys: Mapping[str, Key], now: float) -> Identity | Refusal:
        """Who that is. A key that is shown must be right: a wrong one does not fall back on the network."""
        shown = shown_key(headers)
        if shown is None:
            role = self.role(address)
            return Identity(address, address, ROLES[role], role=role)
        if wait := self._guesses.wait(address, now):
            return Refusal(429, "too many wrong keys from this address", wait)
        found = self._known(shown, address, keys, now)
        if found is None:
            self._guesses.failed(address, now)
            return Refusal(401, "this key is not known here, has ended, or is not for this address")
        return found

    def _known(self, shown: str, address: str, keys: Mapping[str, Key], now: float) -> Identity | None:
        mark = digest(shown)
        if mark in self._fixed:
            return Identity(self._fixed[mark], address, ALL, by_key=True)
        key = keys.get(mark)
        if key is None or (key.expires and key.expires <= now):
            return None
        ip = _plain(address)
        if key.networks and not any(ip in _network(network) for network in key.networks):
            return None
        return Identity(f"key {key.name}", address, ALL if "admin" in key.scopes else frozenset(key.scopes), by_key=True, user=key.user)


def shown_key(headers: Mapping[str, str]) -> str | None:
    """`X-API-Key`, or `Authorization` with Bearer, KEY (PowerMTA's transmissions), Basic `api:KEY` (Mailgun's); None when there is none.

    An Authorization that we do not understand is a key that is wrong.
    """
    if "x-api-key" in headers:
        return headers["x-api-key"].strip()
    said = headers.get("authorization")
    if said is None:
        return None
    scheme, _, rest = said.strip().partition(" ")
    kind = scheme.lower()
    if kind in ("bearer", "key"):
        return rest.strip()
    return _basic(rest.strip()) if kind == "basic" else (said if not rest else "")


def _basic(text: str) -> str:
    try:
        name, _, key = b64decode(text, validate=True).decode().partition(":")
    except ValueError:
        return ""
    return key if name == "api" else ""


def _rows(settings: Settings) -> Iterable[HttpAccess]:
    """`http-access` first; of the old directives `no-http-mgmt-source` before `http-mgmt-source`, which lets see and no more."""
    yield from settings.http_access
    yield from (HttpAccess(network, "none") for network in settings.http.no_http_mgmt_source)
    yield from (HttpAccess(network, "monitor") for network in settings.http.http_mgmt_source)


def _network(text: str) -> Network:
    return ipaddress.ip_network(text, strict=False)


def _plain(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An IPv4 client of a socket for both is known by its IPv4 address."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    return ip.ipv4_mapped or ip if isinstance(ip, ipaddress.IPv6Address) else ip
