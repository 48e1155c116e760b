"""A shard's end of the login helper: questions out, answers back, and never a hang.

It connects when first asked, and again after a break. A question that cannot be put, is not answered in time, or meets a helper with too
much to do fails with `HelperUnavailable`, whose text is for our log; the client is told 454 4.7.0. Nothing is kept of what was asked.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from typing import TypeVar

from postwright.engine import auth_frames as a
from postwright.engine.bus import Link, short_path
from postwright.engine.frames import Frame
from postwright.model.errors import LoginUnavailable

PATIENCE = 20.0
CONNECT = 5.0
WAITING = 512  # questions of one shard under way

T = TypeVar("T", a.Checked, a.ExchangeTold)


class HelperUnavailable(LoginUnavailable):
    """The login helper cannot tell, now."""


class AuthClient:
    """One per shard. `path` is the helper's socket; `patience` the seconds that an answer may take."""

    def __init__(self, path: Path, patience: float = PATIENCE) -> None:
        self._path = path
        self._patience = patience
        self._loop = asyncio.get_running_loop()
        self._link: Link | None = None
        self._connecting: asyncio.Task[Link] | None = None
        self._waiting: dict[int, asyncio.Future[a.Checked | a.ExchangeTold]] = {}
        self._numbers = count(1)

    async def check_pam(self, user: str, password: str) -> bool:
        """Does PAM let `user` in with `password`? Raises HelperUnavailable."""
        answer = await self._ask(lambda number: a.CheckPam(number, user, password), a.Checked)
        if answer.error:
            raise HelperUnavailable(answer.error)
        return answer.ok

    async def step(self, kind: str, context: str, data: bytes) -> a.ExchangeTold:
        """The client's next octets to the acceptor of `kind` in `context`. Raises HelperUnavailable."""
        answer = await self._ask(lambda number: a.ExchangeStep(number, kind, context, data), a.ExchangeTold)
        if answer.error:
            raise HelperUnavailable(answer.error)
        return answer

    def over(self, context: str) -> None:
        """Forget a context (its session has ended, or the client has cancelled)."""
        if self._link is not None:
            self._link.send(a.ExchangeOver(context))

    def close(self) -> None:
        """At the shard's end; what is under way fails."""
        if self._connecting is not None:
            self._connecting.cancel()
        if self._link is not None:
            self._link.abort()

    async def _ask(self, frame: Callable[[int], a.CheckPam | a.ExchangeStep], kind: type[T]) -> T:
        if len(self._waiting) >= WAITING:
            raise HelperUnavailable("too many logins wait for the login helper")
        number = next(self._numbers)
        future = self._waiting[number] = self._loop.create_future()
        try:
            async with asyncio.timeout(self._patience):
                (await self._connected()).send(frame(number))
                answer = await future
        except TimeoutError:
            raise HelperUnavailable(f"the login helper has not answered within {self._patience:g} s") from None
        except OSError as error:
            raise HelperUnavailable(f"the login helper is not there: {error}") from None
        finally:
            self._waiting.pop(number, None)
        if not isinstance(answer, kind):
            raise HelperUnavailable("the login helper has answered something else")
        return answer

    async def _connected(self) -> Link:
        """The link; one attempt to connect serves all who wait for it."""
        if self._link is not None and self._link.is_open:
            return self._link
        if self._connecting is None:
            self._connecting = self._loop.create_task(self._connect())
            self._connecting.add_done_callback(self._connect_ended)
        return await asyncio.shield(self._connecting)

    def _connect_ended(self, task: asyncio.Task[Link]) -> None:
        self._connecting = None
        with contextlib.suppress(asyncio.CancelledError):
            task.exception()  # whoever waits has it; if nobody does, it is no news

    async def _connect(self) -> Link:
        with short_path(self._path) as short:
            make = partial(Link, self._heard, self._closed, "login helper")
            async with asyncio.timeout(CONNECT):
                _, link = await self._loop.create_unix_connection(make, short.name)
        self._link = link
        return link

    def _heard(self, link: Link, frame: Frame) -> None:
        if isinstance(frame, (a.Checked, a.ExchangeTold)):
            waiting = self._waiting.pop(frame.number, None)
            if waiting is not None and not waiting.done():
                waiting.set_result(frame)

    def _closed(self, link: Link, reason: str) -> None:
        if self._link is not link:
            return
        self._link = None
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            if not future.done():
                future.set_exception(HelperUnavailable(f"the login helper has gone: {reason}"))
                future.exception()
