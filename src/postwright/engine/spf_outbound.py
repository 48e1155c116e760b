"""`check-spf-outbound`: a message leaves only if the SPF record of its sender's domain passes the address that it would leave by.

Asked before each transaction of a queue that wants it, as a receiver would ask; what was asked is kept by the resolver. It needs a source
address of ours that the world sees (`smtp-source-host`): behind a translation of addresses the answer is that for the inner one.
"""

from __future__ import annotations

from postwright.engine.spf_check import Zone, evaluate, in_a_labels
from postwright.model.address import Address
from postwright.model.outcome import Disposition, Kind
from postwright.policy.spf import MAX_VOID, Question, client_address


async def objection(zone: Zone, sender: Address, source: str, helo: str, now: float) -> Disposition | None:
    """None for pass. No answer of the DNS waits; all else is final, as it would not be different at the next try, and the sender hears of
    it at once (codes of RFC 7372 section 3.2). `source` an address as text, `helo` the name said with it; `now` Unix seconds."""
    try:
        question = Question(client_address(source), in_a_labels(sender.text), helo, now=now)
    except ValueError:
        return Disposition(Kind.TRANSIENT, "4.7.24", "x-pmta;check-spf-outbound: no source address is known")
    found = await evaluate(question, zone, MAX_VOID, [])
    if found.result == "pass":
        return None
    kind, status = (Kind.TRANSIENT, "4.7.24") if found.result == "temperror" else (Kind.PERMANENT, "5.7.23")
    return Disposition(kind, status, f"x-pmta;check-spf-outbound: SPF of {found.domain} says {found.result} for {source}")
