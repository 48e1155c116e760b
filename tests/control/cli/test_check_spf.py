"""`postwright check spf` before a name server on loopback: the look-ups, the result, the exit status."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from postwright.control.cli.main import main
from postwright.testing.dns_server import DnsServer

ZONE = {
    "a.example": {"TXT": ['"v=spf1 mx include:b.example exp=why.a.example -all"'], "MX": ["10 mx.a.example."]},
    "mx.a.example": {"A": ["192.0.2.1"]},
    "b.example": {"TXT": ['"v=spf1 ip6:2001:db8::/32 ~all"']},
    "why.a.example": {"TXT": ['"%{i} is not ours"']},
    "helo.example": {"TXT": ['"v=spf1 a -all"'], "A": ["192.0.2.7"]},
    "evil.example": {"TXT": ['"v=spf1 \\027[31m"']},
}


async def check(*arguments: str, faults: dict[str, str] | None = None) -> Result:
    async with DnsServer(ZONE, faults=faults) as server:
        return await asyncio.to_thread(CliRunner().invoke, main, ["check", "spf", *arguments, "--server", server.address])


@pytest.mark.parametrize(
    ("arguments", "lines", "status"),
    [
        (("192.0.2.1", "h.example", "me@a.example"), ["mailfrom domain = a.example", "mechanism = mx", "result = pass"], 0),
        (("2001:db8::5", "h.example", "<me@a.example>"), ["mechanism = include:b.example", "result = pass"], 0),
        (("192.0.2.9", "h.example", "me@a.example"), ["mechanism = -all", "explanation = 192.0.2.9 is not ours", "result = fail"], 1),
        (("192.0.2.7", "helo.example"), ["helo domain = helo.example", "mechanism = a", "result = pass"], 0),
        (("192.0.2.7", "helo.example", "<>"), ["helo domain = helo.example", "result = pass"], 0),
        (("192.0.2.7", "h.example", "me@none.example"), ["result = none"], 1),
    ],
)
async def test_results(arguments: tuple[str, ...], lines: list[str], status: int) -> None:
    result = await check(*arguments)
    assert result.exit_code == status, result.output
    assert set(lines) <= set(result.output.splitlines()), result.output


async def test_the_look_ups_are_told() -> None:
    output = (await check("192.0.2.1", "h.example", "me@a.example")).output
    assert "a.example MX: 10 mx.a.example" in output
    assert "mx.a.example A: 192.0.2.1" in output
    assert "b.example" not in output.splitlines()[-1], "what comes behind a match is not asked for"
    packets = (await check("192.0.2.1", "h.example", "me@a.example", "--dumppackets", "--tcp")).output
    assert "by tcp:" in packets
    assert "  > 0000  " in packets


async def test_no_answer_has_a_status_of_its_own() -> None:
    result = await check("192.0.2.1", "h.example", "me@a.example", faults={"a.example": "servfail"})
    assert result.exit_code == 2
    assert "result = temperror" in result.output


async def test_what_a_stranger_publishes_changes_no_terminal() -> None:
    output = (await check("192.0.2.1", "h.example", "me@evil.example")).output
    assert "result = permerror" in output
    assert "\x1b" not in output


def test_a_client_that_is_no_address_and_a_configuration_called_spf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = CliRunner().invoke(main, ["check", "spf", "mail.example", "h.example"])
    assert wrong.exit_code == 2
    assert "mail.example" in wrong.output
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spf").write_text("nonsense yes\n")
    assert "nonsense" in CliRunner().invoke(main, ["check", "./spf"]).output
