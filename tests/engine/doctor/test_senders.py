"""SPF, DKIM and DMARC of those in whose name mail is sent."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.engine.doctor.patients import OTHER, SENDER, patient, told

from postwright.engine import dkim_admin
from postwright.engine.doctor import senders
from postwright.engine.doctor.finding import Finding
from postwright.engine.doctor.patient import Wishes

HOSTS = f"smtp-source-host {SENDER} one.example\n"
ONLY = Wishes(domains=("news.example",))


async def look(tmp_path: Path, spf: str = "", dmarc: str = "") -> dict[tuple[str, str], Finding]:
    zone = {"news.example": {"TXT": [spf] if spf else []}, "_dmarc.news.example": {"TXT": [dmarc] if dmarc else []}}
    return await told(senders.check, patient(tmp_path, HOSTS, zone, ONLY))


@pytest.mark.parametrize(
    ("record", "level", "cure"),
    [
        (f"v=spf1 ip4:{SENDER} -all", "ok", ""),
        ("v=spf1 ip4:192.0.2.1 -all", "error", f"ip4:{SENDER}"),
        ("v=spf1 ~all", "warning", f"ip4:{SENDER}"),
        ("v=spf1 ip4:nonsense -all", "error", "postwright check spf"),
        ("", "warning", f'"v=spf1 ip4:{SENDER} -all"'),
    ],
)
async def test_spf(tmp_path: Path, record: str, level: str, cure: str) -> None:
    finding = (await look(tmp_path, spf=record))["spf", "news.example"]
    assert finding.level == level
    assert cure in finding.cure


@pytest.mark.parametrize(
    ("record", "level"),
    [("v=DMARC1; p=reject", "ok"), ("", "warning"), ("v=DMARC1; p=sometimes", "error")],
)
async def test_dmarc(tmp_path: Path, record: str, level: str) -> None:
    assert (await look(tmp_path, dmarc=record))["dmarc", "news.example"].level == level


async def test_a_key_within_a_virtual_mta_is_about_its_addresses(tmp_path: Path) -> None:
    key, pem = dkim_admin.new_key("ed25519")
    file = tmp_path / "key.pem"
    dkim_admin.keep(str(file), pem)
    text = f"{HOSTS}<virtual-mta two>\nsmtp-source-host {OTHER} two.example\ndomain-key s1, shop.example, {file}\n</virtual-mta>\n"
    zone = {
        "shop.example": {"TXT": [f"v=spf1 ip4:{OTHER} -all"]},
        "s1._domainkey.shop.example": {"TXT": [key.record()]},
        "_dmarc.shop.example": {"TXT": ["v=DMARC1; p=none"]},
    }
    found = await told(senders.check, patient(tmp_path, text, zone))
    assert {key: one.level for key, one in found.items()} == {
        ("spf", "shop.example"): "ok",
        ("dmarc", "shop.example"): "ok",
        ("dkim", "s1._domainkey.shop.example"): "ok",
    }
    del zone["s1._domainkey.shop.example"]
    missing = (await told(senders.check, patient(tmp_path, text, zone)))["dkim", "s1._domainkey.shop.example"]
    assert missing.level == "error"
    assert "--domain shop.example --selector s1" in missing.cure


async def test_nobody_is_known(tmp_path: Path) -> None:
    assert (await told(senders.check, patient(tmp_path, HOSTS)))["senders", "sender domains"].level == "note"
