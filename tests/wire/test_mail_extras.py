"""What we ask of the next host by the later extensions, and what its not offering them means."""

from __future__ import annotations

import pytest

from postwright.model.envelope import MailExtras
from postwright.model.outcome import Fault
from postwright.model.route import SessionOptions
from postwright.testing.world_submit import transaction
from postwright.wire.client_ehlo import misfit
from postwright.wire.client_encode import commands
from postwright.wire.client_states import Capabilities, Transaction

ALL = ("REQUIRETLS", "FUTURERELEASE", "DELIVERBY", "MT-PRIORITY")


def mail(extras: MailExtras | None, *keywords: str) -> tuple[Transaction, str]:
    made = transaction("a@example.com", ["b@example.org"])
    made.extras = extras
    return made, commands(made, Capabilities(keywords=keywords), SessionOptions())[0].decode()


@pytest.mark.parametrize(
    ("extras", "said"),
    [
        (MailExtras(require_tls=True), " REQUIRETLS"),
        (MailExtras(by=(59, "RT")), " BY=59;RT"),
        (MailExtras(by=(-5, "N")), " BY=-5;N"),
        (MailExtras(by=(10**12, "N")), " BY=999999999;N"),
        (MailExtras(priority=-3), " MT-PRIORITY=-3"),
        (MailExtras(hold_for=60), " HOLDFOR=60"),
        (MailExtras(True, by=(7, "R"), priority=0), " REQUIRETLS BY=7;R MT-PRIORITY=0"),
    ],
)
def test_what_is_offered_is_said_and_nothing_else(extras: MailExtras, said: str) -> None:
    assert mail(extras, *ALL)[1] == f"MAIL FROM:<a@example.com>{said}\r\n"
    assert mail(extras)[1] == "MAIL FROM:<a@example.com>\r\n"


@pytest.mark.parametrize(
    ("extras", "keyword"),
    [
        (MailExtras(require_tls=True), "REQUIRETLS"),
        (MailExtras(by=(59, "R")), "DELIVERBY"),
        (MailExtras(by=(59, "N")), ""),
        (MailExtras(priority=4), ""),
    ],
)
def test_what_cannot_be_done_without(extras: MailExtras, keyword: str) -> None:
    made, _ = mail(extras)
    lacking = misfit(made, Capabilities())
    assert (lacking is not None) == bool(keyword)
    if lacking is not None:
        assert (lacking.fault, lacking.detail.partition(":")[0]) == (Fault.NOT_OFFERED, keyword)
        assert misfit(made, Capabilities(keywords=(keyword,))) is None
