"""A client of simulated time that logs in, rightly or wrongly, by each mechanism, and sees when it is answered."""

from __future__ import annotations

import asyncio
import hmac
from base64 import b64decode, b64encode
from typing import Any

from postwright.net.session import ServerSession
from postwright.net.session_book import SessionBook
from postwright.net.visit import PeerFacts
from postwright.testing.memory_transport import join
from postwright.testing.world import World

PATIENCE = 60.0


class Client(asyncio.Protocol):
    """One session; `say` gives the last line of the reply, `took` is how long it took."""

    def __init__(self, world: World, peer: str = "192.0.2.77", shard: int = 0) -> None:
        self.world = world
        self.took = 0.0
        self.over = False
        self._lines: list[str] = []
        world.run(self._begin(peer, shard))
        world.run_until(lambda: bool(self._lines), PATIENCE)
        self.say("EHLO c.example")

    async def _begin(self, peer: str, shard: int) -> None:
        loop = self.world.loop
        facts = PeerFacts(peer, 40000, "192.0.2.1", 25)
        visitor = self.world.nodes[shard].intake.factory(self.world.settings.listeners[0])(facts)
        self.wire: Any = join(self, ServerSession(visitor, facts, SessionBook(loop.time), loop))[0]

    def data_received(self, data: bytes) -> None:
        self._lines += data.decode().splitlines()

    def connection_lost(self, error: Exception | None) -> None:
        self.over = True

    @property
    def lines(self) -> list[str]:
        """All of the last reply."""
        return self._lines

    def send(self, line: str) -> None:
        """Says it, and does not wait."""
        self._lines.clear()
        self.wire.write(line.encode() + b"\r\n")

    def answer(self) -> str:
        """The last line of what is said to that."""
        self.world.run_until(lambda: bool(self._lines) and self._lines[-1][3:4] == " ", PATIENCE)
        return self._lines[-1]

    def say(self, line: str) -> str:
        began = self.world.now
        self.send(line)
        found = self.answer()
        self.took = self.world.now - began
        return found

    # -- mechanisms ---------------------------------------------------------------------------

    def plain(self, user: str, password: str) -> str:
        return self.say("AUTH PLAIN " + _base64(f"\0{user}\0{password}"))

    def login(self, user: str, password: str) -> str:
        self.say("AUTH LOGIN " + _base64(user))
        return self.say(_base64(password))

    def cram_md5(self, user: str, password: str) -> str:
        challenge = b64decode(self.say("AUTH CRAM-MD5")[4:])
        return self.say(_base64(f"{user} {hmac.new(password.encode(), challenge, 'md5').hexdigest()}"))

    def scram(self, user: str, password: str) -> str:
        """With a proof of nothing, whatever the password is."""
        first = b64decode(self.say("AUTH SCRAM-SHA-256 " + _base64(f"n,,n={user},r=clientnonce"))[4:]).decode()
        nonce = first.partition(",")[0]
        return self.say(_base64(f"c=biws,{nonce},p={_base64('x' * 32)}"))

    def xoauth2(self, user: str, token: str) -> str:
        """The refusal comes after an empty answer to what is wrong with the token."""
        said = self.say("AUTH XOAUTH2 " + _base64(f"user={user}\1auth=Bearer {token}\1\1"))
        if said.startswith("334"):
            took = self.took
            said = self.say("")
            self.took += took
        return said


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode()
