"""Once a second in a shard: certificates that have changed are taken, ticket keys turn, an end that comes near is told, injections too.

What fails here is logged and nothing more: sessions go on with what they have. It stats the files in use and reads none that rests.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import structlog

from postwright.engine import certificates
from postwright.engine.intake import Intake

REMIND: Final = 86400.0  # seconds between two words on a certificate that ends soon
QUIET: Final = 60.0  # seconds between two words on plain text behind STARTTLS


class TlsWatch:
    """One per shard. `tells` is true in the one shard that speaks of what all of them see."""

    def __init__(self, intake: Intake, log: structlog.stdlib.BoundLogger, tells: bool, now: Callable[[], float] = time.time) -> None:
        self._intake = intake
        self._log = log
        self._tells = tells
        self._now = now
        self._remind_at = 0.0
        self._told_injections = 0
        self._quiet_until = 0.0

    def begin(self, secret: bytes) -> None:
        """Take the relay's secret of session tickets; tell what could not be used at the start."""
        self._intake.tickets.share(secret)
        self._intake.epoch.tls.rekey()
        for trouble in self._intake.tls_troubles:
            self._log.error("a certificate cannot be used, and there is no TLS where it is wanted", trouble=trouble)

    def tick(self) -> bool:
        """A second has passed. True: contexts are new, and listeners that speak TLS from the first octet want theirs."""
        self._tell_injections()
        tls = self._intake.epoch.tls
        told = tls.refresh()
        for one in told:
            if one.error:
                self._log.error("a certificate that changed cannot be used, the one before it stays", files=one.files, error=one.error)
            elif self._tells:
                self._log.info("certificates changed and are in use", files=one.files)
        if self._intake.tickets.turned():
            tls.rekey()
        if told:
            self._remind_at = 0.0
        self._remind()
        return bool(told)

    def _remind(self) -> None:
        """A renewal that fails is silent until the day on which nobody can log in."""
        now = self._now()
        if not self._tells or now < self._remind_at:
            return
        self._remind_at = now + REMIND
        for file in self._intake.epoch.tls.own_files():
            for finding in certificates.judge_dates(file, now):
                self._log.warning("certificate", trouble=finding.message, hint=finding.hint)

    def _tell_injections(self) -> None:
        """Somebody tries CVE-2011-0411 on us, or sits between us and a client. Once a minute is often enough to know."""
        counters = self._intake.counters
        total = counters.traffic.starttls_injections
        now = self._now()
        if total == self._told_injections or now < self._quiet_until:
            return
        self._log.warning(
            "plain text behind STARTTLS was dropped", sessions=total - self._told_injections, last_from=counters.last_injection
        )
        self._told_injections = total
        self._quiet_until = now + QUIET
