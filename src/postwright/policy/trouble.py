"""What a failure means. The one place that turns what a session saw into the fate of recipients, host, queue and session.

    refused, unreachable, timed out before the greeting     this host is no good now: the next one of the plan; none left: queue retry
    greeting 4xx                                            as above, the host is left alone for a while
    greeting 5xx                                            the next host; none left and all said so: bounce the queue
                                                            (bounce-upon-5xx-greeting) or retry
    EHLO and HELO refused                                   as the greeting
    STARTTLS refused or handshake failed                    (required) next host; then queue retry; never plain text
    AUTH refused 5xx or 4xx, no token to be had             queue retry, no other host is asked: the operator's password, not the
                                                            recipient's fault
    530 from the operator's own host (smtp-hosts, a login)  transient: it wants a login or TLS (RFC 4954, RFC 3207), see above
    421 anywhere                                            what was not yet answered is transient; session closed; with
                                                            smtp-421-means-mx-unavailable the host is left alone, and the next one
                                                            of the plan, if there is one, gets the recipients untouched
    MAIL refused                                            all recipients: 5xx permanent, 4xx transient; the session goes on
    RCPT refused                                            that recipient: 5xx permanent, 4xx transient; "too many recipients"
                                                            when others were delivered to: untouched, the next transaction has it
    DATA refused                                            the accepted recipients: 5xx permanent, 4xx transient
    end of data 5xx / 4xx                                   the accepted recipients: permanent / transient
    lost or timed out before the end of data is sent        transient (or permanent by bounce-upon-transfer-failure); session closed
    lost or timed out after it                              transient: "may be sent more than once" (or delivered, by
                                                            assume-delivery-upon-data-termination-timeout, on a time-out only)
    a needed extension is missing                           permanent: the message cannot go there as it is (RFC 6152, 6531, 1870)
    the peer speaks nonsense                                transient, session closed, next host

Every recipient of the transaction gets exactly one disposition. A 4xx never bounces by itself, a 2xx to the end of data always
delivers. Nothing here raises; nothing here knows the time.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct

from postwright.model.outcome import Disposition, Failure, Fault, Judgement, Kind, Site, Stage, TransactionResult
from postwright.model.reply import Reply
from postwright.policy.settings import DomainSettings

_FAULT_STATUS = {
    Fault.REFUSED: "4.4.1",
    Fault.UNREACHABLE: "4.4.1",
    Fault.TIMEOUT: "4.4.1",
    Fault.LOST: "4.4.2",
    Fault.TLS: "4.7.5",
    Fault.PROTOCOL: "4.5.0",
    Fault.SOURCE: "4.3.5",
    Fault.LOCAL: "4.3.0",
    Fault.PROXY: "4.4.4",
    Fault.NOT_OFFERED: "5.6.3",
    Fault.NONE: "4.0.0",
}

# what a reply without an enhanced status code most likely says, by the stage that it answers (RFC 3463)
_STAGE_STATUS = {
    Stage.BANNER: "4.2",
    Stage.EHLO: "5.0",
    Stage.STARTTLS: "7.0",
    Stage.AUTH: "7.8",
    Stage.MAIL: "1.0",
    Stage.RCPT: "1.0",
    Stage.DATA: "6.0",
    Stage.BODY: "6.0",
    Stage.END_OF_DATA: "6.0",
}

_CODE_STATUS = {
    421: "4.3.2",
    450: "4.2.0",
    451: "4.3.0",
    452: "4.3.1",
    500: "5.5.2",
    501: "5.5.4",
    502: "5.5.1",
    503: "5.5.1",
    504: "5.5.4",
    521: "5.3.2",
    535: "5.7.8",
    551: "5.1.6",
    552: "5.2.2",
    556: "5.1.10",
}


DIAGNOSTIC_MOST = 1000  # characters: it goes into a record for each recipient, and a peer may say 64 KB
LOOP_TO_SELF = "loop to self"  # the dialer's word for a host that turned out to be us
_LOOP = Disposition(Kind.PERMANENT, "5.4.6", "x-pmta;mail for this domain loops back to this relay")


class Rules(Struct, frozen=True):
    """The settings that change a meaning; resolved once per queue."""

    smtp_421_means_mx_unavailable: bool = False
    smtp_553_means_invalid_mailbox: bool = True
    bounce_upon_5xx_greeting: bool = True
    bounce_upon_transfer_failure: bool = False
    assume_delivery_upon_data_termination_timeout: bool = False
    bounce_upon_pix_transfer_failure: bool = False
    own_host: bool = False

    @classmethod
    def of(cls, settings: DomainSettings) -> Rules:
        """The rules of a queue."""
        return cls(
            settings.smtp_421_means_mx_unavailable,
            settings.smtp_553_means_invalid_mailbox,
            settings.bounce_upon_5xx_greeting,
            settings.bounce_upon_transfer_failure,
            settings.assume_delivery_upon_data_termination_timeout,
            settings.bounce_upon_pix_transfer_failure,
            bool(settings.auth_username or settings.smtp_hosts),
        )


DEFAULT = Rules()
_OF_421 = re.compile(r"(?<![.\d])421[ -].*", re.DOTALL)
_NEUTRAL = "421 4.3.2 Service not available"


def status_of(reply: Reply, stage: Stage, rules: Rules = DEFAULT) -> str:
    """The enhanced status code of a reply: its own if it fits its class, else the likeliest (RFC 3463)."""
    kind = reply.code // 100
    if reply.status and reply.status[0] == str(kind):
        return reply.status
    if kind == 2:
        return "2.0.0"
    if kind == 3:
        return "4.5.0"  # nothing that we ask may be answered so
    if reply.code == 553 and stage is Stage.RCPT and rules.smtp_553_means_invalid_mailbox:
        return "5.1.1"
    if reply.code == 550 and stage is Stage.RCPT:
        return "5.1.1"
    if reply.code == 552 and stage is Stage.MAIL:
        return "5.3.4"  # RFC 1870 section 6.1: by the declared size
    known = _CODE_STATUS.get(reply.code)
    if known is not None:
        return known
    return f"{kind}.{_STAGE_STATUS.get(stage, '0.0')}"


def of_reply(reply: Reply, stage: Stage, rules: Rules = DEFAULT) -> Disposition:
    """One recipient's fate by a final or refusing reply."""
    diagnostic = f"smtp;{reply.text}"[:DIAGNOSTIC_MOST]
    if reply.code < 300:
        return Disposition(Kind.DELIVERED, status_of(reply, stage, rules), diagnostic)
    if reply.code == 530 and rules.own_host:
        # "must issue STARTTLS", "authentication required": a line of the configuration is missing, and all mail goes by that host
        return Disposition(Kind.TRANSIENT, "4" + status_of(reply, stage, rules)[1:], diagnostic)
    kind = Kind.PERMANENT if reply.permanent else Kind.TRANSIENT
    return Disposition(kind, status_of(reply, stage, rules), diagnostic)


def without_421(text: str) -> str:
    """A diagnostic as the sender gets it with `replace-smtp-421-service-response`: a 421 says what RFC 5321 section 4.2.3 has it say, and
    nothing of what the receiver thinks of us."""
    return _OF_421.sub(_NEUTRAL, text)


def of_failure(failure: Failure, rules: Rules = DEFAULT) -> Disposition:
    """The fate of a recipient whose transaction ended by `failure` before an answer of its own."""
    if failure.reply is not None and failure.reply.code >= 300:
        return of_reply(failure.reply, failure.stage, rules)
    status = _FAULT_STATUS[failure.fault]
    if failure.fault is Fault.NOT_OFFERED and failure.stage in (Stage.STARTTLS, Stage.AUTH):
        status = "4.7.4"  # what the session lacks, the message cannot help; the operator of either side can
    text = failure.fault.value or "failed"
    if failure.detail:
        text += f": {failure.detail[:DIAGNOSTIC_MOST]}"
    kind = Kind.PERMANENT if status.startswith("5") else Kind.TRANSIENT
    return Disposition(kind, status, f"x-pmta;{text} (at {failure.stage.value})")


def judge_hosts(failures: Sequence[Failure], rules: Rules = DEFAULT) -> Judgement:
    """No host of a plan took us in; `failures` is what each came to (at least one). The disposition is the queue's, for whom it bounces."""
    last = failures[-1]
    # a refused login ends the round, and is what the operator has to know of it
    hopeful = last if refused_login(last) else next((failure for failure in failures if not _for_good(failure, rules)), None)
    if hopeful is not None:
        disposition = _transient(of_failure(hopeful, rules))
        return Judgement((disposition,), Site.QUEUE_RETRY, False, _told(hopeful, rules))
    disposition = _LOOP if last.detail == LOOP_TO_SELF else of_failure(last, rules)
    return Judgement((disposition,), Site.QUEUE_BOUNCE, False, disposition.diagnostic)


def refused_login(failure: Failure) -> bool:
    """Was it our login that failed, and not the host? Then it is the same everywhere."""
    reply = failure.reply
    return failure.stage is Stage.AUTH and (failure.fault is Fault.LOCAL if reply is None else reply.code != 421)


def _told(failure: Failure, rules: Rules) -> str:
    """Why a queue waits, for `postwright status`."""
    if failure.stage is not Stage.AUTH:
        return of_failure(failure, rules).diagnostic
    if failure.reply is None:
        return failure.detail or of_failure(failure, rules).diagnostic
    text = f"the login (auth-username) was refused: {failure.reply.text}"
    return f"{text} ({failure.detail})"[:DIAGNOSTIC_MOST] if failure.detail else text[:DIAGNOSTIC_MOST]


def _for_good(failure: Failure, rules: Rules) -> bool:
    """Would this host, if it were the only one, end all mail for the domain?"""
    if failure.detail == LOOP_TO_SELF:
        return True
    greeting = failure.stage in (Stage.BANNER, Stage.EHLO) and failure.reply is not None and failure.reply.permanent
    return greeting and rules.bounce_upon_5xx_greeting


def judge(result: TransactionResult, rules: Rules = DEFAULT, *, more_hosts: bool = False) -> Judgement:
    """The whole meaning of one transaction. `more_hosts`: the plan has hosts beside this one that have not failed lately."""
    final = result.final
    if result.failure is None and final is not None and final.code < 300 and result.finals is None:
        return _delivered(result, final, rules)
    if result.untouched:
        untouched = Disposition(Kind.UNTOUCHED, "4.4.2", "x-pmta;the session ended before this transaction began")
        return Judgement(_same(untouched, len(result.rcpt)), Site.FINE, False)
    if result.finals is None:
        dispositions = tuple(_one(result, rcpt, rules) for rcpt in result.rcpt)
    else:
        dispositions = tuple(_each(result, rcpt, final, rules) for rcpt, final in zip(result.rcpt, result.finals, strict=True))
    site = _site(result, rules)
    if site is Site.HOST_BUSY and more_hosts:
        dispositions = tuple(_elsewhere(disposition) for disposition in dispositions)
    return Judgement(dispositions, site, result.usable and not _closes(result), _reason(result))


def _each(result: TransactionResult, rcpt: Reply | None, final: Reply | None, rules: Rules) -> Disposition:
    """One recipient by LMTP: his own reply to the end of data counts (RFC 2033 section 4.2), whatever came of the others."""
    if final is not None:
        return of_reply(final, Stage.END_OF_DATA, rules)
    return _one(result, rcpt, rules)


def _elsewhere(disposition: Disposition) -> Disposition:
    """What a host that is not available left undone is for the next one."""
    if disposition.diagnostic.startswith("smtp;421"):
        return Disposition(Kind.UNTOUCHED, disposition.status, disposition.diagnostic)
    return disposition


def _delivered(result: TransactionResult, final: Reply, rules: Rules) -> Judgement:
    delivered = of_reply(final, Stage.END_OF_DATA, rules)
    if len(result.rcpt) == 1 and result.rcpt[0] is not None and result.rcpt[0].code < 300:
        return Judgement((delivered,), keep_session=result.usable)
    dispositions = [delivered if rcpt is not None and rcpt.code < 300 else _one(result, rcpt, rules) for rcpt in result.rcpt]
    if delivered in dispositions:
        # RFC 5321 section 4.5.3.1.10: what did not fit goes in a further transaction. As some were delivered, this comes to an end.
        for number, rcpt in enumerate(result.rcpt):
            if rcpt is not None and rcpt.code == 452 and _too_many(rcpt):
                dispositions[number] = Disposition(Kind.UNTOUCHED, "4.5.3", dispositions[number].diagnostic)
    return Judgement(tuple(dispositions), keep_session=result.usable)


def _too_many(reply: Reply) -> bool:
    return reply.status == "4.5.3" or (not reply.status and "too many recipients" in reply.text.lower())


def _one(result: TransactionResult, rcpt: Reply | None, rules: Rules) -> Disposition:
    """A recipient of a transaction that did not end well for all."""
    if rcpt is not None and rcpt.code >= 300:
        return of_reply(rcpt, Stage.RCPT, rules)
    if result.mail is not None and result.mail.code >= 300:
        return of_reply(result.mail, Stage.MAIL, rules)
    failure = result.failure
    if result.maybe_taken:
        fate = _maybe_taken(failure, rules)
        through_pix = result.pix and rules.bounce_upon_pix_transfer_failure and fate.kind is Kind.TRANSIENT
        return Disposition(Kind.PERMANENT, "5" + fate.status[1:], fate.diagnostic) if through_pix else fate
    if result.final is not None and result.final.code >= 300:
        stage = failure.stage if failure is not None else Stage.END_OF_DATA
        return of_reply(result.final, stage, rules)
    if failure is None:
        # a positive final reply, but this recipient got no answer of its own: the peer broke the protocol
        return Disposition(Kind.TRANSIENT, "4.5.0", "x-pmta;no reply to this recipient")
    disposition = of_failure(failure, rules)
    bounces = rules.bounce_upon_transfer_failure or (result.pix and rules.bounce_upon_pix_transfer_failure)
    if bounces and failure.stage is Stage.BODY and failure.reply is None:
        return Disposition(Kind.PERMANENT, "5" + disposition.status[1:], disposition.diagnostic)
    return disposition


def _maybe_taken(failure: Failure | None, rules: Rules) -> Disposition:
    # Content may leave in one group with MAIL (wire.client, BDAT): silence about MAIL is no silence about the end of data.
    timed_out = failure is not None and failure.fault is Fault.TIMEOUT and failure.stage is Stage.END_OF_DATA
    if timed_out and rules.assume_delivery_upon_data_termination_timeout:
        return Disposition(Kind.DELIVERED, "2.0.0", "x-pmta;assumed delivered: no reply to the end of data in time")
    what = failure.fault.value if failure is not None and failure.fault is not Fault.NONE else "connection lost"
    return Disposition(Kind.TRANSIENT, "4.4.2", f"x-pmta;{what} after the end of data; the message may be sent more than once")


def _site(result: TransactionResult, rules: Rules) -> Site:
    for reply in (result.final, result.mail, *result.rcpt, result.failure.reply if result.failure is not None else None):
        if reply is not None and reply.code == 421:
            return Site.HOST_BUSY if rules.smtp_421_means_mx_unavailable else Site.FINE
    return Site.FINE


def _closes(result: TransactionResult) -> bool:
    failure = result.failure
    return failure is not None and failure.fault in (Fault.LOST, Fault.TIMEOUT, Fault.PROTOCOL, Fault.TLS)


def _reason(result: TransactionResult) -> str:
    failure = result.failure
    if failure is None:
        return ""
    if failure.reply is not None:
        return failure.reply.text
    return f"{failure.fault.value} {failure.detail}".strip()


def _transient(disposition: Disposition) -> Disposition:
    if disposition.kind is Kind.TRANSIENT:
        return disposition
    return Disposition(Kind.TRANSIENT, "4" + disposition.status[1:], disposition.diagnostic)


def _same(disposition: Disposition, count: int) -> tuple[Disposition, ...]:
    return (disposition,) * count
