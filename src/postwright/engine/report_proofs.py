"""Which reports are proven to be about mail of ours, and whom of our recipients they may put into the suppression store.

Anybody can write a bounce or a complaint, so what one says suppresses nobody by itself: only a return path that we signed for that
recipient does (`policy.signed_path`). It is looked for in the address that the report came to, and in the return path of the message
that it gives back. All others are recorded as unverified. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from postwright.content.readings import Complaint, Reading, StatusReport
from postwright.engine.report_records import meant
from postwright.engine.suppressing import Rules
from postwright.policy.signed_path import Proof, verified

MOST_PATHS = 3
"""Addresses that one report came to of which each is tried as its return path. A mailer sends a bounce to one; a stranger who sends one
that names a thousand recipients to a thousand addresses wants a million signatures checked, which takes half a minute."""

Category = Callable[[str, str, str], str]


def proven(reading: Reading, came_to: Iterable[str], secret: bytes, now: float) -> dict[int, Proof]:
    """By the number of the recipient in the report: to whom, and for whom, the mail was sent. The first `MOST_PATHS` of `came_to` count."""
    came_to = islice(came_to, MOST_PATHS)
    if isinstance(reading, StatusReport):
        paths = [*came_to, reading.returned.find("return-path")]
        own = reading.returned.find("to") if len(reading.recipients) == 1 else ""
        named = [(meant(one), one.address, own) for one in reading.recipients]
    elif isinstance(reading, Complaint):
        paths = [*came_to, reading.mail_from, reading.returned.find("return-path")]
        own = reading.returned.find("to") if len(reading.recipients) <= 1 else ""
        named = [(one, own, "") for one in reading.recipients or ("",)]
    else:
        return {}
    found = {number: _first(secret, paths, names, now) for number, names in enumerate(named)}
    return {number: proof for number, proof in found.items() if proof is not None}


def _first(secret: bytes, paths: Sequence[str], names: Iterable[str], now: float) -> Proof | None:
    found = (verified(secret, path.strip().strip("<>"), names, now) for path in paths)
    return next((proof for proof in found if proof is not None), None)


def suppressed(reading: Reading, proofs: dict[int, Proof], rules: Rules, category: Category) -> list[tuple[Proof, str, str]]:
    """Whom the rules put into the store for it: who, reason, source. `proofs` as `proven` gives them."""
    if isinstance(reading, Complaint):
        return [(proof, "complaint", "feedback-loop") for proof in proofs.values()] if rules.complaints else []
    if not isinstance(reading, StatusReport) or not rules.bounces:
        return []
    found = []
    for number, proof in proofs.items():
        one = reading.recipients[number]
        name = category(one.status, one.diagnostic, one.remote_mta)
        if one.permanent and rules.counts(name):
            found.append((proof, name, "remote-bounce"))
    return found
