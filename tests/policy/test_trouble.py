"""What a failure means: the table at the top of `policy.trouble`, row by row, and that no result is without a meaning."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postwright.model.outcome import Disposition, Failure, Fault, Judgement, Kind, Site, Stage, TransactionResult
from postwright.model.reply import Reply
from postwright.policy.settings import DomainSettings
from postwright.policy.trouble import (
    LOOP_TO_SELF,
    Rules,
    judge,
    judge_hosts,
    of_failure,
    of_reply,
    refused_login,
    status_of,
    without_421,
)

OK = Reply(250, "2.1.5", ("ok",))
TAKEN = Reply(250, "2.6.0", ("queued as 1",))
LATER = Reply(451, "4.3.0", ("later",))
NEVER = Reply(550, "5.7.1", ("never",))
CLOSING = Reply(421, "4.3.2", ("closing",))
D, T, P, U = Kind.DELIVERED, Kind.TRANSIENT, Kind.PERMANENT, Kind.UNTOUCHED


def kinds(judgement: Judgement) -> list[Kind]:
    return [disposition.kind for disposition in judgement.dispositions]


def result(*rcpt: Reply | None, **more: Any) -> TransactionResult:
    return TransactionResult(list(rcpt), **({"mail": OK} | more))


def failed(stage: Stage, what: Reply | Fault, detail: str = "") -> Failure:
    return Failure(stage, what) if isinstance(what, Reply) else Failure(stage, None, what, detail)


# -- before the first transaction ------------------------------------------------------------------------------

BEFORE = [
    # refused, unreachable, timed out before the greeting
    (Stage.CONNECT, Fault.REFUSED, Site.QUEUE_RETRY, T, "4.4.1"),
    (Stage.CONNECT, Fault.UNREACHABLE, Site.QUEUE_RETRY, T, "4.4.1"),
    (Stage.CONNECT, Fault.TIMEOUT, Site.QUEUE_RETRY, T, "4.4.1"),
    (Stage.CONNECT, Fault.SOURCE, Site.QUEUE_RETRY, T, "4.3.5"),
    (Stage.CONNECT, Fault.LOCAL, Site.QUEUE_RETRY, T, "4.3.0"),
    (Stage.BANNER, Fault.TIMEOUT, Site.QUEUE_RETRY, T, "4.4.1"),
    (Stage.BANNER, Fault.LOST, Site.QUEUE_RETRY, T, "4.4.2"),
    (Stage.BANNER, Fault.PROTOCOL, Site.QUEUE_RETRY, T, "4.5.0"),
    # greetings, EHLO and HELO
    (Stage.BANNER, CLOSING, Site.QUEUE_RETRY, T, "4.3.2"),
    (Stage.BANNER, Reply(450, "", ("busy",)), Site.QUEUE_RETRY, T, "4.2.0"),
    (Stage.BANNER, Reply(554, "", ("no",)), Site.QUEUE_BOUNCE, P, "5.4.2"),
    (Stage.BANNER, Reply(521, "", ("no mail here",)), Site.QUEUE_BOUNCE, P, "5.3.2"),
    (Stage.EHLO, NEVER, Site.QUEUE_BOUNCE, P, "5.7.1"),
    (Stage.EHLO, LATER, Site.QUEUE_RETRY, T, "4.3.0"),
    (Stage.EHLO, Fault.TIMEOUT, Site.QUEUE_RETRY, T, "4.4.1"),
    # STARTTLS, AUTH: never the recipient's fault
    (Stage.STARTTLS, Reply(454, "4.7.0", ("no",)), Site.QUEUE_RETRY, T, "4.7.0"),
    (Stage.STARTTLS, Reply(502, "", ("no",)), Site.QUEUE_RETRY, T, "4.5.1"),
    (Stage.STARTTLS, Fault.TLS, Site.QUEUE_RETRY, T, "4.7.5"),
    (Stage.STARTTLS, Fault.NOT_OFFERED, Site.QUEUE_RETRY, T, "4.7.4"),
    (Stage.AUTH, Reply(535, "", ("wrong",)), Site.QUEUE_RETRY, T, "4.7.8"),
    (Stage.AUTH, Reply(454, "4.7.0", ("later",)), Site.QUEUE_RETRY, T, "4.7.0"),
    (Stage.AUTH, Fault.NOT_OFFERED, Site.QUEUE_RETRY, T, "4.7.4"),
]


@pytest.mark.parametrize(("stage", "what", "site", "kind", "status"), BEFORE)
def test_a_session_that_does_not_come_up(stage: Stage, what: Reply | Fault, site: Site, kind: Kind, status: str) -> None:
    judgement = judge_hosts([failed(stage, what)])
    (disposition,) = judgement.dispositions
    assert (judgement.site, judgement.keep_session) == (site, False)
    assert (disposition.kind, disposition.status) == (kind, status)
    said = what.text if isinstance(what, Reply) else what.value
    assert said in disposition.diagnostic
    assert said in judgement.reason


GREETS_5XX = failed(Stage.BANNER, NEVER)
IS_DOWN = failed(Stage.CONNECT, Fault.REFUSED)
IS_US = failed(Stage.EHLO, Fault.LOCAL, LOOP_TO_SELF)


@pytest.mark.parametrize(
    ("failures", "site"),
    [
        ([GREETS_5XX, GREETS_5XX], Site.QUEUE_BOUNCE),
        ([GREETS_5XX, IS_DOWN], Site.QUEUE_RETRY),
        ([IS_DOWN, GREETS_5XX], Site.QUEUE_RETRY),
        ([IS_US], Site.QUEUE_BOUNCE),
        ([IS_DOWN, IS_US], Site.QUEUE_RETRY),
        ([GREETS_5XX, IS_US], Site.QUEUE_BOUNCE),
    ],
)
def test_a_host_that_may_come_back_saves_the_queue(failures: list[Failure], site: Site) -> None:
    assert judge_hosts(failures).site is site


def test_a_loop_has_a_status_of_its_own() -> None:
    assert judge_hosts([IS_US]).dispositions[0].status == "5.4.6"


def test_bounce_upon_5xx_greeting_off() -> None:
    judgement = judge_hosts([GREETS_5XX], Rules(bounce_upon_5xx_greeting=False))
    assert judgement.site is Site.QUEUE_RETRY
    assert judgement.dispositions[0] == Disposition(T, "4.7.1", "smtp;550 5.7.1 never")


# -- transactions -----------------------------------------------------------------------------------------------


def test_delivered_to_all_and_to_some() -> None:
    assert judge(result(OK, OK, final=TAKEN)) == Judgement((Disposition(D, "2.6.0", "smtp;250 2.6.0 queued as 1"),) * 2)
    assert judge(result(OK, final=TAKEN)).dispositions[0].kind is D
    mixed = judge(result(OK, NEVER, LATER, None, final=TAKEN))
    assert kinds(mixed) == [D, P, T, T]
    assert mixed.dispositions[3].status == "4.5.0", "the peer said nothing about this one"
    assert mixed.keep_session


def test_a_channel_that_cannot_go_on_is_not_kept_after_a_delivery() -> None:
    assert not judge(result(OK, final=TAKEN, usable=False)).keep_session


@pytest.mark.parametrize(
    ("reply", "kind", "status"),
    [(NEVER, P, "5.7.1"), (LATER, T, "4.3.0"), (Reply(552, "", ("too big",)), P, "5.3.4"), (Reply(501, "", ("?",)), P, "5.5.4")],
)
def test_mail_refused_is_for_all_and_the_session_goes_on(reply: Reply, kind: Kind, status: str) -> None:
    judgement = judge(result(None, None, mail=reply, failure=Failure(Stage.MAIL, reply)))
    assert judgement.dispositions == (Disposition(kind, status, f"smtp;{reply.text}"),) * 2
    assert judgement.keep_session


@pytest.mark.parametrize(("reply", "kind"), [(NEVER, P), (LATER, T), (Reply(452, "4.2.2", ("mailbox full",)), T)])
def test_rcpt_refused_is_for_that_recipient(reply: Reply, kind: Kind) -> None:
    assert kinds(judge(result(reply, OK, final=TAKEN))) == [kind, D]
    assert kinds(judge(result(reply, reply))) == [kind, kind]


@pytest.mark.parametrize("reply", [Reply(452, "4.5.3", ("limit",)), Reply(452, "", ("Error: too many recipients",))])
def test_too_many_recipients_go_in_the_next_transaction(reply: Reply) -> None:
    judgement = judge(result(OK, reply, NEVER, reply, final=TAKEN))
    assert kinds(judgement) == [D, U, P, U]
    assert judgement.keep_session
    assert kinds(judge(result(reply, reply))) == [T, T], "nobody was delivered to: it would go round in circles"
    assert kinds(judge(result(OK, reply, final=LATER))) == [T, T]


@pytest.mark.parametrize("stage", [Stage.DATA, Stage.END_OF_DATA])
@pytest.mark.parametrize(("reply", "kind"), [(NEVER, P), (LATER, T)])
def test_data_or_content_refused_is_for_the_accepted(stage: Stage, reply: Reply, kind: Kind) -> None:
    more = {"final": reply} if stage is Stage.END_OF_DATA else {"failure": Failure(stage, reply)}
    judgement = judge(result(OK, Reply(550, "5.1.1", ("who",)), OK, **more))
    assert kinds(judgement) == [kind, P, kind]
    assert judgement.dispositions[0].status == reply.status
    assert judgement.dispositions[1].status == "5.1.1"
    assert judgement.keep_session


@pytest.mark.parametrize(
    ("fault", "closes"), [(Fault.LOST, True), (Fault.TIMEOUT, True), (Fault.PROTOCOL, True), (Fault.TLS, True), (Fault.LOCAL, False)]
)
@pytest.mark.parametrize("stage", [Stage.MAIL, Stage.RCPT, Stage.DATA, Stage.BODY])
def test_what_breaks_before_the_end_of_data_is_transient(stage: Stage, fault: Fault, closes: bool) -> None:
    judgement = judge(result(OK, NEVER, None, failure=failed(stage, fault)))
    assert kinds(judgement) == [T, P, T]
    assert judgement.keep_session != closes
    assert f"at {stage.value}" in judgement.dispositions[0].diagnostic


@pytest.mark.parametrize(
    ("stage", "kind"), [(Stage.BODY, P), (Stage.DATA, T), (Stage.MAIL, T)], ids=["in-the-content", "before-it", "long-before"]
)
@pytest.mark.directive("bounce-upon-transfer-failure")
def test_bounce_upon_transfer_failure(stage: Stage, kind: Kind) -> None:
    judgement = judge(result(OK, failure=failed(stage, Fault.LOST)), Rules(bounce_upon_transfer_failure=True))
    assert kinds(judgement) == [kind]
    assert judgement.dispositions[0].status[0] == {P: "5", T: "4"}[kind]


PIX = Rules(bounce_upon_pix_transfer_failure=True)


@pytest.mark.directive("bounce-upon-pix-transfer-failure")
@pytest.mark.parametrize(
    ("stage", "pix", "rules", "kind"),
    [
        (Stage.BODY, True, PIX, P),
        (Stage.END_OF_DATA, True, PIX, P),
        (Stage.DATA, True, PIX, T),
        (Stage.BODY, False, PIX, T),
        (Stage.END_OF_DATA, False, PIX, T),
        (Stage.BODY, True, Rules(), T),
        (Stage.END_OF_DATA, True, Rules(), T),
    ],
)
def test_transfer_failures_at_a_pix(stage: Stage, pix: bool, rules: Rules, kind: Kind) -> None:
    found = result(OK, failure=failed(stage, Fault.LOST), maybe_taken=stage is Stage.END_OF_DATA)
    found.pix = pix
    [fate] = judge(found, rules).dispositions
    assert fate.kind is kind
    assert fate.status[0] == {P: "5", T: "4"}[kind]


@pytest.mark.directive("replace-smtp-421-service-response")
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("smtp;421 4.7.0 [198.51.100.7] blocked, see http://example/x", "smtp;421 4.3.2 Service not available"),
        ("421-4.7.0 first\n421 4.7.0 second", "421 4.3.2 Service not available"),
        ("smtp;451 4.7.1 try later", "smtp;451 4.7.1 try later"),
        ("x-pmta;no answer from 192.0.2.421", "x-pmta;no answer from 192.0.2.421"),
    ],
)
def test_what_senders_are_told_of_a_421(text: str, told: str) -> None:
    assert without_421(text) == told


def test_a_refusal_in_the_content_is_no_transfer_failure() -> None:
    judgement = judge(result(OK, failure=Failure(Stage.BODY, LATER)), Rules(bounce_upon_transfer_failure=True))
    assert kinds(judgement) == [T]


ASSUME = Rules(assume_delivery_upon_data_termination_timeout=True)


@pytest.mark.parametrize(
    ("stage", "fault", "rules", "kind"),
    [
        (Stage.END_OF_DATA, Fault.TIMEOUT, Rules(), T),
        (Stage.END_OF_DATA, Fault.LOST, Rules(), T),
        (Stage.END_OF_DATA, Fault.TIMEOUT, ASSUME, D),
        (Stage.END_OF_DATA, Fault.LOST, ASSUME, T),
        (Stage.MAIL, Fault.TIMEOUT, ASSUME, T),
        (Stage.END_OF_DATA, Fault.TIMEOUT, Rules(bounce_upon_transfer_failure=True), T),
    ],
)
@pytest.mark.directive("assume-delivery-upon-data-termination-timeout")
def test_silence_after_the_end_of_data(stage: Stage, fault: Fault, rules: Rules, kind: Kind) -> None:
    judgement = judge(result(OK, NEVER, failure=failed(stage, fault), maybe_taken=True, usable=False), rules)
    assert kinds(judgement) == [kind, P]
    if kind is T:
        assert "may be sent more than once" in judgement.dispositions[0].diagnostic
    assert not judgement.keep_session


def test_421_leaves_the_unanswered_for_later_and_ends_the_session() -> None:
    judgement = judge(result(OK, NEVER, CLOSING, None, failure=Failure(Stage.RCPT, CLOSING), usable=False))
    assert kinds(judgement) == [T, P, T, T]
    assert (judgement.site, judgement.keep_session) == (Site.FINE, False)
    assert judgement.reason == "421 4.3.2 closing"


@pytest.mark.directive("smtp-421-means-mx-unavailable")
def test_421_means_mx_unavailable_sends_what_is_left_to_the_next_host() -> None:
    rules = Rules(smtp_421_means_mx_unavailable=True)
    broken = result(OK, NEVER, CLOSING, None, failure=Failure(Stage.RCPT, CLOSING), usable=False)
    judgement = judge(broken, rules, more_hosts=True)
    assert kinds(judgement) == [U, P, U, U]
    assert judgement.site is Site.HOST_BUSY
    last = judge(broken, rules)
    assert kinds(last) == [T, P, T, T]
    assert last.site is Site.HOST_BUSY
    assert kinds(judge(broken, more_hosts=True)) == [T, P, T, T]


@pytest.mark.parametrize("where", ["mail", "final"])
def test_421_to_mail_and_to_the_content(where: str) -> None:
    rules = Rules(smtp_421_means_mx_unavailable=True)
    broken = TransactionResult([OK], **({"mail": OK} | {where: CLOSING}), usable=False)
    assert kinds(judge(broken, rules, more_hosts=True)) == [U]
    assert kinds(judge(broken, rules)) == [T]


def test_a_later_reply_than_421_is_not_taken_for_one() -> None:
    rules = Rules(smtp_421_means_mx_unavailable=True)
    judgement = judge(result(LATER, final=TAKEN), rules, more_hosts=True)
    assert (kinds(judgement), judgement.site) == ([T], Site.FINE)


def test_an_untouched_transaction_is_no_attempt() -> None:
    judgement = judge(result(None, None, mail=None, failure=failed(Stage.MAIL, Fault.LOST), untouched=True, usable=False))
    assert (kinds(judgement), judgement.keep_session) == ([U, U], False)


def test_a_talkative_peer_does_not_fill_the_records() -> None:
    long = Reply(550, "5.1.1", ("x" * 2000,) * 30)
    assert len(judge(result(long, final=TAKEN)).dispositions[0].diagnostic) == 1000
    assert len(of_failure(failed(Stage.MAIL, Fault.PROTOCOL, "y" * 5000)).diagnostic) < 1100


def test_what_the_receiver_lacks_is_permanent() -> None:
    failure = failed(Stage.MAIL, Fault.NOT_OFFERED, "8BITMIME: the content has octets above 127")
    assert of_failure(failure).status == "5.6.3"
    assert kinds(judge(result(None, failure=failure))) == [P]


# -- status codes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "status", "stage", "expected"),
    [
        (550, "5.7.1", Stage.RCPT, "5.7.1"),
        (550, "4.7.1", Stage.RCPT, "5.1.1"),  # of another class: a mistake
        (250, "", Stage.END_OF_DATA, "2.0.0"),
        (250, "2.6.0", Stage.END_OF_DATA, "2.6.0"),
        (550, "", Stage.RCPT, "5.1.1"),
        (550, "", Stage.MAIL, "5.1.0"),
        (550, "", Stage.END_OF_DATA, "5.6.0"),
        (551, "", Stage.RCPT, "5.1.6"),
        (552, "", Stage.RCPT, "5.2.2"),
        (552, "", Stage.MAIL, "5.3.4"),
        (553, "", Stage.RCPT, "5.1.1"),
        (553, "", Stage.MAIL, "5.1.0"),
        (554, "", Stage.DATA, "5.6.0"),
        (556, "", Stage.RCPT, "5.1.10"),
        (421, "", Stage.RCPT, "4.3.2"),
        (450, "", Stage.RCPT, "4.2.0"),
        (451, "", Stage.MAIL, "4.3.0"),
        (452, "", Stage.RCPT, "4.3.1"),
        (499, "", Stage.CONNECT, "4.0.0"),
        (503, "", Stage.DATA, "5.5.1"),
    ],
)
def test_the_status_of_a_reply(code: int, status: str, stage: Stage, expected: str) -> None:
    assert status_of(Reply(code, status, ("text",)), stage) == expected


@pytest.mark.directive("smtp-553-means-invalid-mailbox")
def test_553_means_invalid_mailbox_off() -> None:
    assert status_of(Reply(553, "", ("no",)), Stage.RCPT, Rules(smtp_553_means_invalid_mailbox=False)) == "5.1.0"
    assert status_of(Reply(553, "5.1.8", ("no",)), Stage.RCPT) == "5.1.8"


@pytest.mark.parametrize("name", [name for name in Rules.__struct_fields__ if name != "own_host"])
def test_each_rule_is_the_setting_of_its_name(name: str) -> None:
    for value in (True, False):
        rules = Rules.of(DomainSettings(**{name: value}))
        assert getattr(rules, name) is value
        other = {field: getattr(rules, field) for field in Rules.__struct_fields__ if field != name}
        assert other == {field: getattr(Rules.of(DomainSettings()), field) for field in other}


@pytest.mark.parametrize(
    ("settings", "status", "kind"),
    [
        ({}, "5.7.0", Kind.PERMANENT),
        ({"smtp_hosts": "smtp.example"}, "4.7.0", Kind.TRANSIENT),
        ({"auth_username": "me"}, "4.7.0", Kind.TRANSIENT),
    ],
)
def test_530_of_the_operators_own_host_waits_for_the_operator(settings: dict[str, str], status: str, kind: Kind) -> None:
    """Gmail's and RFC 3207's word for a login or TLS that the configuration lacks: no customer's mail bounces for it."""
    rules = Rules.of(DomainSettings(**settings))  # type: ignore[arg-type]
    fate = of_reply(Reply(530, "5.7.0", ("Must issue a STARTTLS command first",)), Stage.MAIL, rules)
    assert (fate.kind, fate.status) == (kind, status)
    assert of_reply(Reply(550, "5.7.1", ("no",)), Stage.MAIL, rules).kind is Kind.PERMANENT


def test_a_refused_login_is_why_the_queue_waits() -> None:
    refused = Failure(Stage.AUTH, Reply(535, "5.7.8", ("no",)), Fault.NONE, "expired")
    away = Failure(Stage.CONNECT, None, Fault.TIMEOUT)
    judgement = judge_hosts([away, refused])
    assert judgement.site is Site.QUEUE_RETRY
    assert judgement.reason == "the login (auth-username) was refused: 535 5.7.8 no (expired)"
    assert judgement.dispositions[0].kind is Kind.TRANSIENT
    assert judge_hosts([Failure(Stage.AUTH, None, Fault.LOCAL, "no token")]).reason == "no token"
    assert [refused_login(one) for one in (refused, away, Failure(Stage.AUTH, Reply(421, "", ("bye",))))] == [True, False, False]
    assert refused_login(Failure(Stage.AUTH, None, Fault.LOCAL, "no token"))
    assert not refused_login(Failure(Stage.AUTH, None, Fault.NOT_OFFERED)), "the next host may offer one"


# -- total -----------------------------------------------------------------------------------------------------

REPLIES = st.builds(Reply, st.integers(200, 599), st.sampled_from(["", "2.0.0", "4.2.0", "5.1.1"]), st.just(("text",)))
FAILURES = st.builds(Failure, st.sampled_from(Stage), st.none() | REPLIES, st.sampled_from(Fault), st.sampled_from(["", LOOP_TO_SELF]))
RULES = st.builds(Rules, *[st.booleans()] * 6)
RESULTS = st.builds(
    TransactionResult,
    st.lists(st.none() | REPLIES, min_size=1, max_size=4),
    st.none() | REPLIES,
    st.none() | REPLIES,
    st.none() | FAILURES,
    st.booleans(),
    st.booleans(),
    st.integers(0, 10),
    st.booleans(),
)


@given(RESULTS, RULES, st.booleans())
def test_every_result_means_something_and_nothing_absurd(broken: TransactionResult, rules: Rules, more_hosts: bool) -> None:
    judgement = judge(broken, rules, more_hosts=more_hosts)
    assert len(judgement.dispositions) == len(broken.rcpt)
    for rcpt, disposition in zip(broken.rcpt, judgement.dispositions, strict=True):
        classes = {D: "2", T: "4", P: "5", U: "4"}
        assert disposition.status.startswith(classes[disposition.kind])
        if broken.failure is None and broken.final is not None and broken.final.code < 300 and rcpt is not None and rcpt.code < 300:
            assert disposition.kind is D
        if rcpt is not None and rcpt.transient and not broken.untouched:
            assert disposition.kind in (T, U), "a 4xx never bounces"
        if disposition.kind is D and broken.final is None:
            assert rules.assume_delivery_upon_data_termination_timeout


@given(st.lists(FAILURES, min_size=1, max_size=3), RULES)
def test_every_failure_of_hosts_means_retry_or_bounce(failures: list[Failure], rules: Rules) -> None:
    judgement = judge_hosts(failures, rules)
    assert judgement.site in (Site.QUEUE_RETRY, Site.QUEUE_BOUNCE)
    assert judgement.dispositions[0].kind is (P if judgement.site is Site.QUEUE_BOUNCE else T)
    assert judgement.reason
