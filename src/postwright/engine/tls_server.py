"""TLS of our own listeners: contexts out of the settings, chosen by the name that a client asks for, made anew when their files change.

Listeners with the same rules share a context. Raises OSError or ValueError, naming the file, when settings cannot be put in force; a reload
then keeps the old generation. A file that becomes unusable later keeps the contexts that there are: `refresh` says so once, and sessions
never notice.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from postwright.engine import certificates
from postwright.engine.tickets import Tickets
from postwright.engine.tls_context import make_context
from postwright.model.errors import PostwrightError
from postwright.policy.server_tls import ServerTlsRules, has_certificate, rules_of
from postwright.policy.settings import ListenerSettings, Settings

Stamp = tuple[tuple[str, int, int, int], ...]


class Refreshed(Struct, frozen=True):
    """What came of files that have changed; `error` is "" when the new ones are in use."""

    files: tuple[str, ...]
    error: str = ""


class _Made(Struct):
    """A context, the octets of what it trusts, and its files as they were when it was made, and as they were at the last look.

    No context: it could not be made at the start, and waits for its files to change.
    """

    context: ssl.SSLContext | None
    trusts: bytes
    made: Stamp
    seen: Stamp


class ServerTls:
    """Contexts by listener. Without a certificate TLS is not available, and STARTTLS not offered.

    `troubles` given: what cannot be used is added to it instead of being raised. A shard that is started again must carry mail whatever
    has become of a file since; STARTTLS is then answered 454, and a listener that speaks nothing but TLS stays shut.
    """

    def __init__(self, settings: Settings, tickets: Tickets | None = None, troubles: list[str] | None = None) -> None:
        self._settings = settings
        self._tickets = tickets or Tickets()
        self._troubles = troubles
        self._made: dict[ServerTlsRules, _Made] = {}
        self._rules: dict[ListenerSettings, ServerTlsRules | None] = {}
        for listener in settings.listeners:
            self.context(listener)

    def available(self, listener: ListenerSettings) -> bool:
        """Is there a certificate for this listener?"""
        return has_certificate(self._settings.general, listener)

    def context(self, listener: ListenerSettings) -> ssl.SSLContext | None:
        """The listener's context as of now, or None without a certificate."""
        if listener not in self._rules:
            self._rules[listener] = rules_of(self._settings, listener)
        rules = self._rules[listener]
        if rules is None:
            return None
        found = self._made.get(rules)
        if found is None:
            found = self._made[rules] = self._first(rules)
        return found.context

    def _first(self, rules: ServerTlsRules) -> _Made:
        stamp = _stamp(rules)
        try:
            return self._make(rules, stamp)
        except (OSError, ValueError) as error:
            if self._troubles is None:
                raise
            self._troubles.append(str(error))
            return _Made(None, b"", stamp, stamp)

    def refresh(self) -> list[Refreshed]:
        """Look at the files (a stat each); make anew what has changed and has rested since the last look. For a timer."""
        told = [self._look(rules, made) for rules, made in self._made.items()]
        return [one for one in told if one is not None]

    def rekey(self) -> None:
        """Give every context the ticket keys of the time and secret in force."""
        for rules, made in self._made.items():
            if made.context is not None:
                self._tickets.give(made.context, rules, made.trusts)

    def own_files(self) -> list[str]:
        """Our own certificates in use."""
        return list(dict.fromkeys(one.file for rules in self._made for one in (rules.certificate, *rules.others)))

    def _make(self, rules: ServerTlsRules, stamp: Stamp) -> _Made:
        """Raises OSError or ValueError."""
        try:
            context = make_context(rules, rules.certificate)
            if rules.others:
                context.sni_callback = _chooser(rules)
            trusts = b"".join(_octets(file) for file in (rules.ca_file, *rules.users) if file)
        except PostwrightError as error:
            raise OSError(str(error)) from error
        self._tickets.give(context, rules, trusts)
        return _Made(context, trusts, stamp, stamp)

    def _look(self, rules: ServerTlsRules, made: _Made) -> Refreshed | None:
        now = _stamp(rules)
        if now == made.made:
            made.seen = now
            return None
        if now != made.seen:  # it may still be being written: wait for a look at which nothing moves
            made.seen = now
            return None
        made.made = now  # whatever comes of it, it is tried and told once
        changed = rules.files
        try:
            fresh = self._make(rules, now)
        except (OSError, ValueError) as error:
            return Refreshed(changed, str(error))
        made.context, made.trusts = fresh.context, fresh.trusts
        return Refreshed(changed)


def lacking(settings: Settings, listener: ListenerSettings) -> str:
    """What the listener lacks of the TLS that it is to speak: "certificate", "version", or nothing."""
    rules = rules_of(settings, listener)
    if rules is None:
        return "certificate" if listener.immediate_tls else ""
    return "" if rules.versions else "version"


def _octets(file: str) -> bytes:
    return certificates.pem_text(certificates.read(file).certificates).encode()


def _stamp(rules: ServerTlsRules) -> Stamp:
    found = []
    for file in rules.files:
        try:
            facts = os.stat(file)
            found.append((file, facts.st_mtime_ns, facts.st_size, facts.st_ino))
        except OSError:
            found.append((file, 0, 0, 0))
    return tuple(found)


def _chooser(rules: ServerTlsRules) -> Callable[[Any, str | None, ssl.SSLContext], None]:
    """What `sni_callback` is: two look-ups in a table that was made beforehand. A name that nobody has is served by the default."""
    exact: dict[str, ssl.SSLContext] = {}
    below: dict[str, ssl.SSLContext] = {}
    for certificate in rules.others:
        context = make_context(rules, certificate)
        for name in certificates.names(certificates.read(certificate.file).certificates[0]):
            table = below if name.startswith("*.") else exact
            table.setdefault(name.removeprefix("*."), context)
    for name in certificates.names(certificates.read(rules.certificate.file).certificates[0]):
        exact.pop(name, None)  # the default goes before the others for its own names
    return _choose(exact, below)


def _choose(exact: dict[str, ssl.SSLContext], below: dict[str, ssl.SSLContext]) -> Callable[[Any, str | None, ssl.SSLContext], None]:
    def choose(session: Any, name: str | None, context: ssl.SSLContext) -> None:
        if name is None:
            return
        name = name.lower()
        found = exact.get(name) or below.get(name.partition(".")[2])
        if found is not None:
            session.context = found

    return choose
