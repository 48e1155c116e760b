"""Settings that touch the machine: listeners, spool folders, accounting files, certificates; and heads that are addresses.

Paths of state (spool, log, accounting) are relative to the state folder, paths of what the operator supplies (certificates, keys, lists)
to the folder of the configuration. What is not there is a problem of the environment, left out when checking offline. Nothing is created.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from msgspec import structs

from postwright.control.config import fill, rules, values
from postwright.control.config.directive import ValueProblem
from postwright.control.config.lines import Line, Text
from postwright.control.config.problems import Level
from postwright.control.config.reader import Block, Entry, head_of
from postwright.control.config.report import Report
from postwright.policy.settings import AcctFileSettings, Alias, ListenerSettings, Settings, SpoolSettings

# Files of the operator: which directives name one that must be there, and how bad it is if it is not.
_FILES: dict[str, Level] = {
    "smtp-server-tls-certificate": "error",
    "smtp-server-tls-sni-certificate": "error",
    "tls-sni-certificate": "error",
    "smtp-server-tls-ca-file": "error",
    "tls-certificate": "error",
    "tls-ca-file": "error",
    "ca-file": "error",
    "secret-file": "error",
    "kerberos-keytab": "error",
    "smtp-client-certificate": "error",
    "smtp-tls-ca-file": "error",
    "users-file": "warning",
    "include-headers-from": "warning",
    "http-tls-ca-file": "warning",
    "http-tls-certificate": "warning",
    "http-delivery-extra-headers": "warning",
    "http-webhook-extra-headers": "warning",
    "http-webhook-certificate": "warning",
    "http-webhook-ca-file": "warning",
    "dsn-failed-body-template-from": "warning",
    "bounce-category-shadow": "error",
    "address-file": "error",  # without it mail would go to those who have said no
    "body-pattern-file": "warning",
    "precached-domains-file": "warning",
    "trust-anchor-file": "error",
}
_LIKE_ADDRESS = re.compile(r"[\d.]+(/.*)?|.*:.*|[^{]*/\d*")


class Places:
    """`folder` is where the configuration is, `state_dir` where relative state goes (None: relative to the working folder).

    `defaults` is the name of the vendor's file, if there is one.
    """

    def __init__(self, report: Report, folder: Path, state_dir: Path | None, defaults: str = "") -> None:
        self.defaults = defaults
        self.refused: frozenset[str] = frozenset()  # directives of which a value was left out
        self._report = report
        self._folder = os.path.abspath(folder)
        self._state_dir = state_dir

    def beside(self, path: str) -> str:
        """A path of the operator's, absolute or relative to the configuration."""
        return os.path.join(self._folder, path) if path else ""

    def state(self, path: str) -> str:
        """A path of state."""
        return os.path.join(self._state_dir, path) if self._state_dir is not None and path else path

    def must_exist(self, entry: Entry, path: str, level: Level = "warning") -> None:
        """Reports a file that is not there."""
        if self._report.offline or path.startswith("{vault}"):
            return
        if "\0" in path or not os.path.isfile(path):
            self._report.at(entry.text, entry.line, f"{entry.row.name}: there is no file {path}", offset=0, level=level, kind="environment")

    # -- files of the operator --------------------------------------------------------------

    def located(self, item: Entry) -> Entry:
        """The entry with its path made absolute and looked for, if it names a file of the operator."""
        name = item.row.name
        if name in ("log-file", "move-to", "pickup") and item.value:
            folders = item.value if name == "pickup" else (item.value if name == "move-to" else os.path.dirname(item.value),)
            for folder in folders:
                self._folder_there(item.text, item.line, name, folder)
        level = _FILES.get(item.row.name)
        if level is None or item.value is None:
            return item
        value = item.value
        path = self.beside(value.file if hasattr(value, "file") else value)
        self.must_exist(item, path, level)
        if name == "users-file":
            self._users_file(item, path)
        value = structs.replace(value, file=path) if hasattr(value, "file") else path
        return structs.replace(item, value=value)

    def _users_file(self, entry: Entry, path: str) -> None:
        """What is wrong with the users in it, and with who may read it."""
        if self._report.offline:
            return
        from postwright.engine import users_file  # it brings `cryptography`: see `tls_checks`

        try:
            users_file.read(Path(path))
        except users_file.UsersFileError as error:
            self._report.at(entry.text, entry.line, f"users-file: {error}", offset=0, kind="environment")
        mode = users_file.too_open(Path(path))
        if mode:
            self._report.at(entry.text, entry.line, f"users-file: {mode}", offset=0, level="warning", kind="environment")

    def _folder_there(self, text: Text, line: Line, name: str, path: str) -> None:
        """Tells of a folder that is not there. Relative ones are ours to make, below the state folder."""
        if self._report.offline or not os.path.isabs(path) or os.path.isdir(path):
            return
        self._report.at(text, line, f"{name}: there is no folder {path}", level="warning", kind="environment")

    # -- listeners and sources --------------------------------------------------------------

    def listeners(self, entries: Iterable[Entry], blocks: Iterable[Block]) -> tuple[ListenerSettings, ...]:
        """`smtp-listener` lines and blocks in order; without any, the old `smtp-ip` and `smtp-port`, or 0.0.0.0:25."""
        found: dict[tuple[str, int], ListenerSettings] = {}
        old: dict[str, Any] = {}
        for entry in entries:
            if entry.row.field == "listeners":
                address = entry.value
                found[address.network, address.port] = ListenerSettings(address.network, address.port, address.source, origin=entry.origin)
            elif entry.row.name in ("smtp-ip", "smtp-port"):
                old[entry.row.name] = entry.value
        for block in blocks:
            given = fill.values(block.entries(), ListenerSettings)
            place = self.address_of(block)
            key = (place["address"], place["port"])
            before = found.get(key)
            if before is not None:
                found[key] = structs.replace(before, **given)
            else:
                found[key] = ListenerSettings(**{"source": block.head.source, **given, **place, "origin": block.origin})
        if found or "smtp-listener" in self.refused:  # who wrote one that was left out has not asked for all addresses
            return tuple(found.values())
        return (ListenerSettings(old.get("smtp-ip", "0.0.0.0"), old.get("smtp-port", 25)),)

    def address_of(self, block: Block) -> dict[str, Any]:
        """`IP:PORT` in the head of a listener's block."""
        head = block.head
        if not isinstance(head, rules.ListenerAddress):
            try:
                head = rules.listener_address(head)
            except ValueProblem as problem:
                self._report.at(block.text, block.line, f"<{block.row.name}>: {problem.message}", hint=problem.hint)
                return {"address": "127.0.0.1", "port": 0}
        return {"address": head.network, "port": head.port}

    def source_head(self, block: Block) -> tuple[str, str]:
        """The network, or else the name, of a `<source>`; two empty strings for what is neither."""
        head: str = block.head
        try:
            return values.network(head), ""
        except ValueProblem as problem:
            if not _LIKE_ADDRESS.fullmatch(head):
                return "", head
            line = head_of(block.line, head)
            self._report.at(block.text, line, f"<source>: {problem.message}", offset=0, hint=problem.hint)
            return "", ""

    # -- state ------------------------------------------------------------------------------

    def spools(self, entries: Iterable[Entry], blocks: Iterable[Block]) -> tuple[SpoolSettings, ...]:
        """`spool DIR` and `<spool DIR>`, each folder once; all with `spool-min-free-space`, where they do not say otherwise."""
        entries = list(entries)
        free = next((entry.value for entry in reversed(entries) if entry.row.name == "spool-min-free-space"), 0)
        found: dict[str, SpoolSettings] = {}
        for entry in entries:
            if entry.row.field == "spools":
                self._folder_there(entry.text, entry.line, "spool", entry.value)
                path = self.state(entry.value)
                found[path] = SpoolSettings(path, min_free_space=free, origin=entry.origin)
        for block in blocks:
            self._folder_there(block.text, block.line, "spool", block.head)
            path = self.state(block.head)
            given = fill.values(block.entries(), SpoolSettings)
            before = found.get(path, SpoolSettings(path, min_free_space=free, origin=block.origin))
            found[path] = structs.replace(before, **given)
        if free and not found:
            found[""] = SpoolSettings(self.state("spool"), min_free_space=free)
        return tuple(found.values())

    def acct_files(self, blocks: Iterable[Block]) -> tuple[AcctFileSettings, ...]:
        """`<acct-file>`; the fields of each type of record, and `records` at most once a block."""
        found: dict[str, AcctFileSettings] = {}
        for block in blocks:
            pipe = block.head.startswith("|")
            path = block.head if pipe else self.state(block.head)
            if not pipe:
                self._folder_there(block.text, block.line, "acct-file", os.path.dirname(block.head))
            given = fill.values(block.entries(), AcctFileSettings)
            given["record_fields"] = dict(given.pop("record_fields", ()))
            if "move_to" in given:
                given["move_to"] = self.state(given["move_to"])
            self._once(block, "records")
            before = found.get(path)
            if before is None:
                before = AcctFileSettings(path, origin=block.origin)
            given["record_fields"] = {**before.record_fields, **given["record_fields"]}
            found[path] = structs.replace(before, **given)
        return tuple(found.values())

    def _once(self, block: Block, name: str) -> None:
        first: Entry | None = None
        for entry in block.entries():
            if entry.row.name == name:
                if first is not None:
                    hint = f"the other is on line {first.line.number}"
                    self._report.at(entry.text, entry.line, f"a second `{name}` in one <{block.row.name}>", hint=hint, forgiven=True)
                first = entry

    def finished(self, settings: Settings) -> Settings:
        """With the paths of global state in their place, and a name."""
        general = settings.general
        changed = {"log_file": self.state(general.log_file), "host_name": general.host_name or (own_name(),)}
        pickup = tuple(self.state(folder) for folder in settings.pickup)
        return structs.replace(settings, general=structs.replace(general, **changed), pickup=pickup)

    # -- aliases ----------------------------------------------------------------------------

    def aliases(self, entries: Iterable[Entry]) -> tuple[Alias, ...]:
        """`alias` lines, in the open and in `<aliases>`."""
        found: list[Alias] = []
        for entry in entries:
            if entry.row.name == "alias":
                address, targets = entry.value
                found.append(Alias(address, targets, entry.origin))
        return tuple(found)


def own_name() -> str:
    """The system's name for itself, where the configuration gives none. Not looked up: a load does not wait for the DNS."""
    try:
        return values.host_name(socket.gethostname())
    except ValueProblem:
        return "localhost"
