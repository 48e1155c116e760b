"""Which TLS each host of a plan must have: gathers what DNSSEC and MTA-STS say, has `policy.transport` decide, and tells the reports.

Asked once for each connection that is opened, and only where `use-dane`, `use-mta-sts` or `tlsrpt` is on. All answers come from caches that
know their time (`net.resolver`, `engine.sts_cache`). Decides nothing itself; never raises.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random

import structlog

from postwright.engine import own_mail
from postwright.engine.dials import Dials
from postwright.engine.report_sender import ReportSender, Submitter
from postwright.engine.sts_cache import NOTHING, Fetch, StsAnswer, StsCache
from postwright.engine.tls_reports import TlsReports
from postwright.model.outcome import Failure
from postwright.model.route import MxAnswer, Plan, Route
from postwright.model.tlsa import TlsaAnswer
from postwright.net.channel import Channel
from postwright.net.clock import Clock
from postwright.net.resolver import Resolver
from postwright.policy import tls_report, transport
from postwright.policy.domain_settings import DomainSettings


class TransportPolicy:
    """Of one shard. `reports` None where nobody wants any (`tlsrpt no`)."""

    def __init__(
        self, clock: Clock, resolver: Callable[[], Resolver], folder: Path, log: structlog.stdlib.BoundLogger, get: Fetch | None = None
    ) -> None:
        self._clock = clock
        self._resolver = resolver
        self._log = log
        self._counts = folder / "tls-reports"
        self.sts = StsCache(clock, resolver, folder / "mta-sts", get)
        self.dials = Dials()
        self.reports: TlsReports | None = None
        self.sender: ReportSender | None = None

    async def apply(self, node: own_mail.Owner, number: int) -> None:
        """Begin or end to count, by `tlsrpt`; shard 0 sends for all."""
        general = node.resolved.settings.general
        await self._end_reports()
        if not general.tlsrpt:
            return
        self.reports = TlsReports(self._clock, number, self._counts, self._log)
        self.reports.start()
        if number == 0:
            host = next(iter(general.host_name), "localhost")
            sender = general.tlsrpt_from or f"postmaster@{host}"
            who = Submitter(host, general.tlsrpt_organization or host, sender, general.tlsrpt_contact or sender)
            mail = partial(own_mail.send, node, sender)
            self.sender = ReportSender(self._clock, self._resolver, self._counts, self._log, who, mail, Random())
            self.sender.start()

    async def _end_reports(self) -> None:
        if self.reports is not None:
            self.reports.close()
        if self.sender is not None:
            await self.sender.close()
        self.reports = self.sender = None

    async def secure(self, domain: str, answer: MxAnswer, plan: Plan, settings: DomainSettings, *, configured: bool = False) -> Plan:
        """The plan with what its hosts must show. `configured`: the hosts are the operator's (`smtp-hosts`), so no DNS need vouch for
        them."""
        if not (settings.use_dane or settings.use_mta_sts):
            return plan
        if not plan.routes:
            if answer.bogus and settings.use_dane and self.reports is not None:
                self.reports.count_as(domain, "tlsa", tls_report.Row("dnssec-invalid", reason=answer.detail[:200]))
            return plan
        tlsa = await self._tlsa(answer, plan) if settings.use_dane and (answer.secure or configured) else {}
        # whoever names the hosts himself has decided more than the domain's policy could (RFC 8461 is about MX records)
        sts = await self.sts.policy(domain) if settings.use_mta_sts and not configured else NOTHING
        found = transport.secure(domain, answer, plan, tlsa, sts.policy)
        for one in found.left_out:
            self._log.info("a host is not used", domain=domain, host=one.host, why=one.why)
        if self.reports is not None:
            self._tell(domain, tlsa, sts, found.left_out, plan)
        return found.plan

    async def vouched_for(self, domain: str, routes: tuple[Route, ...], *, configured: bool) -> tuple[Route, ...]:
        """Those routes whose host nobody in between could have put in (REQUIRETLS, RFC 8689 section 4.2.1)."""
        if configured or not routes:
            return routes
        answer = await self._resolver().mx(domain)
        sts = NOTHING if answer.secure else await self.sts.policy(domain)
        return tuple([route for route in routes if transport.vouched_for(answer, route, sts.policy)])

    def dialled(self, domain: str, route: Route, outcome: Channel | Failure) -> None:
        """A host was called."""
        self.dials.count(outcome)
        if self.reports is not None:
            failure = outcome.tls_failure if isinstance(outcome, Channel) else outcome
            tls = outcome.tls if isinstance(outcome, Channel) else ""
            local = outcome.local_address if isinstance(outcome, Channel) else route.source.address
            result = tls_report.result_of(failure, tls, route.demand)
            if result is not None:
                detail = failure.detail if failure is not None else ""
                self.reports.count(domain, route.demand, tls_report.Row(result, local, route.host, route.address, detail[:200]))

    async def close(self) -> None:
        """Give up what is under way; what was counted is on disk."""
        await self.sts.close()
        await self._end_reports()

    async def _tlsa(self, answer: MxAnswer, plan: Plan) -> dict[tuple[str, int], TlsaAnswer]:
        """TLSA answers by host and port, for hosts whose addresses are vouched for: the others have none that count."""
        bases = {host.name: host.tlsa_bases for host in answer.hosts if host.tlsa_bases}
        wanted = [key for key in dict.fromkeys((route.host, route.port) for route in plan.routes) if key[0] in bases]
        found = await asyncio.gather(*[self._resolver().tlsa(bases[host], port) for host, port in wanted])
        return dict(zip(wanted, found, strict=True))

    def _tell(
        self,
        domain: str,
        tlsa: dict[tuple[str, int], TlsaAnswer],
        sts: StsAnswer,
        left_out: tuple[transport.LeftOut, ...],
        plan: Plan,
    ) -> None:
        """Policies that are in force, and failures that come before any connection."""
        assert self.reports is not None
        self.reports.learn(domain, {host: answer.records for (host, _), answer in tlsa.items()}, sts.policy)
        kind = "tlsa" if tlsa else "sts"
        for one in left_out:
            self.reports.count_as(domain, kind if one.result != "dnssec-invalid" else "tlsa", tls_report.Row(one.result, "", one.host))
        if sts.result:
            self.reports.count_as(domain, "sts", tls_report.Row(sts.result, reason=sts.why[:200]))
        for host in {route.host for route in plan.routes}:
            if transport.missed(sts.policy, host):
                self.reports.count_as(domain, "sts", tls_report.Row("validation-failure", "", host, reason="not named by the policy"))
