"""What DANE and MTA-STS want of each host of a plan, as a table (RFC 7672 section 2, RFC 8461 sections 2 and 5)."""

from __future__ import annotations

import pytest

from postwright.model.outcome import Failure, Fault, Stage, TlsTrouble
from postwright.model.reply import Reply
from postwright.model.route import MxAnswer, MxHost, MxStatus, Plan, Route, SourceHost, TlsDemand, TlsRule
from postwright.model.tlsa import Tlsa, TlsaAnswer, TlsaStatus
from postwright.policy import tls_report, transport
from postwright.policy.dane import chosen
from postwright.policy.mta_sts import StsPolicy

SHA256, SHA512 = "ab" * 32, "cd" * 64
GOOD = f"3 1 1 {SHA256}"
PLAN = Plan(tuple([Route(host, f"192.0.2.{at}", 25, SourceHost("", "c.example")) for at, host in enumerate(("a.example", "b.example"), 1)]))
ENFORCE = StsPolicy("enforce", 86400, ("a.example",))
TESTING = StsPolicy("testing", 86400, ("a.example",))


def answer(*, secure: bool = True) -> MxAnswer:
    return MxAnswer(MxStatus.FOUND, (MxHost("a.example", 1), MxHost("b.example", 2)), secure=secure)


def tlsa(status: TlsaStatus, *records: str, base: str = "") -> TlsaAnswer:
    return TlsaAnswer(status, records, base)


# TLSA of a.example, policy, what a.example and b.example then have to show ("out": left out)
TABLE = [
    (None, None, (None, None)),
    (tlsa(TlsaStatus.NONE), None, (None, None)),
    (tlsa(TlsaStatus.INSECURE, GOOD), None, (None, None)),
    (tlsa(TlsaStatus.SECURE, GOOD), None, (TlsRule.DANE, None)),
    (tlsa(TlsaStatus.SECURE, f"1 1 1 {SHA256}"), None, (TlsRule.DANE_UNUSABLE, None)),
    (tlsa(TlsaStatus.SECURE, "3 1 1 abcd"), None, (TlsRule.DANE_UNUSABLE, None)),  # no SHA-256 has two octets
    (tlsa(TlsaStatus.BOGUS), None, ("out", None)),
    (tlsa(TlsaStatus.TEMPORARY), None, ("out", None)),
    (None, ENFORCE, (TlsRule.STS, "out")),
    (None, TESTING, (TlsRule.STS_TESTING, None)),
    (None, StsPolicy("none", 86400), (None, None)),
    (tlsa(TlsaStatus.SECURE, GOOD), ENFORCE, (TlsRule.DANE, "out")),
    (tlsa(TlsaStatus.SECURE, GOOD), StsPolicy("enforce", 1, ("b.example",)), (TlsRule.DANE, TlsRule.STS)),
    (tlsa(TlsaStatus.BOGUS), ENFORCE, ("out", "out")),  # never down to what the policy would do
    (tlsa(TlsaStatus.INSECURE, GOOD), ENFORCE, (TlsRule.STS, "out")),
]


@pytest.mark.directive("use-dane", "use-mta-sts")
@pytest.mark.parametrize(("records", "policy", "expected"), TABLE)
def test_what_hosts_must_show(records: TlsaAnswer | None, policy: StsPolicy | None, expected: tuple[object, object]) -> None:
    known = {("a.example", 25): records} if records is not None else {}
    found = transport.secure("example", answer(), PLAN, known, policy)
    shown = {route.host: route.demand.rule if route.demand else None for route in found.plan.routes}
    left = {one.host for one in found.left_out}
    assert tuple(["out" if host in left else shown[host] for host in ("a.example", "b.example")]) == expected
    if expected == ("out", "out"):
        assert (found.plan.status, found.plan.permanent) == ("4.7.5", False)
        assert found.plan.error
    else:
        assert not found.plan.error


@pytest.mark.parametrize(
    ("secure", "base", "names"),
    [
        (True, "", ("a.example", "example")),
        (True, "cdn.example", ("cdn.example", "a.example", "example")),
        (False, "", ("a.example",)),  # the operator's own host: no MX led there
    ],
)
def test_names_that_a_certificate_may_have(secure: bool, base: str, names: tuple[str, ...]) -> None:
    known = {("a.example", 25): tlsa(TlsaStatus.SECURE, GOOD, base=base)}
    demand = transport.secure("example", answer(secure=secure), PLAN, known, None).plan.routes[0].demand
    assert demand is not None
    assert demand.names == names


@pytest.mark.parametrize(
    ("records", "kept"),
    [
        ([GOOD], [1]),
        ([GOOD, f"3 1 2 {SHA512}"], [2]),  # digest agility: RFC 7671 section 9
        ([GOOD, f"3 1 2 {SHA512}", "3 1 0 abcd"], [2, 0]),
        ([GOOD, f"2 1 2 {SHA512}"], [1, 2]),  # another usage is another question
        ([GOOD, f"3 0 2 {SHA512}"], [1, 2]),
        (["nonsense", f"0 0 1 {SHA256}", "3 1 9 ab"], []),
    ],
)
def test_digest_agility(records: list[str], kept: list[int]) -> None:
    assert [record.matching for record in chosen(records)] == kept


@pytest.mark.parametrize(
    ("secure", "policy", "good"),
    [(True, None, True), (False, None, False), (False, ENFORCE, True), (False, TESTING, False), (False, StsPolicy("enforce", 1), False)],
)
def test_who_vouches_for_a_name(secure: bool, policy: StsPolicy | None, good: bool) -> None:
    assert transport.vouched_for(answer(secure=secure), PLAN.routes[0], policy) is good


DANE = TlsDemand(TlsRule.DANE, ("a.example",), (Tlsa(3, 1, 1, b""),))


def failed(**more: object) -> Failure:
    return Failure(**{"stage": Stage.STARTTLS, "fault": Fault.TLS, **more})  # type: ignore[arg-type]


@pytest.mark.directive("tlsrpt")
@pytest.mark.parametrize(
    ("failure", "tls", "result"),
    [
        (None, "TLSv1.3", ""),
        (None, "", "starttls-not-supported"),
        (failed(fault=Fault.NOT_OFFERED), "", "starttls-not-supported"),
        (failed(fault=Fault.NONE, reply=Reply(454, "4.7.0", ("no",))), "", "starttls-not-supported"),
        (failed(), "", "validation-failure"),
        (failed(trouble=TlsTrouble.NAME), "TLSv1.3", "certificate-host-mismatch"),
        (failed(trouble=TlsTrouble.EXPIRED), "", "certificate-expired"),
        (failed(trouble=TlsTrouble.UNTRUSTED), "", "certificate-not-trusted"),
        (failed(trouble=TlsTrouble.NO_MATCH), "", "validation-failure"),
        (failed(trouble=TlsTrouble.OTHER), "", "validation-failure"),
        (failed(stage=Stage.CONNECT, fault=Fault.REFUSED), "", None),  # it never came to TLS
        (failed(stage=Stage.BANNER, fault=Fault.TIMEOUT), "", None),
    ],
)
def test_what_a_session_counts_as(failure: Failure | None, tls: str, result: str | None) -> None:
    assert tls_report.result_of(failure, tls, DANE) == result


@pytest.mark.directive("tlsrpt")
@pytest.mark.parametrize(
    ("texts", "places"),
    [
        (["v=TLSRPTv1; rua=mailto:a@b.example"], ("mailto:a@b.example",)),
        (["v=TLSRPTv1;rua=mailto:a@b.example,https://b.example/v1"], ("mailto:a@b.example", "https://b.example/v1")),
        (["v=spf1 -all", "v=TLSRPTv1; rua=mailto:a@b.example"], ("mailto:a@b.example",)),
        (["v=TLSRPTv1; rua=mailto:a@b.example", "v=TLSRPTv1; rua=mailto:c@b.example"], ()),  # more than one is none
        (["v=TLSRPTv1; rua=http://b.example/, ftp://x, mailto:a"], ()),
        (["v=TLSRPTv1; rua=" + ",".join(f"mailto:a{n}@b.example" for n in range(9))], tuple(f"mailto:a{n}@b.example" for n in range(4))),
        (["v=TLSRPTv1"], ()),
        ([], ()),
    ],
)
def test_where_reports_go(texts: list[str], places: tuple[str, ...]) -> None:
    assert tls_report.places(texts) == places
