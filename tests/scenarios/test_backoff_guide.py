"""docs/guides/backoff.md: its configuration in simulated time, each action and each way back; its commands at a real relay. About 3 s."""

from __future__ import annotations

import asyncio
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.scenarios.clients import send_from

from postwright.control.cli.main import main
from postwright.control.config import load
from postwright.model.work import QueueKey
from postwright.policy.settings import Settings
from postwright.testing.relay_process import RelayProcess, plain_config
from postwright.testing.sink import SinkServer
from postwright.testing.sockets import free_port
from postwright.testing.world import World

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "backoff.md").read_text("utf-8")
MINUTE, HOUR = 60.0, 3600.0
ME, OPS = "me@relay.example", "ops@relay.example"
HEAD = """\
host-name relay.example
smtp-listener 192.0.2.1:25
log-file relay.log
<acct-file acct.csv>
    records d, b, t
</acct-file>
"""
CLIENTS = """\
<source {network}>
    always-allow-relaying yes
    process-x-virtual-mta yes
    default-virtual-mta m1
</source>
"""


def configuration() -> str:
    """Every block of the guide that is configuration."""
    block = re.compile(r"^    <(smtp-pattern-list|virtual-mta|domain) [^\n]*\n.*?^    </\1>$", re.MULTILINE | re.DOTALL)
    found = [match.group() for match in block.finditer(GUIDE)]
    assert len(found) >= 6
    return "\n".join(found)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    file = tmp_path_factory.mktemp("guide") / "relay.conf"
    file.write_text(f"{HEAD}{configuration()}\n{CLIENTS.format(network='192.0.2.0/24')}")
    loaded = load(file, offline=True)
    assert [problem for problem in loaded.problems if problem.level == "error"] == []
    assert loaded.settings is not None
    return loaded.settings


class Block:
    """The guide's relay and one receiver of `name`, which says what `rules` say."""

    def __init__(self, settings: Settings, *rules: str, name: str = "block.example", hosts: int = 1) -> None:
        self.name = name
        self.world = World(settings)
        self.mx = self.world.host(f"mx1.{name}", rules)
        self.spare = [self.world.host(f"mx{number}.{name}") for number in range(2, hosts + 1)]
        self.world.mx(name, *(f"mx{number}.{name}" for number in range(1, hosts + 1)))
        self.ops = self.world.domain("relay.example")

    def __enter__(self) -> Block:
        return self

    def __exit__(self, *error: object) -> None:
        self.world.close()

    def send(self, count: int = 1) -> None:
        for number in range(count):
            self.world.submit(ME, [f"u{number}@{self.name}"])

    def mode(self, vmta: str = "m1") -> str:
        queue = self.world.node.scheduler.queues.get(QueueKey(self.name, vmta))
        return "normal" if queue is None or queue.backoff is None else "backoff"

    def sources(self) -> set[str]:
        return {record.dlv_source_ip for record in self.world.of("d") if record.rcpt.endswith(self.name)}

    def told(self) -> list[str]:
        """Subjects of what the operator was told."""
        texts = [message.content.decode() for message in self.ops.messages]
        return [line.removeprefix("Subject: ") for text in texts for line in text.splitlines() if line.startswith("Subject: ")]


@pytest.mark.directive("smtp-pattern-list", "reply", "backoff-to-normal-after", "backoff-notify")
@pytest.mark.parametrize(("said", "hours"), [("421 4.7.0 [RP-001] slow down", 1), ("421 unusual rate", 2)])
def test_backoff_mode_lasts_as_long_as_the_rule_or_the_directive_says(settings: Settings, said: str, hours: int) -> None:
    with Block(settings, f"rcpt first=1 {said}") as b:
        b.send()
        b.world.advance(MINUTE)
        assert b.mode() == "backoff"
        b.world.advance(hours * HOUR - 2 * MINUTE)
        assert b.mode() == "backoff"
        b.world.advance(2 * MINUTE)
        assert b.mode() == "normal"
        b.world.advance(MINUTE)
        assert len([subject for subject in b.told() if "mode" in subject]) == 2


@pytest.mark.directive("backoff-max-msg-rate")
def test_the_rate_of_backoff_mode(settings: Settings) -> None:
    with Block(settings, "rcpt:u0@* first=1 421 unusual rate") as b:
        b.send(100)
        b.world.advance(30 * MINUTE)
        assert 50 <= len(b.mx.recipients) <= 60, "60/h, and the queue goes on at once by it"


@pytest.mark.directive("backoff-retry-after")
def test_retries_of_backoff_mode(settings: Settings) -> None:
    with Block(settings, "rcpt first=2 421 unusual rate") as b:
        b.send()
        b.world.run_until_empty()
        first, second = [record.time_logged for record in b.world.of("t") if record.rcpt == "u0@block.example"]
        assert round(second - first) == 30 * MINUTE


@pytest.mark.directive("reply", "reenable-source-ip-after", "disabled-source-ip-notify", "backoff-upon-all-sources-disabled")
def test_an_address_that_is_blocked_rests_and_the_other_goes_on(settings: Settings) -> None:
    with Block(settings, "connect:192.0.2.10 554 IP 192.0.2.10 is blocked") as b:
        b.send(10)
        b.world.advance(HOUR)
        assert b.sources() == {"192.0.2.11"}
        assert [one.address for one in b.world.node.disabled.listed()[0]] == ["192.0.2.10"]
        b.mx.set_rules([])
        b.world.advance(4 * HOUR)
        assert b.world.node.disabled.listed() == ([], 0)
        assert [subject for subject in b.told() if "address" in subject] == [
            "Source address disabled",
            "Source address enabled",
        ] or b.told()


def test_modes_and_addresses_survive_a_crash(settings: Settings) -> None:
    with Block(settings, "connect:192.0.2.10 554 IP 192.0.2.10 is blocked", "rcpt 451 later") as b:
        b.send(3)
        b.world.advance(MINUTE)
        assert b.mode() == "backoff"
        b.world.crash()
        b.world.begin()
        assert b.mode() == "backoff"
        assert [one.address for one in b.world.node.disabled.listed()[0]] == ["192.0.2.10"]


def test_mode_normal_by_a_reply(settings: Settings) -> None:
    with Block(settings, "rcpt:u0@* first=1 421 unusual rate", "eod:u1@* 250 welcome back") as b:
        b.send(1)
        b.world.advance(MINUTE)
        assert b.mode() == "backoff"
        b.world.submit(ME, ["u1@block.example"])
        b.world.advance(MINUTE)
        assert b.mode() == "normal"


def test_one_delivery_ends_the_mode_where_that_is_wanted(settings: Settings) -> None:
    with Block(settings, "rcpt:u0@* first=1 421 unusual rate", name="kind.example") as b:
        b.send(1)
        b.world.advance(MINUTE)
        assert b.mode() == "backoff"
        b.world.submit(ME, ["u1@kind.example"])
        b.world.advance(MINUTE)
        assert b.mode() == "normal"


def test_skip_mx_takes_the_next_host(settings: Settings) -> None:
    with Block(settings, "connect 421 this host is busy", hosts=2) as b:
        b.send()
        b.world.advance(MINUTE)
        assert len(b.spare[0].recipients) == 1


def test_defer_queue_waits_for_the_next_retry(settings: Settings) -> None:
    with Block(settings, "connect first=1 421 come back tomorrow") as b:
        b.send()
        done = b.world.run_until(lambda: bool(b.mx.recipients), within=HOUR)
        assert 10 * MINUTE <= done < 12 * MINUTE


def test_bounce_rcpt_and_bounce_queue(settings: Settings) -> None:
    with Block(settings, "rcpt:u0@* 452 mailbox over quota", "rcpt:u1@* 421 domain is closed") as b:
        b.world.submit(ME, ["u0@block.example"])
        b.world.advance(MINUTE)
        assert {record.rcpt for record in b.world.of("b")} == {"u0@block.example"}
        b.world.submit(ME, ["u1@block.example"])
        b.world.advance(MINUTE)
        assert {record.rcpt for record in b.world.of("b")} == {"u0@block.example", "u1@block.example"}


@pytest.mark.directive("backoff-reroute-to-virtual-mta")
def test_another_virtual_mta_takes_over(settings: Settings) -> None:
    with Block(settings, "rcpt:u0@* first=1 421 unusual rate", name="busy.example") as b:
        b.send(1)
        b.world.advance(MINUTE)
        b.world.submit(ME, ["u9@busy.example"])
        b.world.run_until_empty(within=3 * HOUR)
        assert b.sources() == {"192.0.2.20"}


def commands() -> list[tuple[list[str], list[str]]]:
    """(words, lines that the guide shows below) of each command, in order."""
    found: list[tuple[list[str], list[str]]] = []
    for line in GUIDE.splitlines():
        if line.startswith("    $ postwright "):
            found.append((shlex.split(line.removeprefix("    $ postwright ")), []))
        elif found and line.startswith("    ") and found[-1][1] is not None:
            found[-1][1].append(line[4:])
        elif line and not line.startswith("    ") and found:
            found.append(([], []))  # prose: what stands below belongs to no command
    return [(words, shown) for words, shown in found if words]


def label(line: str) -> str:
    """What a line is about: all before its columns, without times, numbers and files."""
    plain = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", "", line)
    return re.sub(r"(:|/\S+:\d+) .*", "", re.split(r"(?<=\S)  +", plain)[0])


_EXPLAIN = ["explain", "--from", ME, "--to", "you@block.example", "--config", "/etc/postwright/config"]


async def test_the_commands_of_the_guide(tmp_path: Path) -> None:
    port = free_port()
    async with SinkServer(["connect:127.0.0.2 554 IP 192.0.2.10 is blocked", "rcpt 451 4.7.1 unusual rate"]) as sink:
        ours = at_home(configuration())
        hosts = f"<domain block.example>\n    smtp-hosts 127.0.0.1:{sink.port}\n</domain>\n"
        async with RelayProcess(tmp_path, f"{plain_config(port)}{ours}\n{CLIENTS.format(network='127.0.0.1')}{hosts}") as relay:
            await send_from(port, "u0@block.example")
            await relay.until(lambda: relay.status().shards[0].disabled, "a block")
            live = await asyncio.to_thread(run, relay, [*_EXPLAIN, "--live", "--state-dir", str(relay.state_dir)])
            assert "  disabled       127.0.0.2, " in live.output
            for words, shown in commands():
                result = await asyncio.to_thread(run, relay, words)
                assert result.exit_code == 0, (words, result.output)
                said = [label(line) for line in result.output.splitlines()]
                missing = [line for line in map(label, map(at_home, shown)) if line.strip() and line not in said]
                assert missing == [], (words, result.output)


def at_home(text: str) -> str:
    """With addresses that there are here."""
    return text.replace("192.0.2.10", "127.0.0.2").replace("192.0.2.11", "127.0.0.3")


def run(relay: RelayProcess, words: list[str]) -> Result:
    given = [at_home(word) for word in words]
    given = [str(relay.config_file) if word == "/etc/postwright/config" else word for word in given]
    asks = [] if words[0] == "explain" else ["--state-dir", str(relay.state_dir)]
    return CliRunner().invoke(main, [*given, *asks])
