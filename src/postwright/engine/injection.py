"""The socket of a shard on which processes of ours hand in mail: many messages at once, each answered when it is on disk.

    client -- Inject (number, a dialogue, source) --> shard      run/inject-N.sock, for the owner of the state folder only
    client <-- Injected (number, 250 and the id, or why not) --   in any order
    client -- Settled (key) --> shard                             the answer is on disk, too: see `holding`

What is said of a message is judged by `Injector`, as over SMTP; commits of many share one sync as those of sessions do. It keeps nothing
but keys (`claims`). A client that goes away has handed in what was under way. Raises OSError when the socket cannot be made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from pathlib import Path

from postwright.engine.bus import Link, listen_unix
from postwright.engine.claims import Claims, Shared
from postwright.engine.dialogue import Dialogue, Played
from postwright.engine.frames import Frame
from postwright.engine.holding import Holding, Keyed
from postwright.engine.injection_frames import Inject, Injected, Refusal, Settled
from postwright.engine.injector import Injector, Origin
from postwright.engine.intake import Intake
from postwright.model.errors import LoginUnavailable
from postwright.model.reply import Reply
from postwright.policy.settings import UserSettings

NO_USER = Reply(550, "5.7.1", ("there is no such user any more",))
UNKNOWN_USER = Reply(451, "4.3.0", ("who this user is cannot be found out now, try again later",))
_RECEIVED = "message received id="


def socket_path(run_dir: Path, shard: int) -> Path:
    """Where shard `shard` listens."""
    return run_dir / f"inject-{shard}.sock"


class Injection:
    """One per shard."""

    def __init__(self, intake: Intake, claims: Claims) -> None:
        self._intake = intake
        self._claims = claims
        self._shared: Shared[Injected] = Shared()
        self._holding: Holding | None = None
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, path: Path) -> None:
        """Listen. Raises OSError."""
        loop = asyncio.get_running_loop()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._server = await loop.create_unix_server(lambda: Link(self._heard, self._gone, "injection"), sock=listen_unix(path))

    async def stop(self, within: float) -> None:
        """Take nothing new; what is under way is answered within so many seconds."""
        if self._server is not None:
            self._server.close()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=within)

    @property
    def _held(self) -> Holding:
        """Made late: who queues is known when the shard is whole."""
        if self._holding is None:
            self._holding = Holding(self._intake.submissions.target)
        return self._holding

    def _gone(self, link: Link, reason: str) -> None:
        """Its messages are ours all the same."""
        if self._holding is not None:
            self._holding.gone(link)

    def _heard(self, link: Link, frame: Frame) -> None:
        if isinstance(frame, Settled):
            self._held.release(frame.key)
            return
        if not isinstance(frame, Inject):
            link.close()
            return
        task = asyncio.get_running_loop().create_task(self._answer(link, frame))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, link: Link, asked: Inject) -> None:
        told = await (self.once(asked, link) if asked.key else self.take(asked))
        told.number = asked.number
        link.send(told)
        if not link.is_open:
            self._gone(link, "")

    async def once(self, asked: Inject, link: Hashable) -> Injected:
        """The answer to a request that may come again."""
        known = self._claims.find(asked.key)
        if known:
            return Injected(asked.number, 250, "2.6.0", _RECEIVED + known, known, again=True)
        told = await self._shared.run(asked.key, lambda: self.take(asked, link))
        return Injected(told.number, told.code, told.status, told.text, told.id, told.recipients, told.refused)

    async def take(self, asked: Inject, link: Hashable = None) -> Injected:
        """The message's fate; raises nothing that a session would not have. With a key it is held for `link`."""
        user: UserSettings | None = None
        if asked.user:
            found = await self._user(asked.user)
            if isinstance(found, Reply):
                return _told(asked.number, Played(found, {}))
            user = found
        origin = Origin("api", asked.source, asked.peer, asked.name, says=True, who=asked.who)
        keeper = Keyed(self._intake.submissions, asked.key, link, self._held) if asked.key else None
        visitor = Injector(self._intake, origin, user, keeper)
        told = _told(asked.number, await Dialogue(visitor, asked.script, strict=asked.strict).play())
        if told.id and asked.key:
            self._claims.stored(asked.key, told.id)
        return told

    async def _user(self, name: str) -> UserSettings | Reply:
        try:
            answer = self._intake.credentials.find(name)
            return (await answer if isinstance(answer, asyncio.Future) else answer) or NO_USER
        except LoginUnavailable:
            return UNKNOWN_USER


def _told(number: int, played: Played) -> Injected:
    reply = played.reply
    text = " ".join(reply.lines)
    found = text.removeprefix(_RECEIVED) if reply.code == 250 and text.startswith(_RECEIVED) else ""
    refused = [Refusal(index, one.code, one.status, " ".join(one.lines)) for index, one in sorted(played.refused.items())]
    return Injected(number, reply.code, reply.status, text, found, played.recipients, refused)
