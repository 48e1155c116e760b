"""What proves a report, and how much a stranger can have checked."""

from __future__ import annotations

import pytest

from postwright.content.readings import NOT_RETURNED, RecipientStatus, StatusReport
from postwright.engine import report_proofs
from postwright.engine.report_proofs import MOST_PATHS, proven
from postwright.model.address import parse_mailbox
from postwright.model.message import IdMaker
from postwright.policy.signed_path import Proof, message_key, signed, verified

SECRET, NOW = b"s" * 32, 1_700_000_000.0
YOU = parse_mailbox("you@example.com")
MESSAGE = IdMaker(3).next(NOW)
PATH = signed("back.example", MESSAGE, message_key(SECRET, MESSAGE), YOU).text


def report(*addresses: str) -> StatusReport:
    failed = tuple([RecipientStatus(address, "", "failed", "5.1.1", True, "smtp;550 no") for address in addresses])
    return StatusReport("rfc3464", failed, "", "mx.far.example", 0.0, NOT_RETURNED)


def test_the_address_that_the_report_came_to_proves_whom_it_is_about() -> None:
    assert proven(report("other@example.com", YOU.text), ["office@back.example", PATH], SECRET, NOW) == {1: Proof(YOU)}
    assert proven(report(YOU.text), ["office@back.example"], SECRET, NOW) == {}


def test_thousands_of_addresses_and_recipients_are_not_tried_each_with_each(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    def counted(secret: bytes, path: str, *more: object) -> object:
        tried.append(path)
        return verified(secret, path, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(report_proofs, "verified", counted)
    forged = [f"{PATH[:-14]}{number:02}@back.example" for number in range(50)]
    many = report(*[f"u{number}@example.com" for number in range(100)])
    assert proven(many, forged, SECRET, NOW) == {}
    assert 100 <= len(tried) <= 100 * (MOST_PATHS + 1)  # and the one that the returned message names
