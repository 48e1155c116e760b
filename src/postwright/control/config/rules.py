"""Lines with a shape of their own: listeners, source hosts, keys, access, accounting. (Rules of lists: `list_rules`.)

Like `values`: text in, plain value of the settings tree out, `ValueProblem` with the column else. The origin of a rule is filled in by who
knows it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from msgspec import Struct

from postwright.control.config import values
from postwright.control.config.directive import ValueProblem
from postwright.control.config.scan import Scanner, comma_list
from postwright.model.address import parse_mailbox
from postwright.model.errors import AddressError
from postwright.policy.settings import (
    DomainKey,
    FilePassword,
    HttpAccess,
    ProxyClient,
    ProxySourceRule,
    SourceHostRule,
)

T = TypeVar("T")

RIGHTS = ("none", "monitor", "monitor,deny-logs", "operator", "admin")


class ListenerAddress(Struct, frozen=True):
    """`CIDR-or-IP:PORT [source=NAME]`: `network` an address or, for several, a network."""

    network: str
    port: int
    source: str = ""


class HostPort(Struct, frozen=True):
    """`HOST:PORT`."""

    host: str
    port: int


class Macro(Struct, frozen=True):
    """`domain-macro NAME list`: the words of the list as written, each with its place in the line."""

    name: str
    words: tuple[str, ...]


def checked(parse: Callable[[str], T], text: str, at: int) -> T:
    """`parse(text)`, its complaint moved to where `text` stands in the line."""
    try:
        return parse(text)
    except ValueProblem as problem:
        problem.offset += at
        raise


def take(scanner: Scanner, what: str, parse: Callable[[str], T]) -> T:
    """The next word as a value."""
    at = scanner.at
    return checked(parse, scanner.take_word(what), at)


def take_expression(scanner: Scanner) -> str:
    """The next word as an expression that compiles."""
    at = scanner.at
    return checked(values.expression, scanner.take_regex(), at)


def shifted(cut: Callable[[str], list[tuple[str, int]]], scanner: Scanner) -> list[tuple[str, int]]:
    """What is left in the line, cut, with the place of each piece in the whole line."""
    start = scanner.at
    try:
        return [(word, at + start) for word, at in cut(scanner.rest())]
    except ValueProblem as problem:
        problem.offset += start
        raise


# -- hosts, keys, access --------------------------------------------------------------------


def source_host(text: str) -> SourceHostRule:
    """`IP-or-CIDR HOSTNAME`."""
    scanner = Scanner(text)
    at = scanner.at
    first = scanner.take_word("an address")
    try:
        network = values.network(first)
    except ValueProblem as problem:
        # machine-written files have it the other way round; there is but one way to understand them
        swapped = _swapped(first, scanner.rest())
        hint = "the address comes first, the host name second" if swapped is not None else problem.hint
        raise ValueProblem(problem.message, at, hint, unknown=swapped is not None, instead=swapped) from None
    name = take(scanner, "the host name", values.host_name)
    scanner.end()
    return SourceHostRule(network.removesuffix("/32" if ":" not in network else "/128"), name)


def proxy_client(text: str) -> ProxyClient:
    """`IP[:PORT] HOSTNAME`."""
    scanner = Scanner(text)
    client = _client(scanner)
    scanner.end()
    return client


def _client(scanner: Scanner) -> ProxyClient:
    address, port = take(scanner, "the address that the proxy sends from", _address_and_port)
    return ProxyClient(address, port, take(scanner, "the host name", values.host_name))


def _address_and_port(text: str) -> tuple[str, int]:
    """An address, with a port or without (0); IPv6 with a port wants brackets."""
    host, colon, digits = text.rpartition(":")
    if not colon or (text.count(":") > 1 and not host.endswith("]")):
        return values.address(text), 0
    return values.address(host), checked(values.port, digits, len(host) + 1)


def proxy_source(text: str) -> ProxySourceRule:
    """`LOCALIP-or-CIDR PROXY:PORT CLIENTIP[:PORT] HOSTNAME`."""
    scanner = Scanner(text)
    local = take(scanner, "the address of ours to reach the proxy from", values.network)
    server = take(scanner, "the proxy and its port", host_port)
    client = _client(scanner)
    scanner.end()
    return ProxySourceRule(local, (server.host, server.port), client)


def name_server(text: str) -> str:
    """`IP`, `IP:PORT` or `[IP]:PORT`, canonical; without a port it is 53. An IPv6 address with a port stands in brackets."""
    scanner = Scanner(text)
    at = scanner.at
    place = scanner.take_word("an address")
    scanner.end()
    host, colon, digits = place.rpartition(":")
    if not colon or (":" in host and not host.endswith("]")):
        return checked(values.address, place, at)
    address = checked(values.address, host, at)
    number = checked(values.port, digits, at + len(host) + 1)
    return f"[{address}]:{number}" if ":" in address else f"{address}:{number}"


def _swapped(host: str, address: str) -> SourceHostRule | None:
    try:
        return SourceHostRule(values.address(address), values.host_name(host))
    except ValueProblem:
        return None


def listener_address(text: str) -> ListenerAddress:
    """`CIDR-or-IP:PORT [source=NAME]`; an IPv6 address stands in brackets; `0/0` is every IPv4 address."""
    scanner = Scanner(text)
    at = scanner.at
    place = scanner.take_word("an address and a port")
    host, colon, digits = place.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not host or (":" in host and bare is host):
        raise ValueProblem(f"`{place}` is no address with a port", at, "write 192.0.2.1:25, 0/0:25 or [::1]:25")
    network = checked(values.network, bare, at)
    number = checked(values.port, digits, at + len(host) + 1)
    source = ""
    if not scanner.done():
        at = scanner.at
        option = scanner.take_word("")
        if not option.lower().startswith("source=") or len(option) == 7:
            raise ValueProblem(f"`{option}` is no option of a listener", at, "only source=NAME may stand here", unknown=True)
        source = option[7:]
    scanner.end()
    return ListenerAddress(_single(network), number, source)


def _single(network: str) -> str:
    """A network of one as its address, all of IPv4 or IPv6 as the wildcard address."""
    for suffix in ("/32", "/0") if ":" not in network else ("/128", "/0"):
        if network.endswith(suffix):
            return network.removesuffix(suffix)
    return network


def host_port(text: str) -> HostPort:
    """`HOST:PORT`."""
    host, colon, digits = text.rpartition(":")
    if not colon or not host:
        raise ValueProblem(f"`{text}` is no host with a port")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else ""
    name = values.address(bare) if bare else values.host_name(host)
    return HostPort(name, checked(values.port, digits, len(host) + 1))


def host_list(text: str) -> str:
    """`h1,h2;[ip]:port;lookup-mx:dom;unix:/path`, checked and given back as written."""
    at = 0
    for group in text.split(";"):
        for item in group.split(","):
            name = item.strip()
            checked(_one_host, name, at + len(item) - len(item.lstrip()))
            at += len(item) + 1
    return text


def _socket_path(path: str) -> None:
    if not path.startswith("/") or len(path.encode()) > 107:  # the kernel's limit for the name of a Unix socket
        raise ValueProblem(f"`{path}` is no path of a Unix socket", hint="an absolute path of at most 107 octets")


_host_item = re.compile(r"(?:(\[[^\]]*\])|(lookup-mx:)?([^\s:\[\]]+))(?::(.*))?", re.IGNORECASE).fullmatch


def _one_host(item: str) -> None:
    if item.startswith("unix:"):
        checked(_socket_path, item.removeprefix("unix:"), len("unix:"))
        return
    found = _host_item(item)
    if found is None:
        hint = "write host, host:port, [address]:port or lookup-mx:domain"
        raise ValueProblem(f"`{item}` is no host" if item else "a host is missing", 0, hint)
    if found[1]:
        checked(values.address, found[1][1:-1], 1)
    else:
        values.host_name(found[3].removesuffix("."))
    if found[4] is not None:
        checked(values.port, found[4], found.start(4))


def domain_key(text: str) -> DomainKey:
    """`SELECTOR, DOMAIN-or-*, FILE`."""
    items = comma_list(text)
    if len(items) != 3:
        at = items[3][1] if len(items) > 3 else len(text)
        hint = "selector, example.com, /path/to/key.pem"
        raise ValueProblem("a key is a selector, a domain and a file", at, hint, unknown=len(items) > 3)
    (selector, _), (domain, at), (file, _) = items
    return DomainKey(selector, checked(domain_or_macro, domain, at), file)


def domain_or_macro(text: str) -> str:
    """A pattern of domains; what holds a `$macro` is checked when that is known.

    A backslash before the dollar is a real file's: a script had written it. No domain holds a dollar, so the macro is meant.
    """
    text = text.replace("\\$", "$")
    if " " in text:
        raise ValueProblem("one domain, or a domain-macro for several", len(text.split(" ", 1)[0]) + 1, unknown=True)
    return text.lower() if "$" in text else values.domain_pattern(text)


def http_access(text: str) -> HttpAccess:
    """`CIDR none|monitor[,deny-logs]|operator|admin`."""
    if not text:
        raise ValueProblem("a network and a right are missing", 0, "write `http-access 192.0.2.0/24 monitor`; # begins a comment")
    scanner = Scanner(text)
    network = take(scanner, "a network", values.network)
    at = scanner.at
    right = scanner.rest().lower().replace(" ", "")
    if right not in RIGHTS:
        raise ValueProblem(f"`{right}` is no right" if right else "the right is missing", at, f"rights are {', '.join(RIGHTS)}")
    return HttpAccess(network, right)


def file_password(text: str) -> FilePassword:
    """`FILE [PASSWORD]`."""
    scanner = Scanner(text)
    file = scanner.take_word("a file")
    password = "" if scanner.done() else scanner.take_word("")
    scanner.end()
    return FilePassword(file, password)


_macro_name = re.compile(r"[A-Za-z0-9_]+").fullmatch


def macro(text: str) -> Macro:
    """`NAME a, b, c`; a comma at the end is let pass.

    Two words without a comma between them are an error: the list may go on over several lines, and would else swallow a misspelt directive.
    """
    text = text.replace("\t", " ")
    name, _, rest = text.partition(" ")
    if _macro_name(name) is None:
        raise ValueProblem(f"`{name}` is no name of a macro" if name else "the name of the macro is missing", 0, "letters, digits and _")
    words = [word.strip() for word in rest.lower().split(",")]
    for word in words:
        if " " in word:
            at = text.lower().index(word, len(name)) + word.index(" ") + 1
            raise ValueProblem(f"a comma is missing after `{word.split(' ', 1)[0]}`", at)
    return Macro(name.lower(), tuple([word for word in words if word]))


def alias(text: str) -> tuple[str, tuple[str, ...]]:
    """`ADDRESS TARGET[,TARGET…]`; the address may be a local part alone or `*@domain`."""
    scanner = Scanner(text)
    address = take(scanner, "an address", email)
    if scanner.done():
        raise ValueProblem("the target is missing", scanner.at)
    return address, tuple(checked(email, word, at) for word, at in shifted(comma_list, scanner))


# -- accounting ---------------------------------------------------------------------------

RECORD_TYPES = {
    "d": "d", "delivery": "d", "b": "b", "bounce": "b", "t": "t", "transient": "t", "tq": "tq", "transient-queue": "tq", "r": "r",
    "receipt": "r", "received": "r", "f": "f", "feedback-loop": "f", "rb": "rb", "remote-bounce": "rb", "rs": "rs", "remote-status": "rs",
}  # fmt: skip


def record_type(text: str) -> str:
    """A type of record by its short name."""
    found = RECORD_TYPES.get(text.lower())
    if found is None:
        hint = f"types are {', '.join(dict.fromkeys(RECORD_TYPES.values()))}"
        raise ValueProblem(f"`{text}` is no type of record", hint=hint, unknown=True)
    return found


_local = re.compile(r'(?:"(?:[^"\\\r\n]|\\.)*"|[^\s@",;:<>()\[\]\\]+)').fullmatch


def email(text: str) -> str:
    """`local@domain`, or a bare local part of this host."""
    local, at, domain = text.rpartition("@")
    if not at:
        local, domain = domain, ""
    if _local(local) is None or (at and not domain):
        raise ValueProblem(f"`{text}` is no address")
    try:
        parse_mailbox(f"{local}@a.example", smtputf8=True)
    except AddressError as error:
        raise ValueProblem(f"`{text}` is no address: {error}") from None
    if domain:
        checked(values.host_name, domain, len(local) + 1)
    return text


def relay_address(text: str) -> str:
    """The same, but an address must have its domain."""
    value = address_or_regex(text)
    if not value.startswith("/") and "@" not in value:
        raise ValueProblem(f"`{value}` has no domain")
    return value


def address_or_regex(text: str) -> str:
    """An address, a local part, or an expression between slashes."""
    scanner = Scanner(text)
    if scanner.peek() == "/":
        pattern = take_expression(scanner)
        scanner.end()
        return pattern
    word = take(scanner, "an address", email)
    scanner.end()
    return word
