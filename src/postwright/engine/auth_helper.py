"""The login helper: a process beside the shards for login work that blocks (PAM), or that wants rights which shards give up.

    shard      ->  CheckPam, ExchangeStep (over a Unix socket in the run folder)  ->  a few threads  ->  Checked, ExchangeTold
    supervisor ->  Equip                                                            Noticed  ->  the relay's log

It is a child of the small process of `engine.auth_keeper`, which starts it anew when it dies. Work beyond `QUEUE` is answered at once as
"try later". A module that hangs holds a thread for `STUCK` seconds; then the process ends itself, since no thread can be ended, and the
next one is fresh. Passwords are in the frames and nowhere else: nothing here logs what a client sent. Root's rights are kept only where
PAM wants them (`auth_rights`).

Acceptors of dialogues (NTLM, GSSAPI) are named in `ACCEPTORS` and imported when first asked for. An acceptor lives in one context of one
shard's link; it is forgotten when it is done, when the shard says so, when its link ends, and after `FORGET` seconds.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module
from typing import Protocol

from postwright.engine import auth_frames as a
from postwright.engine import pam
from postwright.engine.auth_rights import Rights
from postwright.engine.bus import Link
from postwright.engine.frames import Frame
from postwright.engine.privileges import PrivilegeError
from postwright.model.credentials import Exchanged

THREADS = 16  # a wrong password may hold one for seconds (pam_fail_delay)
QUEUE = 256
CONTEXTS = 4096
PATIENCE = 20.0  # seconds after which a shard has given up waiting (`auth_client`): work that old is not begun
STUCK = 90.0
FORGET = 120.0
TRY_LATER = "the login helper has too much to do"

# kind -> "module:function" of a maker: `Equip` in, a function out that makes an `Acceptor` for each dialogue. It may raise OSError
# or ValueError, which is told to the operator, and to the client as a temporary failure.
ACCEPTORS: dict[str, str] = {"gssapi": "postwright.engine.kerberos:make"}


class Acceptor(Protocol):
    """The server's side of one dialogue."""

    def step(self, data: bytes) -> Exchanged:
        """The client's next octets, in a thread, never two at a time. Any exception ends the dialogue as a temporary failure."""


AcceptorMaker = Callable[[], Acceptor]
MakerOf = Callable[[a.Equip], AcceptorMaker]


class _Context:
    """A dialogue under way."""

    def __init__(self, acceptor: Acceptor, alarm: asyncio.TimerHandle) -> None:
        self.acceptor = acceptor
        self.alarm = alarm
        self.busy = False


class Helper:
    """The helper's work, on its event loop. `notice` tells the supervisor; `give_up` ends the process."""

    def __init__(self, notice: Callable[[a.Noticed], None], give_up: Callable[[], None], acceptors: dict[str, str] | None = None) -> None:
        self.loop = asyncio.get_running_loop()
        self.equipment = a.Equip()
        self._notice = notice
        self._give_up = give_up
        self._names = ACCEPTORS if acceptors is None else acceptors
        self._makers: dict[str, AcceptorMaker] = {}
        self._pool = ThreadPoolExecutor(THREADS, "login")
        self._jobs = 0
        self._links: dict[Link, dict[str, _Context]] = {}
        self._told: set[str] = set()

    def equip(self, equipment: a.Equip) -> None:
        """What holds from now on; dialogues under way go on with what they began with."""
        self.equipment = equipment
        self._makers.clear()
        self._told.clear()

    def link(self) -> Link:
        """One end for a shard that has connected."""
        return Link(self._heard, self._closed, "shard")

    # -- what shards ask ------------------------------------------------------------------

    def _heard(self, link: Link, frame: Frame) -> None:
        if isinstance(frame, a.CheckPam):
            work = partial(pam.check, self.equipment.pam_service, frame.user, frame.password)
            self._begin(work, partial(self._pam_told, link, frame.number))
        elif isinstance(frame, a.ExchangeStep):
            self._exchange(link, frame)
        elif isinstance(frame, a.ExchangeOver):
            self._forget(link, frame.context)

    def _closed(self, link: Link, reason: str) -> None:
        for context in self._links.pop(link, {}).values():
            context.alarm.cancel()

    def _pam_told(self, link: Link, number: int, answer: object) -> None:
        if not isinstance(answer, pam.PamAnswer):
            answer = pam.PamAnswer(False, TRY_LATER if answer is None else f"PAM failed: {type(answer).__name__}")
        if answer.error:
            self._say("PAM cannot tell", answer.error)
        link.send(a.Checked(number, answer.ok, answer.error))

    def _exchange(self, link: Link, step: a.ExchangeStep) -> None:
        contexts = self._links.setdefault(link, {})
        context = contexts.get(step.context)
        try:
            if context is None:
                context = contexts[step.context] = self._new_context(link, step)
            if context.busy:
                raise ValueError("a step before the last one was answered")
        except (OSError, ValueError, ImportError) as error:
            self._say("a login cannot be judged", f"{step.kind}: {error}")
            link.send(a.ExchangeTold(step.number, b"", done=True, error=str(error)))
            return
        context.busy = True
        self._begin(partial(context.acceptor.step, step.data), partial(self._exchange_told, link, step, context))

    def _exchange_told(self, link: Link, step: a.ExchangeStep, context: _Context, answer: object) -> None:
        context.busy = False
        if isinstance(answer, Exchanged):
            told = a.ExchangeTold(step.number, answer.data, answer.user, answer.done, answer.ok, reason=answer.reason)
        else:
            error = TRY_LATER if answer is None else f"{step.kind} failed: {type(answer).__name__}"
            self._say("a login cannot be judged", error)
            told = a.ExchangeTold(step.number, b"", done=True, error=error)
        if told.done:
            self._forget(link, step.context)
        link.send(told)

    # -- contexts -------------------------------------------------------------------------

    def _new_context(self, link: Link, step: a.ExchangeStep) -> _Context:
        if sum(map(len, self._links.values())) >= CONTEXTS:
            raise ValueError(TRY_LATER)
        make = self._makers.get(step.kind)
        if make is None:
            make = self._makers[step.kind] = _maker_of(self._names, step.kind)(self.equipment)
        return _Context(make(), self.loop.call_later(FORGET, self._forget, link, step.context))

    def _forget(self, link: Link, name: str) -> None:
        context = self._links.get(link, {}).pop(name, None)
        if context is not None:
            context.alarm.cancel()

    # -- threads ----------------------------------------------------------------------------

    def _begin(self, work: Callable[[], object], told: Callable[[object], None]) -> None:
        """Have `work` done in a thread; `told` gets its value, None when there is too much to do, or the exception."""
        if self._jobs >= QUEUE:
            told(None)
            return
        self._jobs += 1
        too_late = self.loop.time() + PATIENCE
        alarm = self.loop.call_later(STUCK, self._stuck)
        done = self.loop.run_in_executor(self._pool, self._work, work, too_late)
        done.add_done_callback(partial(self._done, told, alarm))

    def _work(self, work: Callable[[], object], too_late: float) -> object:
        return None if self.loop.time() > too_late else work()

    def _done(self, told: Callable[[object], None], alarm: asyncio.TimerHandle, done: asyncio.Future[object]) -> None:
        self._jobs -= 1
        alarm.cancel()
        error = done.exception()
        told(error if error is not None else done.result())

    def _stuck(self) -> None:
        self._say("the login helper starts anew", f"a login has hung for {STUCK:g} s")
        self.loop.call_later(0.1, self._give_up)

    def _say(self, event: str, detail: str) -> None:
        """Once per generation and text, so that a PAM that is down is no flood."""
        if len(self._told) < 100 and f"{event} {detail}" not in self._told:
            self._told.add(f"{event} {detail}")
            self._notice(a.Noticed(event, detail))


def _maker_of(names: dict[str, str], kind: str) -> MakerOf:
    module, _, function = names.get(kind, "").partition(":")
    if not function:
        raise ValueError(f"no acceptor for {kind!r}")
    found: MakerOf = getattr(import_module(module), function)
    return found


def _equip(helper: Helper, rights: Rights, frame: a.Equip) -> None:
    """Take the settings, or end: for want of rights (then another one is started, which has them), or because they cannot be given up."""
    try:
        settled = rights.settle(frame)
    except (OSError, PrivilegeError) as error:
        sys.stderr.write(f"postwright login helper: {error}\n")
        os._exit(2)
    if settled is None:
        os._exit(0)
    helper.equip(settled)


async def serve(listening: socket.socket, control: socket.socket) -> None:
    """Be the helper until the keeper closes `control`: it takes shards on `listening`."""
    loop = asyncio.get_running_loop()
    gone = asyncio.Event()
    helper: Helper
    ready = asyncio.Event()

    rights = Rights()

    def told(link: Link, frame: Frame) -> None:
        if isinstance(frame, a.Equip):
            _equip(helper, rights, frame)
            ready.set()

    _, link = await loop.create_connection(lambda: Link(told, lambda link, reason: gone.set(), "keeper"), sock=control)
    helper = Helper(link.send, lambda: os._exit(1))
    await asyncio.wait([loop.create_task(ready.wait()), gone_task := loop.create_task(gone.wait())], return_when=asyncio.FIRST_COMPLETED)
    if not gone_task.done():
        await loop.create_unix_server(helper.link, sock=listening)
        await gone_task
    os._exit(0)  # without waiting for threads: whoever asked is gone, and a PAM module may take its time
