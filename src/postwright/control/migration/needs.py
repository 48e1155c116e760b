"""What a configuration wants of the machine: files, folders, ports and addresses, each with its line and whether it is there.

Looks at paths without opening them, and binds sockets that it closes at once: nothing is sent, read or kept. What cannot be found out
has the reason of the system. Raises nothing.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, Final

from msgspec import Struct

from postwright.control.config import kinds, rules
from postwright.control.config.directive import Scope, ValueProblem
from postwright.control.config.reader import Block, Entry

_FILES: Final = (kinds.FILE, kinds.FILE_PASSWORD, kinds.DOMAIN_KEY, kinds.FILE_OR_URL)
_WELL: Final = frozenset({"there", "free", "not looked for"})
_OUR_OWN: Final = frozenset({"log-file"})  # files that the relay makes: their folder is what must be there


class Need(Struct, frozen=True):
    """`kind`: file, folder, port or address; `state`: "there" (a port: "free"), or what is wrong; `place` is FILE:LINE."""

    kind: str
    what: str
    directive: str
    place: str
    state: str

    @property
    def missing(self) -> bool:
        """Somebody has to do something about it."""
        return self.state not in _WELL


def find(items: Iterable[Entry | Block], folder: str, look: bool) -> list[Need]:
    """All needs, each thing once: in the order of the text, the monitor's port last. Relative files are in `folder`; without `look` the
    machine is left alone."""
    found: dict[tuple[str, str], Need] = {}
    for kind, name, item in (*_named(items), *_monitor(items)):
        what = os.path.join(folder, name) if kind == "file" else name
        if (kind, what) not in found:
            state = _LOOK[kind](what) if look else "not looked for"
            found[kind, what] = Need(kind, what, item.row.name, f"{item.origin.file}:{item.origin.line}", state)
    return list(found.values())


def _named(items: Iterable[Entry | Block]) -> Iterator[tuple[str, str, Entry | Block]]:
    for item in items:
        if isinstance(item, Block):
            yield from ((kind, what, item) for kind, what in _of_block(item))
            yield from _named(item.items)
        else:
            yield from ((kind, what, item) for kind, what in _of_entry(item))


def _of_entry(entry: Entry) -> Iterator[tuple[str, str]]:
    name, value = entry.row.name, entry.value
    if name in _OUR_OWN:
        yield from _folder_of(value)
    elif entry.row.kind in _FILES:
        yield from _file(getattr(value, "file", value))
    elif name in ("spool", "move-to"):
        yield from _folder(value)
    elif name == "pickup":
        yield from (("folder", str(folder)) for folder in value)
    elif name == "smtp-source-host":
        yield from _address(value.network)
    elif name == "smtp-listener":
        yield "port", _joined(value.network, value.port)


def _of_block(block: Block) -> Iterator[tuple[str, str]]:
    if block.scope is Scope.SPOOL:
        yield from _folder(block.head)
    elif block.scope is Scope.ACCT_FILE and not str(block.head).startswith("|"):
        yield from _folder_of(block.head)
    elif block.scope is Scope.LISTENER:
        yield "port", _joined(block.head.network, block.head.port)
    elif block.scope is Scope.TRANSMISSIONS_API_LISTENER:
        with suppress(ValueProblem):  # the loader tells what is wrong with it
            place = rules.listener_address(block.head)
            yield "port", _joined(place.network, place.port)


def _monitor(items: Iterable[Entry | Block]) -> Iterator[tuple[str, str, Entry]]:
    """Its port, at each address that it is told to listen at; else at all of the machine's."""
    entries = [item for item in items if isinstance(item, Entry)]
    addresses = [entry.value for entry in entries if entry.row.name == "http-mgmt-address"] or ["0.0.0.0"]
    for entry in entries:
        if entry.row.name == "http-mgmt-port" and entry.value:
            yield from (("port", _joined(address, entry.value), entry) for address in addresses)


def _file(path: Any) -> Iterator[tuple[str, str]]:
    """A file of the operator's. What a vault or a web server keeps is not on the machine."""
    if isinstance(path, str) and path and not path.startswith(("{vault}", "https://")):
        yield "file", path


def _folder(path: str) -> Iterator[tuple[str, str]]:
    if os.path.isabs(path):  # a relative one is made below the state folder
        yield "folder", path


def _folder_of(path: str) -> Iterator[tuple[str, str]]:
    yield from _folder(os.path.dirname(path) if os.path.isabs(path) else "")


def _address(network: str) -> Iterator[tuple[str, str]]:
    """A single address; which ones of a network are meant, the machine says at run time."""
    address, _, bits = network.partition("/")
    if bits in ("", "32" if ":" not in address else "128"):
        yield "address", address


def _joined(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


# -- looking ------------------------------------------------------------------------------


def _look_file(path: str) -> str:
    if "\0" in path or not os.path.isfile(path):
        return "is not there"
    return "there" if os.access(path, os.R_OK) else "may not be read by this user"


def _look_folder(path: str) -> str:
    if "\0" in path or not os.path.isdir(path):
        return "is not there"
    return "there" if os.access(path, os.W_OK | os.X_OK) else "may not be written to by this user"


def _look_port(what: str) -> str:
    address, _, port = what.rpartition(":")
    address = address.strip("[]")
    if "/" in address:  # all of the machine's in that network, whichever they will be
        return "not looked for"
    state = _bound(address, int(port))
    return "free" if state == "there" else state


def _look_address(address: str) -> str:
    return _bound(address, 0)


TAKEN: Final = "is taken by another program"
_WORDS: Final = {
    errno.EADDRINUSE: TAKEN,
    errno.EADDRNOTAVAIL: "is no address of this machine",
    errno.EACCES: "needs root's right, or CAP_NET_BIND_SERVICE",
}


def _bound(address: str, port: int) -> str:
    try:
        family = socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind((address, port))
    except (OSError, ValueError) as error:
        return _WORDS.get(getattr(error, "errno", None) or 0, getattr(error, "strerror", None) or str(error))
    return "there"


_LOOK: Final = {"file": _look_file, "folder": _look_folder, "port": _look_port, "address": _look_address}
