"""What a sender asks of delivery beside the envelope proper: granted, dated and put into the message.

    MAIL        REQUIRETLS, HOLDFOR and HOLDUNTIL, BY, MT-PRIORITY become `Wishes` in absolute time (`granted`)
    x-schedule  the windows in which the message may be sent (`put_into`)

What was not offered has been refused by the wire engine. Nothing here waits or raises; what cannot be granted is a reply.
"""

from __future__ import annotations

from datetime import UTC, datetime

from msgspec.structs import replace

from postwright.content import schedule
from postwright.model.envelope import MailExtras, Notify, Wishes
from postwright.model.message import Message
from postwright.model.rank import with_priority
from postwright.model.reply import Reply
from postwright.policy.extensions import extensions, may_relay
from postwright.policy.settings import SourceSettings
from postwright.wire.client_states import Transaction
from postwright.wire.options import Offers

MAIL_OK = Reply(250, "2.1.0", ("MAIL ok",))
HELD_TOO_LONG = Reply(501, "5.5.4", ("HOLDUNTIL is further ahead than mail is held here",))
SCHEDULE_OVER = Reply(550, "5.4.7", ("the last time in x-schedule has passed",))

_TOLD_MOST = 999_999  # what six digits can say (RFC 9422 section 4); who allows more names no limit

MIDDLE = 50  # the priority of mail that asks for none
STEP = 5  # -9 to 9 becomes 5 to 95, of 0 to 100


def offers(source: SourceSettings, tls: bool, logged_in: bool) -> Offers:
    """What EHLO says of these extensions."""
    names = extensions(source, tls, logged_in)
    # not RCPTDOMAINMAX: that counts the domains of a session (RFC 9422 section 4.3), `max-rcpt-domains-per-message` those of a message
    limits = (("RCPTMAX", source.max_rcpt_per_message), ("MAILMAX", source.max_msg_per_session))
    return Offers(
        requiretls="requiretls" in names,
        hold=int(source.max_future_release) if "futurerelease" in names else 0,
        deliverby="deliverby" in names,
        mt_priority="mt-priority" in names,
        verp="verp" in names,
        limits=tuple([f"{name}={most}" for name, most in limits if most is not None and most <= _TOLD_MOST]) if "limits" in names else (),
        merge=source.allow_mailmerge or source.always_allow_api_submission,
    )


def dated(offered: tuple[str, ...], now: float) -> tuple[str, ...]:
    """FUTURERELEASE with the latest time behind the longest interval (RFC 4865 section 4), which nobody can know beforehand."""
    return tuple([f"{line} {_utc(now + int(line[14:]))}" if line.startswith("FUTURERELEASE ") else line for line in offered])


def _utc(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def granted(extras: MailExtras, source: SourceSettings, logged_in: bool, now: float) -> Wishes | Reply:
    """Relative times made absolute; a raised priority goes only to who may relay (RFC 6710 section 5)."""
    held, not_before = "", 0.0
    if extras.hold_for is not None:
        held, not_before = f"for;{extras.hold_for}", now + extras.hold_for
    elif extras.hold_until is not None:
        if extras.hold_until > now + source.max_future_release:
            return HELD_TOO_LONG
        held, not_before = f"until;{_utc(extras.hold_until)}", extras.hold_until
    seconds, mode = extras.by or (0, "")
    priority = extras.priority
    if priority is not None and priority > 0 and not may_relay(source, logged_in):
        priority = 0
    # the time for delivering begins when the message is let go: before, nobody is late
    deadline = max(now, not_before) + seconds if mode else 0.0
    # Only by N; RFC 2852 section 4.1.4.1 passes on what is over, and who saw it pass has told the sender.
    return Wishes(extras.require_tls, held, not_before, deadline, mode, priority, late=bool(mode) and seconds <= 0)


def with_delay(transaction: Transaction) -> None:
    """To a host that keeps no time but knows DSN: it is asked to tell of delays in its own way (RFC 2852 section 4.1.4.2)."""
    transaction.recipients = [
        recipient
        if recipient.notify & Notify.NEVER
        else replace(recipient, notify=int(Notify.DELAY | (recipient.notify or Notify.FAILURE)))
        for recipient in transaction.recipients
    ]


def answered(extras: MailExtras, wishes: Wishes) -> Reply:
    """250 to MAIL; with 2.3.6 when the priority is not the one asked for (RFC 6710 section 4.1)."""
    if wishes.priority == extras.priority:
        return MAIL_OK
    return Reply(250, "2.3.6", (f"{wishes.priority} is the new priority assigned to the message",))


def put_into(message: Message, text: str | None, now: float) -> Reply | None:
    """`not_before` and `priority` of the message by its wishes and by `text`, what x-schedule says. A reply refuses it."""
    wishes = message.envelope.wishes or Wishes()
    if text is not None:
        try:
            wishes = replace(wishes, windows=schedule.windows(text))
        except ValueError as error:
            return Reply(550, "5.6.0", (str(error),))
        message.envelope.wishes = wishes
    opens = schedule.opens(wishes.windows, max(now, wishes.not_before))
    if opens is None:
        return SCHEDULE_OVER
    if opens > now:
        message.not_before = opens
    if wishes.priority is not None:
        message.priority = with_priority(message.priority, MIDDLE + STEP * wishes.priority)
    return None
