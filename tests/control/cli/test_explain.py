"""`postwright explain`: the whole way of a message that is not sent, each step with the line that said so."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from postwright.control.cli.main import main
from postwright.testing.dns_server import DnsServer
from postwright.testing.sink import SinkServer

CONFIG = """\
host-name relay.example
name-server 127.0.0.1:53
log-file relay.log
total-max-smtp-out 500
mx-connection-limit *.a.example 20
ip-connection-limit 127.0.0.0/8 9
relay-domain mine.example
alias alias@mine.example joe@a.example
smtp-listener 127.0.0.1:2525
smtp-listener 127.0.0.1:2526 source={front}
<pattern-list streams>
    mail-from /@urgent\\./ virtual-mta=fast
</pattern-list>
<address-list gone>
    address no@a.example
</address-list>
<smtp-user foo>
    password sesame
    source {foo-source}
</smtp-user>
<smtp-user bound>
    password sesame
    virtual-mta fast
    network 127.0.0.5
</smtp-user>
<source 127.0.0.1>
    always-allow-relaying yes
    process-x-virtual-mta yes
    process-x-job yes
    suppression-lists gone
</source>
<source {foo-source}>
    default-virtual-mta both
    pattern-list streams
</source>
<source {front}>
    default-virtual-mta fast
</source>
<domain *>
    max-smtp-out 10
    dkim-sign yes
</domain>
<domain smart.example>
    smtp-hosts 127.0.0.1:2627
    auth-username joe
    auth-password hidden
</domain>
<domain nowhere.example>
    type discard
</domain>
<domain q.example>
    queue-to smart.example
</domain>
<domain a.example>
    max-msg-rate 100/h
</domain>
<virtual-mta fast>
    smtp-source-host 127.0.0.3 fast.relay.example
    max-smtp-out 30
</virtual-mta>
<virtual-mta slow>
    smtp-source-host 127.0.0.2 slow.relay.example
    smtp-source-host 127.0.0.4 slower.relay.example
    domain-key sel,*,key.pem
</virtual-mta>
<virtual-mta-pool both>
    virtual-mta slow
    virtual-mta fast
    max-smtp-msg-rate 1000/m
</virtual-mta-pool>
"""
ZONE = {
    "a.example": {"MX": ["20 mx2.a.example.", "10 mx1.a.example."]},
    "mx1.a.example": {"A": ["127.0.0.1"]},
    "mx2.a.example": {"A": ["127.0.0.2"]},
    "null.example": {"MX": ["0 ."]},
    "evil.example": {"MX": ["10 mx\\027[31m.example."]},
}


@pytest.fixture(scope="module")
def key() -> bytes:
    made = rsa.generate_private_key(65537, 1024)
    pem: bytes = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem


@pytest.fixture
def config(tmp_path: Path, key: bytes) -> Path:
    path = tmp_path / "relay.conf"
    path.write_text(CONFIG)
    (tmp_path / "key.pem").write_bytes(key)
    return path


def line_of(text: str, which: int = 0) -> int:
    """The line of the configuration that holds the text."""
    return [number for number, line in enumerate(CONFIG.splitlines(), 1) if text in line][which]


def explain(config: Path, *arguments: str, sender: str = "me@x.example", to: str = "you@smart.example") -> Result:
    return CliRunner().invoke(main, ["explain", "--from", sender, "--to", to, "--config", str(config), *arguments])


async def by_dns(config: Path, *arguments: str, **addresses: str) -> Result:
    async with DnsServer(ZONE) as server:
        config.write_text(CONFIG.replace("127.0.0.1:53", server.address))
        return await asyncio.to_thread(lambda: explain(config, *arguments, **addresses))


def facts(result: Result) -> dict[str, tuple[str, int]]:
    """Of the JSON: name -> (text, line), the last of a name."""
    said = json.loads(result.output)
    sections = [*said["sections"], *[section for path in said["paths"] for section in path["sections"]]]
    return {fact["name"]: (fact["text"], fact["line"]) for section in sections for fact in section["facts"]}


def row(result: Result, name: str) -> list[str]:
    """The columns of the first line of that name."""
    found = next(line for line in result.output.splitlines() if re.match(rf"  {re.escape(name)}  +", line))
    return [column for column in re.split(r" {2,}", found.strip()) if column]


def test_the_whole_way_each_step_with_its_line(config: Path) -> None:
    result = explain(config, "--user", "foo", "--json")
    assert result.exit_code == 0, result.output
    found = facts(result)
    assert found["client"] == ("127.0.0.1 at 127.0.0.1:2525", line_of("smtp-listener 127.0.0.1:2525"))
    assert found["logged in as"] == ("foo", line_of("<smtp-user foo>"))
    assert found["source"] == ("{foo-source}", line_of("<source {foo-source}>"))
    assert found["chosen by"] == ("default-virtual-mta both", line_of("default-virtual-mta both"))
    assert found["pool"] == ("both; its members take turns: slow, fast", line_of("<virtual-mta-pool both>"))
    assert found["virtual MTA"] == ("slow", line_of("<virtual-mta slow>"))
    assert found["smtp-hosts"] == ("127.0.0.1:2627", line_of("smtp-hosts"))
    assert found["smtp-source-host"] == ("127.0.0.4 as slower.relay.example", line_of("127.0.0.4 slower"))
    assert found["max-smtp-out"] == ("10", line_of("max-smtp-out 10"))
    assert found["max-smtp-msg-rate"] == ("1000/m", line_of("max-smtp-msg-rate"))
    assert found["total-max-smtp-out"] == ("500", line_of("total-max-smtp-out"))
    assert found["ip-connection-limit"] == ("127.0.0.0/8 9", line_of("ip-connection-limit"))
    assert found["dkim-sign"] == ("yes", line_of("dkim-sign"))
    assert found["domain-key"] == ("sel._domainkey.x.example, for me@x.example", line_of("domain-key"))
    assert found["retry-after"] == ("10m", 0)
    [path] = json.loads(result.output)["paths"]
    assert (path["queue"], path["virtual-mta"], path["error"]) == ("smart.example/slow", "slow", "")
    assert [(hop["address"], hop["port"], hop["source"], hop["name"]) for hop in path["attempts"]] == [
        ("127.0.0.1", 2627, "127.0.0.2", "slow.relay.example")
    ]


def test_people_are_told_the_same(config: Path) -> None:
    result = explain(config, "--user", "foo")
    assert result.exit_code == 0, result.output
    assert row(result, "max-smtp-out") == ["max-smtp-out", "10", f"{config}:{line_of('max-smtp-out 10')}"]
    assert row(result, "smtp-source-host")[1:] == ["127.0.0.2 as slow.relay.example", f"{config}:{line_of('127.0.0.2 slow')}"]
    assert row(result, "retry-after") == ["retry-after", "10m", "default"]
    assert "<you@smart.example> waits in smart.example/slow" in result.output
    assert "  1. 127.0.0.1 [127.0.0.1]:2627 from 127.0.0.2 as slow.relay.example; TLS if offered" in result.output


def test_secrets_are_not_told(config: Path) -> None:
    for result in (explain(config), explain(config, "--json")):
        assert "auth-password" in result.output
        assert "hidden" not in result.output
        assert "sesame" not in result.output


@pytest.mark.parametrize(
    ("arguments", "sender", "by", "text", "vmta"),
    [
        (["--header", "x-virtual-mta: fast"], "me@x.example", "the header field x-virtual-mta: fast", "process-x-virtual-mta", "fast"),
        (["--user", "foo"], "me@urgent.example", "pattern-list streams", "    pattern-list streams", "fast"),
        (["--listener", "2526"], "me@x.example", "default-virtual-mta fast", "default-virtual-mta fast", "fast"),
        (["--user", "bound", "--client", "127.0.0.5"], "me@x.example", "the login: virtual-mta fast", "    virtual-mta fast", "fast"),
    ],
)
def test_who_chose_the_virtual_mta(config: Path, arguments: list[str], sender: str, by: str, text: str, vmta: str) -> None:
    found = facts(explain(config, *arguments, "--json", sender=sender))
    assert found["chosen by"] == (by, line_of(text))
    assert found["virtual MTA"][0] == vmta
    if by.startswith("pattern-list"):
        assert found["line of the list"] == ("virtual-mta=fast", line_of("mail-from"))


@pytest.mark.parametrize(
    ("where", "vmta"),
    [
        ("127.0.0.3:2530", "fast"),
        ("127.0.0.2:2530", "slow"),
        ("127.0.0.9:2530", "{default}"),
        ("2530", "{default}"),
        ("[::1]:2531", "slow"),
    ],
)
def test_a_listener_for_many_addresses(config: Path, where: str, vmta: str) -> None:
    """The address that the client comes to decides (default-virtual-mta by-smtp-source-ip)."""
    here = "<source {here}>\n    default-virtual-mta by-smtp-source-ip\n</source>\n"
    listeners = "smtp-listener 0.0.0.0:2530 source={here}\nsmtp-listener [::]:2531 source={here}\n"
    config.write_text(
        CONFIG.replace("    smtp-source-host 127.0.0.4", "    smtp-source-host ::1 slow6.relay.example\n    #") + listeners + here
    )
    found = facts(explain(config, "--listener", where, "--json"))
    assert found["virtual MTA"][0] == vmta


def test_nobody_chose(config: Path) -> None:
    assert facts(explain(config, "--json"))["chosen by"] == ("nobody, so it is {default}", 0)


def test_the_key_goes_by_the_from_field(config: Path) -> None:
    found = facts(explain(config, "--user", "foo", "--header", "From: Ann <ann@y.example>", "--json"))
    assert found["domain-key"] == ("sel._domainkey.y.example, for ann@y.example", line_of("domain-key"))


def test_no_key_and_a_key_that_cannot_be_used(config: Path) -> None:
    assert facts(explain(config, "--json"))["domain-key"] == ("none fits: the mail goes unsigned", 0)
    (config.parent / "key.pem").write_text("no key")
    found = facts(explain(config, "--user", "foo", "--json"))
    assert found["signature"][0].startswith("cannot be made, and so the mail waits: the DKIM key sel of x.example: ")


def test_queue_to_is_told_with_its_line(config: Path) -> None:
    result = explain(config, "--json", to="you@q.example")
    assert facts(result)["queue-to"] == ("smart.example", line_of("queue-to"))
    assert facts(result)["begins as"][0] == "q.example/{default}"
    assert json.loads(result.output)["paths"][0]["queue"] == "smart.example/{default}"


async def test_hosts_of_the_dns_in_the_order_of_attempt(config: Path) -> None:
    result = await by_dns(config, "--header", "x-job: news", to="joe@a.example")
    assert result.exit_code == 0, result.output
    assert row(result, "job")[1] == "news"
    assert [re.split(r" {2,}", line.strip())[1] for line in result.output.splitlines() if line.startswith("  MX")] == [
        "10 mx1.a.example",
        "20 mx2.a.example",
    ]
    assert row(result, "mx-connection-limit")[1:] == ["*.a.example 20", f"{config}:{line_of('mx-connection-limit')}"]
    attempts = result.output[result.output.index("attempts") :]
    assert re.findall(r"\d\. (\S+)", attempts) == ["mx1.a.example", "mx2.a.example"]


async def test_a_stranger_to_an_alias_of_ours(config: Path) -> None:
    result = await by_dns(config, "--client", "192.0.2.9", to="alias@mine.example")
    assert row(result, "relay-domain")[1:] == ["mine.example", f"{config}:{line_of('relay-domain')}"]
    assert row(result, "recipient")[1:] == ["<joe@a.example>, by the alias alias@mine.example", f"{config}:{line_of('alias alias@')}"]
    assert "<joe@a.example> waits in a.example/{default}" in result.output


async def test_a_domain_that_takes_no_mail(config: Path) -> None:
    result = await by_dns(config, to="you@null.example")
    assert result.exit_code == 1
    assert "no connection: the domain accepts no mail (null MX) (5.1.10); it bounces at once" in result.output


async def test_what_the_dns_says_cannot_write_on_the_terminal(config: Path) -> None:
    result = await by_dns(config, to="you@evil.example")
    assert "\x1b" not in result.output


def test_a_queue_that_needs_no_host(config: Path) -> None:
    result = explain(config, to="you@nowhere.example")
    assert result.exit_code == 0, result.output
    assert row(result, "type")[1:] == ["discard", f"{config}:{line_of('type discard')}"]
    assert "attempts" not in result.output
    assert "no connection" not in result.output


async def test_nobody_is_called(config: Path) -> None:
    async with SinkServer() as sink:
        config.write_text(CONFIG.replace("127.0.0.1:2627", f"127.0.0.1:{sink.port}"))
        result = await asyncio.to_thread(lambda: explain(config))
        assert f"[127.0.0.1]:{sink.port}" in result.output
        assert sink.counts.connections == 0


@pytest.mark.parametrize(
    ("arguments", "to", "said"),
    [
        (["--client", "192.0.2.9"], "you@smart.example", "refused: 550 5.7.1 relaying denied (after RCPT TO)"),
        ([], "no@a.example", 'refused: 550 5.7.1 recipient is in suppression list "gone": <no@a.example> (after RCPT TO)'),
        (["--header", "x-virtual-mta: none"], "you@smart.example", "refused: 550 5.5.0 unknown virtual MTA: none (after the end of data)"),
    ],
)
def test_what_is_refused_is_told_as_the_client_hears_it(config: Path, arguments: list[str], to: str, said: str) -> None:
    result = explain(config, *arguments, to=to)
    assert result.exit_code == 1
    assert said in result.output
    assert ("the client was 127.0.0.1" in result.output) == ("--client" not in arguments)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--user", "fool"], "there is no user 'fool' who may log in"),
        (["--user", "bound"], "user 'bound' may not log in from 127.0.0.1"),
        (["--listener", "1.2.3.4:25"], "there is no smtp-listener 1.2.3.4:25; there are: 127.0.0.1:2525, 127.0.0.1:2526"),
    ],
)
def test_who_is_not_there(config: Path, arguments: list[str], said: str) -> None:
    result = explain(config, *arguments)
    assert result.exit_code == 1
    assert said in result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--client", "localhost"], "'localhost' is no IP address"),
        (["--header", "no colon"], "is no header field; write 'NAME: VALUE'"),
        (["--header", "Subject: two\r\nlines"], "is no header field"),
        (["--to", "nobody"], "--to 'nobody' is no address"),
        (["--from", "a b@c"], "--from 'a b@c' is no address"),
    ],
)
def test_wrong_command_lines(config: Path, arguments: list[str], said: str) -> None:
    result = explain(config, *arguments)
    assert result.exit_code == 2
    assert said in result.output


def test_live_without_a_relay_tells_the_rest_all_the_same(config: Path) -> None:
    result = explain(config, "--live", "--state-dir", str(config.parent))
    assert result.exit_code == 3
    assert "attempts" in result.output
    assert "control.sock" in result.output


def test_errors_of_the_configuration_are_told(config: Path) -> None:
    config.write_text(CONFIG + "max-smtp-ouut 3\n")
    result = explain(config)
    assert result.exit_code == 2
    assert "max-smtp-ouut" in result.output


def test_the_example_of_the_guide(tmp_path: Path) -> None:
    """docs/guides/why.md: its configuration comes to what it shows, line for line."""
    guide = (Path(__file__).parents[3] / "docs" / "guides" / "why.md").read_text("utf-8")
    written, _, rest = guide[guide.index("    host-name relay.example\n") :].partition("this is told:\n\n")
    command, *shown = [line[4:] for line in rest[: rest.index("\nThe message really")].splitlines()]
    config = tmp_path / "config"
    config.write_text("\n".join(line[4:] for line in written.splitlines()))
    words = shlex.split(command.removeprefix("$ postwright "))
    result = CliRunner().invoke(main, [str(config) if word == "/etc/postwright/config" else word for word in words])
    assert result.exit_code == 0, result.output
    assert result.output.replace(str(config), "/etc/postwright/config").splitlines() == shown
