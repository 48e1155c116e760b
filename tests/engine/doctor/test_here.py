"""What is looked at on the machine itself: relaying, certificates, clock, limits, disks, modes; and the whole examination."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from pathlib import Path

import pytest
from tests.engine.doctor.patients import patient, told

from postwright.control.config import load
from postwright.engine import crypto_mb
from postwright.engine.doctor import certificates, files, machine, naming, relaying
from postwright.engine.doctor.examine import GROUPS, UNASKED, examine
from postwright.engine.doctor.finding import Finding, Section, status, worst
from postwright.engine.doctor.patient import Patient
from postwright.engine.self_signed import self_signed_pem

LISTENER = "host-name relay.example\nsmtp-listener 127.0.0.1:25\n"
EVERYBODY = "<source 0/0>\n    always-allow-relaying yes\n</source>\n"
LED_BACK = "<source 0/0>\n    check-iprev-inbound yes\n    reject-iprev-check-fail yes\n</source>\n"
CUSTOMERS = "<source 93.184.33.0/24>\n    always-allow-relaying yes\n</source>\n"


@pytest.mark.parametrize(
    ("text", "level"),
    [
        (LISTENER, "ok"),
        (LISTENER + CUSTOMERS, "ok"),
        (f"allow-open-relay yes\n{LISTENER}{EVERYBODY}", "error"),
        (f"allow-open-relay yes\n{LISTENER}{EVERYBODY}{LED_BACK}", "error"),
        (f"allow-open-relay yes\n{LISTENER}relay-domain *\n", "error"),
        (f"{LISTENER}<source 0/0>\n    smtp-service no\n    always-allow-relaying no\n</source>\n", "ok"),
    ],
)
async def test_strangers_relay_or_they_do_not(tmp_path: Path, text: str, level: str) -> None:
    found = await told(relaying.check, patient(tmp_path, text))
    assert found["open-relay", "127.0.0.1:25"].level == level


async def test_each_source_of_a_listener_is_tried(tmp_path: Path) -> None:
    text = f"allow-open-relay yes\n{LISTENER}smtp-listener 127.0.0.1:26 source={{in}}\nsmtp-listener 127.0.0.1:27 source={{in}}\n"
    found = await told(relaying.check, patient(tmp_path, text + EVERYBODY.replace("0/0", "{in}")))
    assert {subject: one.level for (_, subject), one in found.items()} == {"127.0.0.1:25": "ok", "127.0.0.1:26": "error"}


def certificate(tmp_path: Path, days: int) -> Path:
    file = tmp_path / f"{days}.pem"
    file.write_bytes(b"".join(self_signed_pem(("relay.example",), days)))
    file.chmod(0o600)
    return file


@pytest.mark.parametrize(("days", "level"), [(300, "ok"), (5, "warning"), (0, "error")])
async def test_certificates(tmp_path: Path, days: int, level: str) -> None:
    file = certificate(tmp_path, days)
    found = await told(certificates.check, patient(tmp_path, f"{LISTENER}smtp-server-tls-certificate {file}\n"))
    assert found["certificate", str(file)].level == level
    assert "127.0.0.1:25" in found["certificate", str(file)].text


async def test_the_monitors_certificate(tmp_path: Path) -> None:
    file = certificate(tmp_path, 300)
    found = await told(certificates.check, patient(tmp_path, f"http-tls-certificate {file}\n"))
    assert "the monitor" in found["certificate", str(file)].text


async def test_the_certificate_of_an_api_listener(tmp_path: Path) -> None:
    file = certificate(tmp_path, 5)
    text = f"<transmissions-api-listener 127.0.0.1:8443>\ntls-certificate {file}\n</transmissions-api-listener>\n"
    found = await told(certificates.check, patient(tmp_path, LISTENER + text))
    assert (found["certificate", str(file)].level, "127.0.0.1:8443" in found["certificate", str(file)].text) == ("warning", True)


async def test_a_certificate_that_is_not_there_and_none_at_all(tmp_path: Path) -> None:
    missing = await certificates.check(patient(tmp_path, f"{LISTENER}smtp-server-tls-certificate {tmp_path / 'none.pem'}\n"))
    assert [one.level for one in missing] == ["error"]
    assert [one.level for one in await certificates.check(patient(tmp_path, LISTENER))] == ["note"]


async def test_the_machine(tmp_path: Path) -> None:
    found = await told(machine.check, patient(tmp_path, "total-max-smtp-out 10\ntotal-max-smtp-in 10\n"))
    spool = str(tmp_path / "spool")
    assert found["disk-latency", spool].level in ("ok", "note", "warning")
    assert "GB are free" in found["disk-space", spool].text
    assert found["open-files", "open files"].level == "ok"
    assert list(tmp_path.iterdir()) == []  # what it wrote is gone


async def test_a_disk_that_halts_holds_up_nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    halted, written = threading.Event(), os.fdatasync

    def halting(fd: int) -> None:
        assert halted.wait(10), "nobody else had a turn"
        written(fd)

    monkeypatch.setattr(os, "fdatasync", halting)
    asyncio.get_running_loop().call_soon(halted.set)
    found = await told(machine.check, patient(tmp_path, ""))
    assert found["disk-latency", str(tmp_path / "spool")].level in ("ok", "note", "warning")


async def test_how_rsa_signatures_are_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    who = patient(tmp_path, f"domain-key s, example.com, {tmp_path / 'k.pem'}\n")
    monkeypatch.setattr(crypto_mb, "library", lambda: None)
    assert "eight at a time" in (await told(machine.check, who))["rsa-signing", "RSA signatures"].text
    monkeypatch.undo()
    monkeypatch.setenv(crypto_mb.SWITCH, "no")
    assert crypto_mb.SWITCH in (await told(machine.check, who))["rsa-signing", "RSA signatures"].text
    assert ("rsa-signing", "RSA signatures") not in await told(machine.check, patient(tmp_path, ""))


async def test_files_of_the_future_say_that_the_clock_was_set_back(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    assert (await told(machine.check, patient(tmp_path, "")))["clock", "clock"].level != "error"
    os.utime(file, (time.time() + 3600,) * 2)
    assert (await told(machine.check, patient(tmp_path, "")))["clock", "clock"].level == "error"


async def test_too_few_files_and_too_little_room(tmp_path: Path) -> None:
    found = await told(
        machine.check, patient(tmp_path, f"total-max-smtp-out 100000000\n<spool {tmp_path / 'spool'}>\nmin-free-space 1000T\n</spool>\n")
    )
    assert found["open-files", "open files"].level == "error"
    assert "LimitNOFILE=" in found["open-files", "open files"].cure
    assert found["disk-space", str(tmp_path / "spool")].level == "error"


@pytest.mark.parametrize(("mode", "level"), [(0o750, "ok"), (0o755, "warning"), (0o777, "error")])
async def test_the_state_folder(tmp_path: Path, mode: int, level: str) -> None:
    tmp_path.chmod(mode)
    assert (await told(files.check, patient(tmp_path, "")))["permissions", str(tmp_path)].level == level


@pytest.mark.parametrize(("mode", "level"), [(0o640, None), (0o644, "error"), (0o660, "error")])
async def test_keys_that_others_may_read(tmp_path: Path, mode: int, level: str | None) -> None:
    file = certificate(tmp_path, 300)
    file.chmod(mode)
    found = await told(files.check, patient(tmp_path, f"{LISTENER}smtp-server-tls-certificate {file}\n"))
    assert (found["permissions", str(file)].level if level else found["permissions", "1 files"].level) == (level or "ok")


@pytest.mark.parametrize(
    "text",
    [
        "<domain example.com>\nsmtp-client-certificate {file}\n</domain>\n",
        "<virtual-mta v>\n<domain *>\nsmtp-client-certificate {file}\n</domain>\n</virtual-mta>\n",
        "<transmissions-api-listener 127.0.0.1:8443>\ntls-certificate {file}\n</transmissions-api-listener>\n",
        "smtp-server-tls-sni-certificate {file}\n",
        "<acct-file a.csv>\nhttp-webhook-certificate {file}\n</acct-file>\n",
    ],
)
async def test_keys_are_looked_at_wherever_they_are_named(tmp_path: Path, text: str) -> None:
    file = certificate(tmp_path, 300)
    file.chmod(0o644)
    found = await told(files.check, patient(tmp_path, text.format(file=file)))
    assert found["permissions", str(file)].level == "error"


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("<domain *>\nauth-username me\nauth-password hush\n</domain>\n", "error"),
        ("http-api-key 0123456789abcdef0123456789abcdef\n", "error"),
        ("<smtp-user me>\npassword hush\n</smtp-user>\n", "error"),
        ("total-max-smtp-out 5\n", None),
    ],
)
async def test_a_configuration_with_passwords_that_all_may_read(tmp_path: Path, text: str, level: str | None) -> None:
    file = tmp_path / "relay.conf"
    file.write_text("log-file relay.log\n" + text)
    file.chmod(0o644)
    settings = load(file, offline=True).settings
    assert settings is not None
    who = patient(tmp_path, "")
    who.settings = settings
    told_of = {one.subject: one.level for one in await files.check(who)}
    assert told_of.get(str(file)) == level


async def test_the_whole_examination(tmp_path: Path) -> None:
    sections = await examine(patient(tmp_path, LISTENER))
    assert [section.title for section in sections] == [title for title, _ in GROUPS.values()]
    assert all(section.findings for section in sections)
    assert [section.title for section in await examine(patient(tmp_path, LISTENER), ["relaying"])] == ["Who may send"]


async def test_where_no_name_server_answers_no_name_is_waited_for(tmp_path: Path) -> None:
    who = patient(tmp_path, LISTENER, failing=naming.ASKED)
    first, second, third = await examine(who, ["dns", "names", "relaying"])
    assert (first.findings[0].level, third.findings[0].level) == ("error", "ok")
    assert [(one.level, one.text) for one in second.findings] == [("unknown", UNASKED)]
    assert who.resolver.counts().asked == 1


async def test_a_check_that_fails_itself_costs_nobody_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(who: Patient) -> list[Finding]:
        raise RuntimeError("no such thing")

    monkeypatch.setitem(GROUPS, "dns", ("Name servers", broken))
    first, second = await examine(patient(tmp_path, LISTENER), ["dns", "relaying"])
    assert (first.findings[0].level, second.findings[0].level) == ("unknown", "ok")
    assert "RuntimeError: no such thing" in first.findings[0].text


@pytest.mark.parametrize(
    ("levels", "exits"), [([], 0), (["ok", "note"], 0), (["unknown"], 3), (["unknown", "warning"], 1), (["warning", "error"], 2)]
)
def test_the_exit_status(levels: list[str], exits: int) -> None:
    sections = [Section("one", tuple(Finding("check", level, "subject", "text") for level in levels))]  # type: ignore[arg-type]
    assert status(sections) == exits
    assert worst(sections) == (levels[-1] if levels and exits else "note" if levels else "ok")
