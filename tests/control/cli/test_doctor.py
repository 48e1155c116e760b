"""`postwright doctor`, and every command of its guide, against a name server of a test."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from postwright.control.cli.main import main
from postwright.testing.dns_server import DnsServer
from postwright.testing.sink import SinkServer

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "guides" / "doctor.md"
SENDER = "5.44.1.1"
ZONE = {
    "relay.example": {"A": [SENDER]},
    "1.1.44.5.in-addr.arpa": {"PTR": ["relay.example."]},
    "mx.example.net": {"A": ["127.0.0.1"]},
    "com": {"MX": []},
    "net": {"MX": []},
    "org": {"MX": []},
}


def config(tmp_path: Path, port: int, more: str = "") -> Path:
    file = tmp_path / "relay.conf"
    text = f"host-name relay.example\nname-server 127.0.0.1:{port}\nsmtp-source-host {SENDER} relay.example\nsmtp-listener 127.0.0.1:2525\n"
    file.write_text(text + more)
    return file


async def run(*arguments: object) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, main, ["doctor", *map(str, arguments)])


async def test_what_is_wrong_stands_there_with_its_cure(tmp_path: Path) -> None:
    zone = {**ZONE, "1.1.44.5.in-addr.arpa": {"PTR": ["pool.isp.example."]}, "relay.example": {"A": ["192.0.2.1"]}}
    async with DnsServer(zone) as server:
        result = await run("--config", config(tmp_path, server.port), "--state-dir", tmp_path, "--only", "names")
    assert result.exit_code == 1
    assert "! warning  5.44.1.1: is called pool.isp.example, and says relay.example in EHLO" in result.output
    assert f"-> make both the same: smtp-source-host {SENDER} pool.isp.example" in result.output
    assert result.output.endswith("2 doubtful, 1 well\n")


async def test_well(tmp_path: Path) -> None:
    async with DnsServer(ZONE) as server:
        arguments = ("--config", config(tmp_path, server.port), "--only", "names", "--only", "dns", "--only", "relaying")
        result = await run(*arguments)
        shown = await run(*arguments, "--all")
    assert (result.exit_code, result.output) == (0, "6 well\n")
    assert f"+ ok  {SENDER}: is called relay.example, as it says in EHLO" in shown.output


async def test_json_escapes_what_strangers_wrote(tmp_path: Path) -> None:
    zone = {**ZONE, "1.1.44.5.in-addr.arpa": {"PTR": ["a\\027[31mb.example."]}}
    async with DnsServer(zone) as server:
        result = await run("--config", config(tmp_path, server.port), "--only", "names", "--json")
        plain = await run("--config", config(tmp_path, server.port), "--only", "names")
    told = json.loads(result.output)
    assert told["level"] == "warning"
    assert [one["check"] for one in told["sections"][0]["findings"]] == ["host-name", "ptr", "ehlo"]
    assert "\x1b" not in result.output + plain.output


@pytest.mark.parametrize("arguments", [("--only", "nonsense"), ("--address", "here"), ("--reach", "mx.example:port")])
async def test_a_wrong_command_line(arguments: tuple[str, ...], tmp_path: Path) -> None:
    result = await run("--config", config(tmp_path, 53), *arguments)
    assert (result.exit_code, arguments[1].rpartition(":")[2] in result.output) == (64, True)


async def test_a_configuration_that_cannot_be_read_is_an_error() -> None:
    result = await run("--config", "/none/config")
    assert result.exit_code == 2
    assert "/none/config" in result.output


def commands() -> list[str]:
    return re.findall(r"^    postwright (doctor .*)$", GUIDE.read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("line", commands())
async def test_the_commands_of_the_guide(line: str, tmp_path: Path) -> None:
    async with SinkServer() as sink, DnsServer(ZONE) as server:
        file = config(tmp_path, server.port)
        words = shlex.split(line.replace("/etc/postwright/config", str(file)).replace("mx.example.net", f"mx.example.net:{sink.port}"))
        result = await run(*words[1:], "--state-dir", tmp_path)
    assert result.exit_code in (0, 1, 2, 3), result.output
    assert "failed itself" not in result.output
    assert result.output
