"""What the log tells of deliveries, by the `log-*` directives of `<domain>`, and that it says no secret and nothing unasked."""

from __future__ import annotations

import pytest

from postwright.engine.worker import Worker
from postwright.model.outcome import Fault
from postwright.model.work import QueueKey
from postwright.testing.world import World
from postwright.testing.world_settings import domain, relay
from postwright.wire.client import SmtpClient

ME, YOU = "me@sender.example", "you@example.com"


def log_of(*rules: str, down: Fault | None = None, **directives: bool) -> list[tuple[str, dict[str, object]]]:
    """What is logged of a queue with these directives while one message goes to a receiver with these rules."""
    with World(relay(domain("*", retry_after=(60.0,)), domain("example.com", **directives))) as world:
        mx = world.domain("example.com", rules=rules)
        world.domain("quiet.example")
        mx.down = down
        world.submit(ME, ["you@quiet.example"])
        world.submit(ME, [YOU])
        world.advance(20)
        mx.down = None
        world.run_until_empty()
        world.advance(120)
        return [(line.event, line.fields) for line in world.log if "queue" in line.fields]


def events(lines: list[tuple[str, dict[str, object]]]) -> list[str]:
    assert {fields["queue"] for _, fields in lines} <= {"example.com/{default}"}
    return [event for event, _ in lines]


@pytest.mark.directive("log-connections", "log-commands", "log-data", "log-tls", "log-resolution", "log-transfer-failures", "log-messages")
def test_nothing_is_logged_unasked() -> None:
    assert log_of("rcpt first=1 451 later") == []


@pytest.mark.directive("log-connections")
def test_connections() -> None:
    lines = log_of(log_connections=True)
    assert events(lines) == ["connecting", "closed"]
    assert str(lines[1][1]["mx"]).startswith("mx.example.com [")
    assert lines[1][1]["sent"] > lines[1][1]["received"] > 0  # type: ignore[operator]  # numbers, as they were logged


@pytest.mark.directive("log-connections")
def test_a_connection_that_does_not_come_up() -> None:
    lines = log_of(down=Fault.REFUSED, log_connections=True)
    assert events(lines)[:2] == ["connecting", "no session"]
    assert lines[1][1]["fault"] == "connection refused"
    lines = log_of("connect first=1 554 go away", log_connections=True)
    assert lines[1][1]["said"] == "554 go away"


@pytest.mark.directive("log-commands")
def test_commands() -> None:
    lines = events(log_of("rcpt first=1 451 4.2.1 later", log_commands=True))
    assert lines[0].startswith(">>> 220 ")
    assert f"<<< RCPT TO:<{YOU}>" in [line.partition(" NOTIFY")[0] for line in lines]
    assert ">>> 451 4.2.1 later" in lines
    assert not any("Subject" in line for line in lines), "content is log-data's"


@pytest.mark.directive("log-data")
def test_data() -> None:
    lines = events(log_of(log_data=True))
    assert lines[0].startswith(">>> 0000  32 32 30 ")
    assert {line[:3] for line in lines} == {">>>", "<<<"}
    shown = "".join(line.split("|", 1)[1][:-1] for line in lines if line.startswith("<<<"))
    assert "Subject" in shown
    assert f"RCPT TO:<{YOU}>" in shown


@pytest.mark.directive("log-resolution")
def test_resolution() -> None:
    lines = log_of(log_resolution=True)
    assert events(lines) == ["hosts"]
    assert str(lines[0][1]["routes"]).startswith("['mx.example.com [")


@pytest.mark.directive("log-transfer-failures")
def test_breaks_while_a_message_is_sent() -> None:
    lines = log_of("eod first=1 drop", log_transfer_failures=True)
    assert events(lines) == ["transfer broken off"]
    assert log_of("eod first=1 451 later", log_transfer_failures=True) == [], "a refusal is none"


@pytest.mark.directive("log-messages")
def test_messages() -> None:
    lines = log_of("rcpt first=1 451 4.2.1 later", log_messages=True)
    assert events(lines) == ["message", "message"]
    assert [fields["fate"] for _, fields in lines] == ["transient", "delivered"]
    assert {(fields["orig"], fields["rcpt"]) for _, fields in lines} == {(ME, YOU)}


def test_only_sessions_that_are_logged_are_looked_at() -> None:
    with World(relay(domain("*", log_commands=False, log_messages=True, connection_idle_timeout=60.0))) as world:
        world.domain("example.com")
        world.submit(ME, [YOU])
        world.advance(5)
        [worker] = world.node.scheduler.queues[QueueKey("example.com", "{default}")].idle
        assert isinstance(worker, Worker)
        assert type(worker.channel._client) is SmtpClient
