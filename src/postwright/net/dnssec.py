"""How far an answer of the DNS may be believed, and what follows for DANE (RFC 7672 section 2). Pure; validates nothing itself.

`DnsAnswer.secure` comes from a source that validates (`UnboundSource`) or from the AD bit of a name server on a loopback address; an AD
bit from elsewhere could be set by anybody on the way and is never believed.
"""

from __future__ import annotations

from postwright.model.tlsa import TlsaAnswer, TlsaStatus
from postwright.net.dns_query import DnsAnswer, DnsStatus


def tlsa_bases(name: str, answers: tuple[DnsAnswer, ...], alias_secure: bool) -> tuple[str, ...]:
    """Where TLSA records of a host count, best first (RFC 7672 section 2.2.2), given its address answers.

    A host whose addresses nobody vouches for has no DANE, whatever records it has: but for an alias that is itself validated and points
    out of the signed part of the DNS.
    """
    known = [answer for answer in answers if answer.status is not DnsStatus.FAILED]
    end = next((answer.canonical for answer in known if answer.canonical), "")
    if known and all(answer.secure for answer in known):
        return (end, name) if end and end != name else (name,)
    return (name,) if end and alias_secure else ()


def tlsa_answer(base: str, answer: DnsAnswer, expires: float) -> TlsaAnswer:
    """The meaning of one answer to a TLSA question."""
    if answer.status is DnsStatus.FOUND:
        status = TlsaStatus.SECURE if answer.secure else TlsaStatus.INSECURE
        return TlsaAnswer(status, tuple([text for _, text in answer.records]), base, expires)
    if answer.status is DnsStatus.FAILED:
        return TlsaAnswer(TlsaStatus.BOGUS if answer.bogus else TlsaStatus.TEMPORARY, (), base, expires, answer.detail)
    return TlsaAnswer(TlsaStatus.NONE, (), base, expires)
