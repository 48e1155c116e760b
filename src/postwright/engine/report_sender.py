"""Sends the TLS reports of the days that are over (RFC 8460 section 5): one process for all shards, once a day, to whoever asked for them.

A domain asks by the TXT record at `_smtp._tls.DOMAIN`. mailto: becomes a message of ours, https: a POST, tried three times. The reports
leave some time within four hours after midnight (section 4.2 wants a random delay); a restart in the middle may send some twice, under
the same report-id. A report is never held to the policies that it complains of (section 3).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Final

import structlog
from msgspec import Struct

from postwright.content import tlsrpt
from postwright.engine import tls_reports
from postwright.engine.tls_reports import DAY, Counted
from postwright.model.route import MxStatus
from postwright.net.clock import Clock
from postwright.net.http_client import HttpClient, HttpFailed
from postwright.net.resolver import Resolver
from postwright.policy import tls_report

SPREAD: Final = 4 * 3600.0  # seconds
SETTLES: Final = 600.0  # seconds after midnight until every shard has written the day that ended
TRIES, PAUSE = 3, 600.0
PATIENCE = 60.0

Mail = Callable[[str, bytes], Awaitable[None]]  # recipient and content; done when it is ours to deliver


class Submitter(Struct, frozen=True):
    """Who reports: `sender` is From, `contact` the address or URL for questions."""

    host: str
    organisation: str
    sender: str
    contact: str


class ReportSender:
    """Of the relay: one shard has it."""

    def __init__(
        self,
        clock: Clock,
        resolver: Callable[[], Resolver],
        folder: Path,
        log: structlog.stdlib.BoundLogger,
        submitter: Submitter,
        mail: Mail,
        random: Random,
        ca_file: str = "",
    ) -> None:
        self._clock = clock
        self._resolver = resolver
        self._folder = folder
        self._log = log
        self._submitter = submitter
        self._mail = mail
        self._random = random
        self._ca_file = ca_file
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.ensure_future(self._daily())

    async def close(self) -> None:
        """A report under way is sent again after the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _daily(self) -> None:
        while True:
            await self.send_ended()
            now = self._clock.now()
            midnight = (now // DAY + 1) * DAY
            await self._clock.sleep(midnight - now + SETTLES + self._random.random() * (SPREAD - SETTLES))

    async def send_ended(self) -> None:
        """All days before today."""
        today = int(self._clock.now() // DAY)
        for day, shards in sorted(tls_reports.days(self._folder).items()):
            if day < today:
                for domain, kinds in sorted(tls_reports.merged(self._folder, day, shards).items()):
                    await self._send(day, domain, kinds)
                tls_reports.forget(self._folder, day)

    async def _send(self, day: int, domain: str, kinds: dict[str, Counted]) -> None:
        record = await self._resolver().texts(f"_smtp._tls.{domain}")
        places = tls_report.places(record.texts) if record.status is MxStatus.FOUND else ()
        if not places:
            return
        who = self._submitter
        order = tlsrpt.Submission(domain, day * DAY, (day + 1) * DAY - 1, who.organisation, who.host, who.contact, f"{day}.{domain}")
        zipped = tlsrpt.document(order, [_policy(kind, counted) for kind, counted in sorted(kinds.items())])
        for place in places:
            if place.startswith("mailto:"):
                to = place.removeprefix("mailto:")
                await self._mail(to, tlsrpt.mail(order, zipped, who.sender, to, self._clock.now()))
                self._log.info("a TLS report is on its way", domain=domain, to=to)
            else:
                await self._post(domain, place, zipped)

    async def _post(self, domain: str, url: str, zipped: bytes) -> None:
        client = HttpClient(PATIENCE, self._ca_file)
        try:
            for attempt in range(TRIES):
                try:
                    answer = await client.post_document(url, zipped, "application/tlsrpt+gzip")
                    if 200 <= answer.status < 300:
                        self._log.info("a TLS report was taken", domain=domain, url=url)
                        return
                    why = f"the server answers {answer.status}"
                except HttpFailed as error:
                    why = str(error)
                if attempt < TRIES - 1:
                    await self._clock.sleep(PAUSE)
            self._log.warning("a TLS report could not be sent", domain=domain, url=url, error=why)
        finally:
            await client.close()


def _policy(kind: str, counted: Counted) -> tlsrpt.PolicyReport:
    failures = [tlsrpt.Failures(row.result, count, row.sending, row.host, row.receiving, row.reason) for row, count in counted.failures]
    return tlsrpt.PolicyReport(kind, counted.strings, counted.hosts, counted.successes, tuple(failures))
