"""docs/guides/bounces.md and docs/reference/bounce-categories.md: every command, the configuration and the pack do what they say."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from textwrap import dedent

import pytest
from click.testing import CliRunner
from tests.scenarios.clients import send_from

from postwright.control.cli.main import main
from postwright.control.config import load
from postwright.policy.bounce import is_hard
from postwright.policy.bounce_pack import SHIPPED, shipped
from postwright.policy.settings import BOUNCE_CATEGORIES
from postwright.testing.relay_process import RelayProcess, plain_config
from postwright.testing.sink import SinkServer
from postwright.testing.sockets import free_port
from postwright.testing.world import World
from postwright.testing.world_settings import domain, relay

DOCS = Path(__file__).parents[2] / "docs"
GUIDE = (DOCS / "guides" / "bounces.md").read_text("utf-8")
PAGE = (DOCS / "reference" / "bounce-categories.md").read_text("utf-8")
BOUNCE = """\
From: MAILER-DAEMON@mx.example
Subject: failure notice

Hi. This is the qmail-send program at mx.example.

<bob@far.example>:
192.0.2.9 does not like recipient.
Remote host said: 550 5.1.1 no such user
Giving up on 192.0.2.9.
"""


def block(begins: str) -> str:
    """The indented block of the guide that begins so."""
    found = re.search(rf"^    {re.escape(begins)}.*?(?=^\S)", GUIDE, re.MULTILINE | re.DOTALL)
    assert found is not None, begins
    return dedent(found.group()).rstrip() + "\n"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the guide speaks of."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config").write_text(block("<bounce-category-patterns>"))
    (tmp_path / "mine.toml").write_text(block('version = "mine-3"'))
    (tmp_path / "bounce.eml").write_text(BOUNCE)
    return tmp_path


COMMANDS = re.findall(r"^    \$ (.*)\n((?:    (?!\$).*\n)*)", GUIDE, re.MULTILINE)


@pytest.mark.parametrize(("line", "shown"), COMMANDS, ids=[line for line, _ in COMMANDS])
def test_commands(files: Path, line: str, shown: str) -> None:
    piped = re.fullmatch(r'(?:echo "(.*)" \| )?postwright (.*?)(?: < (\S+))?', line)
    assert piped is not None
    text, arguments, file = piped.groups()
    stdin = f"{text}\n" if text else (files / file).read_text()
    result = CliRunner().invoke(main, arguments.split(), input=stdin)
    assert result.output == dedent(shown)
    assert result.exit_code == 0


def test_there_are_commands() -> None:
    assert len(COMMANDS) == 3


@pytest.mark.directive("bounce-category-patterns", "bounce-category-shadow")
def test_the_configuration_and_the_pack_as_its_shadow(files: Path) -> None:
    config = files / "config"
    config.write_text(config.read_text() + block("bounce-category-shadow"))
    loaded = load(config, offline=True).settings
    assert loaded is not None
    general = {"bounce_category_shadow": loaded.general.bounce_category_shadow}
    with World(relay(domain("*"), bounce_categories=loaded.bounce_categories, general=general)) as world:
        world.domain("sender.example")
        world.domain("far.example", rules=["rcpt:a@* 550 5.1.1 no such user", "rcpt:b@* 554 our house rules", "rcpt:c@* 554 5.1.1 hm"])
        world.submit("me@sender.example", [f"{name}@far.example" for name in "abc"])
        world.run_until_empty()
        assert {one.rcpt[0]: one.bounce_cat for one in world.of("b")} == {"a": "bad-mailbox", "b": "house-rules", "c": "other"}
        assert world.node.bounce_shadow is not None
        assert world.node.bounce_shadow.differs == {"house-rules -> other": 1, "other -> bad-mailbox": 1}


def compared(relay: RelayProcess) -> int:
    """Bounces that shadows have seen."""
    return sum(shard.bounce_shadow.compared for shard in relay.status().shards if shard.bounce_shadow is not None)


@pytest.mark.directive("bounce-category-shadow")
async def test_the_status_of_a_real_relay_tells_of_its_shadow(files: Path) -> None:
    port = free_port()
    async with SinkServer(rules=["rcpt 550 5.2.1 come back when you are older"]) as sink:
        shadow = files / "mine.toml"
        shadow.write_text(shadow.read_text().replace('hosts = ["*.far.example"]', ""))
        ours = f"bounce-category-shadow {shadow}\n<domain far.example>\n    smtp-hosts 127.0.0.1:{sink.port}\n</domain>\n"
        clients = "<source 127.0.0.1>\n    always-allow-relaying yes\n</source>\n"
        async with RelayProcess(files, f"{plain_config(port)}{ours}{clients}") as relay:
            await send_from(port, "bob@far.example")
            await relay.until(
                lambda: any(shard.bounce_shadow and shard.bounce_shadow.compared for shard in relay.status().shards), "a bounce"
            )
            shown = await asyncio.to_thread(CliRunner().invoke, main, ["status", "--state-dir", str(relay.state_dir)])
    assert (
        "  bounce rules mine-3 as a shadow: 1 of 1 bounces would be sorted otherwise; inactive-mailbox -> policy-related: 1"
        in shown.output.splitlines()
    )


def test_the_reference_has_every_category_and_every_rule() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| [^|]+ \| (\**\w+\**) \| ([^|]+) \|$", PAGE, re.MULTILINE)
    assert {name for name, _, _ in rows} == BOUNCE_CATEGORIES
    assert {name for name, hard, _ in rows if hard == "**hard**"} == {name for name in BOUNCE_CATEGORIES if is_hard(name)}
    for name, _, rules in rows:
        ours = [rule.name for rule in shipped().rules if rule.category == name] or ["(none)"]
        assert rules.split(", ") == ours
    assert SHIPPED in PAGE
    assert SHIPPED in GUIDE
