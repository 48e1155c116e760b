"""The ten malformed message ends that public smuggling scanners try: none ends a message, none travels on.

Each from a trusted and an untrusted address (who may send to a relay-domain), in the clear and under TLS, by DATA and inside BDAT, with
`bare-line-ends` refuse and repair: one relay, one strict sink. Behind the false end stands a second transaction; if it ended anything,
there would be more replies than one, or mail for the victim.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tests.scenarios.clients import client
from tests.scenarios.internet import Internet

from postwright.testing.certificate import self_signed_pem
from postwright.testing.relay_process import RelayProcess, plain_config
from postwright.testing.sink import SinkServer
from postwright.testing.sockets import free_port
from postwright.testing.source import SourceClient

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("smuggling")]

ENDS = [b"\n.\n", b"\r.\r", b"\r.\n", b"\n.\r", b"\n.\r\n", b"\r\n.\n", b"\r.\r\n", b"\r\n.\r", b"\r\n\0.\r\n", b"\r\n.\0\r\n"]
SECOND = b"MAIL FROM:<evil@evil.example>\r\nRCPT TO:<victim@far.example>\r\nDATA\r\nSubject: forged\r\n\r\nforged\r\n"
BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n|\0")

# by the client's address: is it trusted, and what is said of bare line ends
PEERS = {
    "127.0.1.1": ("trusted", "refuse"),
    "127.0.1.2": ("trusted", "repair"),
    "127.0.1.3": ("untrusted", "refuse"),
    "127.0.1.4": ("untrusted", "repair"),
}


class Scene:
    """A relay, and the strict sink for all domains."""

    def __init__(self, port: int, sink: SinkServer) -> None:
        self.port = port
        self.sink = sink


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    folder = tmp_path_factory.mktemp("smuggling")
    certificate = folder / "both.pem"
    certificate.touch(mode=0o600)
    certificate.write_bytes(b"".join(self_signed_pem(["relay.example"])))
    port = free_port()
    blocks = "".join(
        f"<source {peer}>\n always-allow-relaying {'yes' if trust == 'trusted' else 'no'}\n bare-line-ends {bare}\n</source>\n"
        for peer, (trust, bare) in PEERS.items()
    )
    rules = f"smtp-server-tls-certificate {certificate}\nrelay-domain inside.example\n<source 0/0>\n allow-starttls yes\n</source>\n"
    async with Internet() as internet, internet.receiver("far.example", "inside.example") as sink:
        async with RelayProcess(folder, plain_config(port) + internet.rules + rules + blocks):
            yield Scene(port, sink)


async def smuggle(session: SourceClient, recipient: str, end: bytes, way: str) -> list[int]:
    """One message with a false end and a second transaction behind it. The codes of all that is said up to the peer's close."""
    first = b"Subject: x\r\n\r\ntext" + end
    whole = first + SECOND
    await session.command("MAIL FROM:<anne@client.example>")
    assert (await session.command(f"RCPT TO:<{recipient}>")).code == 250
    if way == "DATA":
        assert (await session.command("DATA")).code == 354
        await session.send_raw(first)  # in two writes: the false end is the end of what the network brings, too
        await session.send_raw(SECOND + b".\r\nQUIT\r\n")
    else:
        await session.send_raw(b"BDAT %d LAST\r\n" % len(whole) + first)
        await session.send_raw(SECOND + b"QUIT\r\n")
    said = await session.read_eof()
    return [int(line[:3]) for line in said.splitlines() if line[3:4] == b" "]


@pytest.mark.parametrize("end", ENDS, ids=[repr(end)[2:-1] for end in ENDS])
async def test_a_false_end_ends_nothing_and_does_not_pass(scene: Scene, end: bytes) -> None:
    number, repaired = ENDS.index(end), set()
    for peer, (trust, bare) in PEERS.items():
        for way in ("DATA", "BDAT"):
            for tls in (False, True):
                domain = "far.example" if trust == "trusted" else "inside.example"
                recipient = f"e{number}.{bare}.{way}.{'tls' if tls else 'clear'}@{domain}".lower()
                async with client(scene.port, source=peer, tls=tls) as session:
                    codes = await smuggle(session, recipient, end, way)
                assert codes == [250 if bare == "repair" else 550, 221], (peer, way, tls, codes)
                if bare == "repair":
                    repaired.add(recipient)
    sink = scene.sink
    await sink.wait_until(lambda: repaired <= {one for message in sink.messages for one in message.recipients})
    arrived = [message for message in sink.messages if any(one.startswith(f"e{number}.") for one in message.recipients)]
    assert sorted(one for message in arrived for one in message.recipients) == sorted(repaired)
    for message in arrived:
        assert BARE.search(message.content) is None
        assert b"forged" in message.content  # it stayed content
    assert not any("victim@" in one or "evil@" in message.sender for message in sink.messages for one in message.recipients)
    assert [breach for connection in sink.connections for breach in connection.violations] == []
