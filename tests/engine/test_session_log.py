"""What the log tells of sessions, and that it costs nothing where nobody wants it."""

from __future__ import annotations

import ssl
from base64 import b64encode
from typing import Any

import pytest
import structlog
from tests.engine.login_talk import Client

from postwright.engine.session_log import LONGEST, SessionLog, dump, session_log
from postwright.net.session import ServerSession
from postwright.net.session_book import SessionBook
from postwright.net.visit import PeerFacts
from postwright.policy.settings import SourceSettings, UserSettings
from postwright.testing.world import World
from postwright.testing.world_settings import ANYBODY, relay, source
from postwright.wire.server import SmtpServer
from postwright.wire.watched import WatchedServer

PEER = PeerFacts("192.0.2.77", 40000, "192.0.2.1", 25)


def told(**said: bool) -> tuple[SessionLog, list[dict[str, Any]]]:
    """A log of a session of such a source, and where it goes."""
    events: list[dict[str, Any]] = []

    def keep(logger: Any, level: str, event: Any) -> Any:
        events.append(dict(event))
        raise structlog.DropEvent

    made = session_log(SourceSettings(**said), structlog.wrap_logger(None, processors=[keep]), PEER)
    assert made is not None
    return made, events


def test_rows_of_a_dump() -> None:
    assert list(dump(b"HELO x\r\n")) == ["0000  48 45 4c 4f 20 78 0d 0a                          |HELO x..|"]
    assert [row[:8] for row in dump(bytes(33), 0x1F0)] == ["01f0  00", "0200  00", "0210  00"]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("log_connections", ["session begins", "session ends"]),
        ("log_commands", [">>> NOOP", "<<< 250-a", "<<< 250 b"]),
        ("log_tls", ["TLS begins", "TLS did not begin"]),
    ],
)
def test_each_directive_logs_its_own(said: str, expected: list[str]) -> None:
    log, events = told(**{said: True})
    log.secured("TLSv1.3", "TLS_AES_256_GCM_SHA384")
    log.heard(b"NOOP\r\n")
    log.content(b"a message\r\n.\r\n")
    log.said(b"250-a\r\n250 b\r\n")
    log.ended(ssl.SSLError("no shared cipher"))
    assert [event["event"] for event in events] == expected
    assert {event["session"] for event in events} == {"192.0.2.77:40000"}


def test_every_octet_is_dumped_and_counted_by_direction() -> None:
    log, events = told(log_data=True)
    log.heard(b"DATA\r\n")
    log.said(b"354 go\r\n")
    log.content(b"x" * 20)
    shown = [str(event["event"]) for event in events]
    assert [(row[:3], row[4:8], row.count("|")) for row in shown] == [
        (">>>", "0000", 2),
        ("<<<", "0000", 2),
        (">>>", "0006", 2),
        (">>>", "0016", 2),
    ]


def test_a_line_is_cut_and_whatever_it_holds_is_text() -> None:
    log, events = told(log_commands=True)
    log.heard(b"NOOP " + b"x" * 9000 + b"\r\n")
    log.heard(b"NOOP \xff\r\n")
    assert len(events[0]["event"]) == LONGEST + 4
    assert events[1]["event"] == ">>> NOOP \\xff"


def test_a_user_s_own_source_has_the_session_logged_from_the_login_on() -> None:
    anybody = source(ANYBODY, allow_unencrypted_plain_auth=True, auth_failure_delay=0.0)
    users = {name: UserSettings(name, password="secret", source=f"{{{name}}}") for name in ("joe", "jim")}
    with World(relay(anybody, source("{joe}", log_commands=True), source("{jim}"), users=users)) as world:
        lines: list[str] = []

        def keep(logger: Any, level: str, event: Any) -> Any:
            lines.append(event["event"])
            raise structlog.DropEvent

        world.node.intake.log = structlog.wrap_logger(None, processors=[keep])
        for user in ("jim", "joe"):
            client = Client(world)
            client.say("NOOP before")
            assert client.plain(user, "wrong")[:3] == "535"
            client.send(f"AUTH PLAIN {b64encode(f'{chr(0)}{user}{chr(0)}secret'.encode()).decode()}\r\nNOOP behind it")
            assert client.answer() == "250 2.0.0 ok"
            assert client.say("NOOP after")[:3] == "250"
            client.say("QUIT")
        assert [line for line in lines if line[:3] in (">>>", "<<<")] == [
            "<<< 235 2.7.0 authentication succeeded",
            ">>> NOOP behind it",
            "<<< 250 2.0.0 ok",
            ">>> NOOP after",
            "<<< 250 2.0.0 ok",
            ">>> QUIT",
            "<<< 221 2.0.0 goodbye",
        ]


@pytest.mark.parametrize(("said", "engine"), [({}, SmtpServer), ({"log_commands": True}, WatchedServer)])
def test_only_sessions_that_are_logged_are_looked_at(said: dict[str, bool], engine: type) -> None:
    settings = relay(source(ANYBODY, always_allow_relaying=True, **said))
    with World(settings) as world:
        visitor = world.node.intake.factory(settings.listeners[0])(PEER)
        session = ServerSession(visitor, PEER, SessionBook(world.loop.time), world.loop)
        assert type(session._engine) is engine
