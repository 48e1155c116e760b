"""Stories of header fields that are taken out and put in when mail is sent: by queue, by virtual MTA, for who asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from postwright.engine.header_files import read
from postwright.testing.world import World
from postwright.testing.world_settings import ANYBODY, domain, relay, source, vmta

ME, YOU = "me@sender.example", "you@example.com"
TEXT = "From: me@sender.example\r\nX-Kind: 7\r\nx-mailer: Writer\r\n 2.0\r\nSubject: hello\r\n\r\nX-Mailer: in the body\r\n"


def header_of(world: World, name: str = "example.com") -> list[str]:
    """The fields of the message that the receiver of this domain took, ours of the trace left out."""
    world.run_until_empty()
    [message] = [message for message in world.messages() if message.recipients[0].endswith(name)]
    head = message.content.decode().partition("\r\n\r\n")[0]
    return [line for line in head.split("\r\n") if not line.startswith(("Received:", "\t", "Message-ID:", "Date:"))]


@pytest.mark.directive("remove-header")
def test_fields_that_a_queue_takes_out() -> None:
    with World(relay(domain("*"), domain("example.com", remove_header=("X-Mailer", "x-none")))) as world:
        for name in ("example.com", "example.org"):
            world.domain(name)
            world.submit(ME, [f"you@{name}"], TEXT)
        assert header_of(world) == ["From: me@sender.example", "X-Kind: 7", "Subject: hello"]
        assert "x-mailer: Writer" in header_of(world, "example.org")
        assert all(message.content.endswith(b"\r\n\r\nX-Mailer: in the body\r\n") for message in world.messages())


@pytest.mark.directive("include-headers-from")
def test_fields_that_a_virtual_mta_puts_in(tmp_path: Path) -> None:
    (tmp_path / "all").write_bytes(b"X-All: 1\n")
    (tmp_path / "m1").write_bytes(b"X-M1: 1\r\nX-Long: a\r\n b\r\n\r\n")
    general = {"include_headers_from": str(tmp_path / "all")}
    m1 = vmta("m1", "192.0.2.7", include_headers_from=str(tmp_path / "m1"))
    settings = relay(domain("*"), m1, source(ANYBODY, always_allow_relaying=True, process_x_virtual_mta=True), general=general)
    with World(settings) as world:
        for name in ("example.com", "example.org"):
            world.domain(name)
        world.submit(ME, [YOU], "x-virtual-mta: m1\r\n" + TEXT)
        world.submit(ME, ["you@example.org"], TEXT)
        assert header_of(world)[:4] == ["X-All: 1", "X-M1: 1", "X-Long: a", " b"]
        assert header_of(world, "example.org")[:2] == ["X-All: 1", "From: me@sender.example"]
        assert world.messages()[0].content.startswith(b"Received: "), "our trace stays first"


@pytest.mark.directive("include-headers-from")
@pytest.mark.parametrize(("octets", "said"), [(b"X-A: 1\n\nbody\n", "line 2"), (b"nothing\n", "line 1"), (None, "No such file")])
def test_a_file_that_would_break_every_message_is_refused(tmp_path: Path, octets: bytes | None, said: str) -> None:
    path = tmp_path / "fields"
    if octets is not None:
        path.write_bytes(octets)
    with pytest.raises((ValueError, OSError), match=said) as raised:
        read(str(path))
    assert str(path) in str(raised.value)


@pytest.mark.directive("add-x-virtual-mta-header")
def test_the_virtual_mta_is_told_where_it_is_wanted() -> None:
    settings = relay(domain("*"), vmta("m1", "192.0.2.7"), source(ANYBODY, always_allow_relaying=True, add_x_virtual_mta_header=True))
    with World(settings) as world:
        world.domain("example.com")
        world.submit(ME, [YOU], TEXT)
        assert "X-Virtual-MTA: {default}" in header_of(world)
    with World(relay(domain("*"))) as world:
        world.domain("example.com")
        world.submit(ME, [YOU], TEXT)
        assert not any(line.startswith("X-Virtual-MTA") for line in header_of(world))
