"""PTR and EHLO, one way and back."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.engine.doctor.patients import OTHER, SENDER, patient, told

from postwright.engine.doctor import names
from postwright.engine.doctor.patient import Wishes

TEXT = f"host-name relay.example\n<virtual-mta one>\nsmtp-source-host {SENDER} one.example\n</virtual-mta>\n"
GOOD = {
    "relay.example": {"A": [SENDER]},
    "one.example": {"A": [SENDER]},
    "1.1.44.5.in-addr.arpa": {"PTR": ["one.example."]},
}


async def test_all_is_well(tmp_path: Path) -> None:
    found = await told(names.check, patient(tmp_path, TEXT, GOOD))
    assert {key: one.level for key, one in found.items()} == {
        ("host-name", "relay.example"): "ok",
        ("ptr", SENDER): "ok",
        ("ehlo", "one.example"): "ok",
    }


@pytest.mark.parametrize(
    ("change", "key", "level", "cure"),
    [
        ({"relay.example": {}}, ("host-name", "relay.example"), "error", "relay.example. IN A"),
        ({"1.1.44.5.in-addr.arpa": {}}, ("ptr", SENDER), "error", "1.1.44.5.in-addr.arpa. IN PTR one.example."),
        (
            {"1.1.44.5.in-addr.arpa": {"PTR": ["pool-7.isp.example."]}},
            ("ptr", SENDER),
            "warning",
            f"smtp-source-host {SENDER} pool-7.isp.example",
        ),
        ({"one.example": {"A": [OTHER]}}, ("ehlo", "one.example"), "warning", f"one.example. IN A {SENDER}"),
        ({"one.example": {}}, ("ehlo", "one.example"), "error", f"one.example. IN A {SENDER}"),
    ],
)
async def test_what_is_wrong_is_told_with_its_cure(
    tmp_path: Path, change: dict[str, dict[str, list[str]]], key: tuple[str, str], level: str, cure: str
) -> None:
    finding = (await told(names.check, patient(tmp_path, TEXT, {**GOOD, **change})))[key]
    assert finding.level == level
    assert cure in finding.cure


async def test_a_silent_dns_is_no_fault_of_the_name(tmp_path: Path) -> None:
    found = await told(names.check, patient(tmp_path, TEXT, GOOD, failing=("relay.example", "one.example", "1.1.44.5.in-addr.arpa")))
    assert {one.level for one in found.values()} == {"unknown"}


async def test_behind_a_translation_the_user_names_the_address(tmp_path: Path) -> None:
    private = TEXT.replace(SENDER, "10.0.0.7")
    assert (await told(names.check, patient(tmp_path, private, GOOD)))["ptr", "source addresses"].level == "unknown"
    found = await told(names.check, patient(tmp_path, private, GOOD, Wishes(addresses=(SENDER,))))
    assert found["ptr", SENDER].level == "ok"


async def test_a_host_name_of_one_label(tmp_path: Path) -> None:
    found = await told(names.check, patient(tmp_path, "host-name relay\n", {}))
    assert found["host-name", "relay"].level == "error"
