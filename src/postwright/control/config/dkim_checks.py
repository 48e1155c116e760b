"""Key files of `domain-key` that cannot sign, found before any mail waits for them. Files are of the environment: offline nobody looks.

What is not there at all is told where the line is read (`build_places`); a broken key here, as an error. Reports; changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from postwright.control.config.reader import Block, Entry, every_entry
from postwright.control.config.report import Report
from postwright.policy.settings import Settings

_ED25519 = "ed25519"


def check(settings: Settings, items: Iterable[Entry | Block], report: Report) -> None:
    """Reports. Asks nothing of a configuration without keys."""
    _algorithms(items, report)
    _seals(settings, items, report)
    lines = [] if report.offline else [entry for entry in every_entry(items) if entry.row.name == "domain-key"]
    if not lines:
        return
    from postwright.engine import dkim_keys  # it brings `cryptography`, which a configuration without keys need not wait for

    wanted = any(entry.value == "ed25519-sha256" for entry in every_entry(items) if entry.row.name.endswith("dkim-algorithm"))
    files = {key.origin: key.file for key in dkim_keys.domain_keys(settings) if not key.file.startswith(dkim_keys.VAULT)}
    for entry in lines:
        file = files.get(entry.origin, "")
        if not os.path.isfile(file):
            continue
        key = dkim_keys.read(file)
        found = dkim_keys.judge(file, key)
        if found is not None:
            level, words = found
            hint = "a new one: postwright dkim keygen" if level == "error" else f"chmod o-r {file}"
            report.at(entry.text, entry.line, f"domain-key: {words}", offset=0, level=level, hint=hint, kind="environment")
        elif not wanted and not isinstance(key, dkim_keys.Broken) and key.kind == _ED25519:
            message = "domain-key: nothing signs with this Ed25519 key"
            hint = "say dkim-algorithm or second-dkim-algorithm ed25519-sha256 in a <domain>"
            report.at(entry.text, entry.line, message, offset=0, level="warning", hint=hint, kind="environment")


def _algorithms(items: Iterable[Entry | Block], report: Report) -> None:
    """Who asks for SHA-1 in so many words gets it, and is told what it is worth."""
    for entry in every_entry(items):
        if entry.row.name.endswith("dkim-algorithm") and entry.value == "rsa-sha1":
            message = f"{entry.row.name}: no verifier accepts rsa-sha1 any more (RFC 8301)"
            report.at(entry.text, entry.line, message, offset=0, level="warning", hint="rsa-sha256, which is the default")


def _seals(settings: Settings, items: Iterable[Entry | Block], report: Report) -> None:
    """A seal says what was found when a message came: where nobody looks, nothing is sealed."""
    entries = [entry for entry in every_entry(items) if entry.row.name == "arc-seal" and entry.value is True]
    if not entries:
        return
    lacking = {
        "check-arc-inbound": ("no source looks at the chain of what comes in", "say check-arc-inbound yes in a <source>"),
        "domain-key": ("there is no domain-key", "postwright dkim keygen makes one"),
    }
    said = {entry.row.name for entry in every_entry(items) if entry.value is not False}
    for name in [name for name in lacking if name not in said]:
        why, hint = lacking[name]
        message = f"arc-seal: nothing will be sealed: {why}"
        report.at(entries[0].text, entries[0].line, message, offset=0, level="warning", hint=hint)
