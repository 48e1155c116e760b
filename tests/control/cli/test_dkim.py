"""`postwright dkim`: keys and records that dkimpy can sign and verify with, and the comparison with a name server."""

from __future__ import annotations

import asyncio
import re
import stat
from pathlib import Path

import dkim
import msgspec
import pytest
from click.testing import CliRunner, Result
from tests.engine.test_vault_keys import vault

from postwright.control.cli.main import main
from postwright.testing.dns_server import DnsServer

MAIL = b"From: joe@a.example\r\nSubject: x\r\n\r\nbody\r\n"
_string = re.compile(r'"([^"]*)"').findall


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["dkim", *arguments])


def made(folder: Path, *more: str, selector: str = "s1") -> tuple[Path, Result]:
    file = folder / f"{selector}.pem"
    result = run("keygen", "--domain", "a.example", "--selector", selector, "--out", str(file), *more)
    assert result.exit_code == 0, result.output
    return file, result


@pytest.mark.parametrize("bits", ["1024", "2048"])
def test_a_new_key_signs_and_its_record_verifies(tmp_path: Path, bits: str) -> None:
    file, result = made(tmp_path, "--bits", bits)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert f"domain-key s1, a.example, {file}" in result.output
    strings = _string(result.output)
    assert max(map(len, strings)) <= 255
    assert "s1._domainkey.a.example. IN TXT" in result.output
    field = dkim.sign(MAIL, b"s1", b"a.example", file.read_bytes())
    assert dkim.verify(field + MAIL, dnsfunc=lambda name, timeout=5: "".join(strings).encode())
    text = run("record", str(file), "--domain", "a.example", "--selector", "s1", "--text")
    assert text.output.strip() == "".join(strings)
    assert _string(run("record", str(file), "--domain", "a.example", "--selector", "s1").output) == strings


def test_ed25519_and_what_is_not_written_over(tmp_path: Path) -> None:
    file, result = made(tmp_path, "--type", "ed25519")
    assert "k=ed25519; p=" in result.output
    assert "second-dkim-algorithm ed25519-sha256" in result.output
    again = run("keygen", "--domain", "a.example", "--selector", "s1", "--out", str(file))
    assert (again.exit_code, "File exists" in again.output) == (1, True)
    assert run("keygen", "--domain", "a_b..example", "--selector", "s1").exit_code == 64
    assert run("keygen", "--domain", "a.example", "--selector", "s 1").exit_code == 64
    assert run("record", str(tmp_path / "none"), "--domain", "a.example", "--selector", "s1").exit_code == 1


def _config(folder: Path, *lines: str) -> str:
    file = folder / "config"
    file.write_text("\n".join(["host-name relay.example", "postmaster you@relay.example", f"log-file {folder}/log", *lines, ""]))
    return str(file)


async def test_keys_beside_the_dns(tmp_path: Path) -> None:
    zone: dict[str, dict[str, list[str]]] = {}
    states = {"good": "ok", "old": "differs", "gone": "missing", "away": "revoked", "two": "invalid", "torn": "invalid"}
    lines, texts = [], {}
    for selector in states:
        file, result = made(tmp_path, "--type", "ed25519", selector=selector)
        lines.append(f"domain-key {selector}, a.example, {file}")
        texts[selector] = f'"{_string(result.output)[0]}"'
    records = {"good": [texts["good"]], "old": [texts["good"]], "away": ['"v=DKIM1; p="'], "two": [texts["two"]] * 2, "torn": ['"v=spf1"']}
    records["two"][1] = texts["good"]
    for selector, found in records.items():
        zone[f"{selector}._domainkey.a.example"] = {"TXT": found}
    lines.append(f"domain-key any, *, {tmp_path}/good.pem")
    zone["any._domainkey.b.example"] = {"TXT": [texts["good"]]}
    config = _config(tmp_path, *lines)
    async with DnsServer(zone) as server:
        result = await asyncio.to_thread(run, "check", "--config", config, "--server", server.address, "--json")
        found = [msgspec.json.decode(line) for line in result.output.splitlines() if line.startswith("{")]
        assert {one["name"].partition(".")[0]: one["state"] for one in found} == states
        assert result.exit_code == 1
        assert "any, *: say which domains with --domain" in result.output
        result = await asyncio.to_thread(run, "check", "--config", config, "--server", server.address, "--domain", "b.example")
        assert result.output.split() == ["ok", "any._domainkey.b.example:", "ed25519,", "256", "bits"]
        assert result.exit_code == 0
    assert run("check", "--config", str(tmp_path / "none")).exit_code == 64


def test_a_plan_for_the_next_key(tmp_path: Path) -> None:
    old, _ = made(tmp_path)
    config = _config(tmp_path, f"domain-key s1, a.example, {old}", "<domain *>", "bounce-after 10d", "</domain>")
    result = run("rotate", "--config", config, "--domain", "a.example", "--selector", "s2")
    new = tmp_path / "s2.a.example.pem"
    assert result.exit_code == 0, result.output
    assert new.exists()
    assert f"domain-key s2, a.example, {new}" in result.output
    assert "up to 17 days" in result.output, "ten days of trying, and a week at receivers"
    assert 's1._domainkey.a.example. IN TXT "v=DKIM1; p="' in result.output
    assert run("rotate", "--config", config, "--domain", "a.example", "--selector", "s1").exit_code == 64
    assert run("rotate", "--config", config, "--domain", "b.example").exit_code == 1


async def test_keys_in_a_vault_beside_the_dns(tmp_path: Path) -> None:
    file, result = made(tmp_path, "--type", "ed25519")
    record = f'"{_string(result.output)[0]}"'
    async with vault() as store, DnsServer({"s1._domainkey.a.example": {"TXT": [record]}}) as server:
        store.answers["/v1/kv/data/dkim"] = {"data": {"data": {"one": file.read_text()}, "metadata": {"version": 3}}}
        blocks = [f"<vault v>\nserver-url http://127.0.0.1:{store.port}\naccess-token s3cret\n</vault>"]
        keys = [f"domain-key {name}, a.example, {{vault}}:/kv/data/{path}" for name, path in {"s1": "dkim:one", "s2": "no:x"}.items()]
        config = _config(tmp_path, *blocks, *keys)
        result = await asyncio.to_thread(run, "check", "--config", config, "--server", server.address)
        assert result.output.splitlines() == [
            "ok       s1._domainkey.a.example: ed25519, 256 bits",
            "broken   s2._domainkey.a.example: {vault}:/kv/data/no:x the vault answers 404",
        ]
        assert result.exit_code == 1
        out = str(tmp_path / "new.pem")
        rotate = "rotate", "--domain", "a.example", "--selector", "s3", "--out", out
        result = await asyncio.to_thread(run, *rotate, "--config", config)
        assert result.exit_code == 0, result.output
        assert "k=ed25519" in result.output, "as the old one is, which was asked for"
        assert f"vault kv patch kv/dkim s3=@{out}" in result.output
        assert "    domain-key s3, a.example, {vault}:/kv/data/dkim:s3\n" in result.output
        assert "s3cret" not in result.output
        assert "PRIVATE" not in result.output
    closed = _config(tmp_path, *blocks, keys[0])
    found = await asyncio.to_thread(run, "check", "--config", closed, "--server", "127.0.0.1:1")
    assert "broken   s1._domainkey.a.example: {vault}:/kv/data/dkim:one the vault does not answer" in found.output
    missing = await asyncio.to_thread(run, "check", "--config", _config(tmp_path, keys[0]), "--server", "127.0.0.1:1")
    assert "lies in a vault, and there is no <vault>" in missing.output
