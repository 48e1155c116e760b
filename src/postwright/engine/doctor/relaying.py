"""Would this relay carry mail of strangers? Asked of the relay itself: the node that `explain` makes (`engine.dry_run`) is told what a
stranger would say, at each listener, and must refuse.

The configuration check judges the text; this is the proof by trial, and it sees what no reading of the text can (a named source, a login
that is not asked for). Strangers come from addresses far apart, so that a customer's network does not look like the world."""

from __future__ import annotations

from ipaddress import ip_network

from postwright.engine.doctor.finding import Finding
from postwright.engine.doctor.patient import Patient
from postwright.engine.dry_run import DryRun
from postwright.model.address import Address, parse_mailbox
from postwright.policy.access import AccessRules
from postwright.policy.settings import ListenerSettings

STRANGERS = {4: ("5.44.17.9", "93.184.33.5", "141.95.1.7"), 6: ("2001:678:4f::7", "2a01:4f8:9::7", "2606:4700:ff::7")}
SENDER = parse_mailbox("stranger@sender.invalid")
RECIPIENTS = ("somebody@recipient.invalid", "somebody%recipient.invalid@{host}")  # as it stands, and routed through us
CONTENT = b"From: stranger@sender.invalid\r\nSubject: a trial\r\n\r\nThis message goes nowhere.\r\n"


async def check(patient: Patient) -> list[Finding]:
    """One finding a listener; listeners that share a source say the same and are told once."""
    distinct = {(one.source, ip_network(one.address, strict=False).version): one for one in reversed(patient.settings.listeners)}
    if not distinct:
        return [Finding("open-relay", "note", "listeners", "there is none, so nobody can relay by SMTP")]
    trial = _Trial(patient)
    try:
        return [await trial.listener(one, STRANGERS[version]) for (_, version), one in reversed(distinct.items())]
    finally:
        await trial.run.close()


class _Trial:
    """One node for all listeners."""

    def __init__(self, patient: Patient) -> None:
        settings = patient.settings
        self.name = patient.name or "localhost"
        self.run = DryRun(settings, clock=patient.clock, resolver=patient.another(), folder=patient.folder, local=patient.local)
        self._rules = AccessRules(settings.relay_domains, settings.relay_addresses, settings.general.host_name)

    async def listener(self, listener: ListenerSettings, strangers: tuple[str, ...]) -> Finding:
        where = f"{listener.address}:{listener.port}"
        texts = [recipient.format(host=self.name) for recipient in RECIPIENTS]
        taken = [(peer, text) for peer in strangers for text in texts if await self._takes(listener, peer, parse_mailbox(text))]
        if len({peer for peer, _ in taken}) < 2:
            return Finding("open-relay", "ok", where, "refuses to carry mail of strangers")
        peer, text = taken[0]
        cure = f"see which line says so: postwright config explain source {peer}"
        return Finding("open-relay", "error", where, f"carries mail from anybody to anybody: {peer} may send to {text}", cure)

    async def _takes(self, listener: ListenerSettings, peer: str, to: Address) -> bool:
        """What is refused before RCPT (a name that does not lead back, a full list) says nothing of relaying: then the rules are asked."""
        local = listener.address.partition("/")[0]
        outcome = await self.run.submit(listener, local, peer, "", SENDER, to, CONTENT)
        if outcome.refusal is None:
            return True
        return outcome.stage in ("MAIL FROM", "DATA") and self._rules.on_rcpt(to, outcome.source, authenticated=False) is None
