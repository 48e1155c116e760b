"""Those in whose name mail is sent: SPF lets our addresses do so, the keys are published, and there is a DMARC policy.

The domains are those of `domain-key` lines and those that the user names. A key within a virtual MTA or a pool is about its addresses only.
Judged as the relay judges others (`policy.spf`, `policy.dmarc`), so what passes here passes elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from postwright.engine import dkim_admin, dmarc_check
from postwright.engine.doctor.finding import Finding, Level
from postwright.engine.doctor.patient import Patient
from postwright.engine.spf_check import evaluate
from postwright.model.route import SourceHost
from postwright.policy.dmarc import Claims
from postwright.policy.settings import DomainKey
from postwright.policy.spf import MAX_VOID, Question, client_address

_WORSE: dict[str, Level] = {"temperror": "unknown", "neutral": "warning", "softfail": "warning"}


async def check(patient: Patient) -> list[Finding]:
    """Every sender domain, in the order of the configuration."""
    found: list[Finding] = []
    domains = sender_domains(patient)
    for domain, senders in domains.items():
        found += await asyncio.gather(_spf(patient, domain, senders), _dmarc(patient, domain))
    found += await _keys(patient)
    if not found:
        cure = "name them with --domain, and sign their mail: postwright dkim keygen --domain example.com"
        found.append(Finding("senders", "note", "sender domains", "none are known: there is no domain-key line for any", cure))
    return found


def sender_domains(patient: Patient) -> dict[str, list[SourceHost]]:
    """Each domain with those that send for it."""
    settings = patient.settings
    everybody = patient.all_senders()
    found: dict[str, list[SourceHost]] = dict.fromkeys(patient.wishes.domains, everybody)
    lists = [key for keys in settings.domain_key_lists.values() for key in keys]
    for keys, senders in [((*settings.domain_keys, *lists), everybody), *_narrower(patient)]:
        for key in keys:
            if "*" not in key.domain:
                found[key.domain] = list(dict.fromkeys([*found.get(key.domain, []), *senders]))
    return found


def _narrower(patient: Patient) -> list[tuple[tuple[DomainKey, ...], list[SourceHost]]]:
    settings = patient.settings
    vmtas = [(vmta.domain_keys, patient.senders([vmta.name])) for vmta in settings.vmtas.values() if vmta.domain_keys]
    return vmtas + [(pool.domain_keys, patient.senders(pool.members)) for pool in settings.pools.values() if pool.domain_keys]


# -- SPF ---------------------------------------------------------------------------------------------------------------------


async def _spf(patient: Patient, domain: str, senders: Sequence[SourceHost]) -> Finding:
    told = await asyncio.gather(*[_result(patient, domain, sender) for sender in senders])
    results = {sender.address: result for sender, result in zip(senders, told, strict=True)}
    if not results:
        return Finding("spf", "unknown", domain, "no public address that mail leaves from is known", "name it with --address")
    failing = {address: result for address, result in results.items() if result != "pass"}
    if not failing:
        return Finding("spf", "ok", domain, f"lets {_listed(list(results))} send in its name")
    result = next(iter(failing.values()))
    terms = " ".join(f"ip{6 if ':' in address else 4}:{address}" for address in failing)
    if result == "none":
        return Finding("spf", "warning", domain, "has no SPF record", f'publish {domain}. IN TXT "v=spf1 {terms} -all"')
    if result == "permerror":
        cure = f"see: postwright check spf {next(iter(failing))} {patient.name} postmaster@{domain}"
        return Finding("spf", "error", domain, "has a broken SPF record", cure)
    cure = "" if result == "temperror" else f"add to its SPF record: {terms}"
    text = f"does not let {_listed(list(failing))} send in its name ({result})"
    return Finding("spf", _WORSE.get(result, "error"), domain, text, cure)


async def _result(patient: Patient, domain: str, sender: SourceHost) -> str:
    question = Question(client_address(sender.address), f"postmaster@{domain}", sender.name, now=patient.clock.now())
    return (await evaluate(question, patient.resolver, MAX_VOID, [])).result


def _listed(addresses: list[str]) -> str:
    return ", ".join(addresses[:3]) + (f" and {len(addresses) - 3} more" if len(addresses) > 3 else "")


# -- DMARC, DKIM -------------------------------------------------------------------------------------------------------------


async def _dmarc(patient: Patient, domain: str) -> Finding:
    found = await dmarc_check.evaluate(domain, Claims(), patient.resolver, tree_walk=False)
    if found.result == "temperror":
        return Finding("dmarc", "unknown", domain, f"the DNS cannot tell its DMARC policy now: {found.reason}")
    publish = f'publish _dmarc.{domain}. IN TXT "v=DMARC1; p=none; rua=mailto:dmarc@{domain}", and tighten it when the reports are good'
    if found.result == "none":
        return Finding("dmarc", "warning", domain, "has no DMARC policy, which the large receivers ask of who sends much", publish)
    if found.result == "permerror":
        return Finding("dmarc", "error", domain, f"has a DMARC record that says nothing: {found.reason}", publish)
    return Finding("dmarc", "ok", domain, f"has the DMARC policy p={found.published}")


async def _keys(patient: Patient) -> list[Finding]:
    """Each key beside its record, as `postwright dkim check` has it."""
    wanted = dkim_admin.to_compare(patient.settings, patient.wishes.domains)
    found = await dkim_admin.compare_by(patient.resolver, wanted, patient.settings.vault)
    return [_key(one) for one in found]


def _key(one: dkim_admin.Comparison) -> Finding:
    if one.good:
        return Finding("dkim", "ok", one.name, one.words)
    selector, _, domain = one.name.partition("._domainkey.")
    cures = {
        "broken": "see docs/guides/dkim.md: the relay must be able to read it, in its file or in the vault",
        "unknown": "",
        "revoked": f"sign with another key: postwright dkim rotate --domain {domain}",
    }
    cure = cures.get(one.state, f"publish what it should be: postwright dkim record FILE --domain {domain} --selector {selector}")
    return Finding("dkim", "unknown" if one.state == "unknown" else "error", one.name, one.words, cure)
