"""MTA-STS (RFC 8461): the TXT record and the policy of a domain, read; and whether a policy covers an MX host.

Pure. Fetches nothing and decides nothing about mail. What is malformed is None or a `StsPolicy` with a problem, never an exception.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct

MAX_POLICY = 65536  # octets; RFC 8461 section 3.3 lets a fetcher bound it
_MAX_HOSTS = 100
_MODES = ("enforce", "testing", "none")
_id = re.compile(r"[A-Za-z0-9]{1,32}").fullmatch
_host = re.compile(r"(?:\*\.)?[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?").fullmatch


class StsPolicy(Struct, frozen=True):
    """`mode` "enforce", "testing" or "none"; `max_age` seconds; `mx` patterns in lower case. `problem`: why it is no policy, or ""."""

    mode: str = ""
    max_age: int = 0
    mx: tuple[str, ...] = ()
    problem: str = ""


def record_id(texts: Sequence[str]) -> str | None:
    """The id out of the TXT records at `_mta-sts.DOMAIN`; None if they say nothing of MTA-STS (section 3.1: more than one is none)."""
    ours = [text for text in texts if re.match(r"v=STSv1\s*;", text) is not None]
    if len(ours) != 1:
        return None
    fields = dict([part.strip().partition("=")[::2] for part in ours[0].split(";") if part.strip()])
    found = fields.get("id", "").strip()
    return found if _id(found) is not None else None


def read_policy(text: str) -> StsPolicy:
    """Section 3.2: `key: value` lines; unknown keys are skipped, and of a key that is said twice the first counts."""
    fields: dict[str, str] = {}
    hosts: list[str] = []
    for line in text[:MAX_POLICY].splitlines():
        key, colon, value = line.partition(":")
        key, value = key.strip(), value.strip()
        if key == "mx" and colon:
            hosts.append(value.lower().rstrip("."))
        elif colon:
            fields.setdefault(key, value)
    problem = _problem(fields, hosts)
    age = fields.get("max_age", "")
    return StsPolicy(fields.get("mode", ""), int(age) if not problem else 0, tuple(hosts[:_MAX_HOSTS]), problem)


def _problem(fields: dict[str, str], hosts: list[str]) -> str:
    if fields.get("version") != "STSv1":
        return "the policy does not say version: STSv1"
    if fields.get("mode") not in _MODES:
        return "the policy has no mode of enforce, testing or none"
    if re.fullmatch(r"[0-9]{1,10}", fields.get("max_age", "")) is None:
        return "the policy has no max_age"
    if not hosts and fields["mode"] != "none":
        return "the policy names no mx"
    return "" if all(_host(host) for host in hosts) else "an mx of the policy is no host name"


def covers(policy: StsPolicy, host: str) -> bool:
    """Section 4.1: an MX host matches a name itself, or a pattern whose `*` stands for exactly one label."""
    host = host.lower().rstrip(".")
    rest = host.partition(".")[2]
    return any(pattern == host or (pattern.startswith("*.") and rest and pattern[2:] == rest) for pattern in policy.mx)
