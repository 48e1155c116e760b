"""The control socket: where commands (`postwright status`, `reload`, `rotate` …) ask the running relay.

One question, one answer, then the connection is closed. Only the owner of the state folder can open the socket. Verbs are
functions in a table; a verb that is not known is answered with those that are.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec

from postwright import __version__
from postwright.engine import frames as f
from postwright.engine.bus import Link
from postwright.engine.export_process import ExportProcess
from postwright.engine.lock_lines import lock_lines, shown
from postwright.engine.lock_office import LockOffice
from postwright.engine.message_state import MESSAGE_COMMANDS
from postwright.engine.orders.asker import peer_of, with_asker
from postwright.engine.orders.audit import MOST, Audit, audit_lines
from postwright.engine.orders.commands import ORDER_COMMANDS
from postwright.engine.orders.desk import Desk
from postwright.engine.queue_commands import QUEUE_COMMANDS
from postwright.engine.status import RelayStatus, ShardStatus, status_lines
from postwright.engine.views.settings import Describe
from postwright.engine.views.traffic import TrafficBook
from postwright.engine.views.verbs import VIEW_COMMANDS
from postwright.model.address import canonical_domain
from postwright.model.errors import AddressError
from postwright.policy.settings import Settings


class Relay(Protocol):
    """What the control socket may ask of the supervisor."""

    started: float
    settings: Settings
    traffic: TrafficBook
    describe: Describe | None
    locks: LockOffice
    exporter: ExportProcess
    desk: Desk
    audit: Audit

    async def reload(self) -> list[str]: ...
    async def rotate_log(self) -> None: ...
    async def ask_shards(self, verb: str, argument: bytes = b"", timeout: float = 10.0) -> list[f.Answer]: ...
    def stop(self) -> None: ...
    @property
    def stopping(self) -> bool: ...
    def pids(self) -> list[int]: ...
    def restarts(self) -> dict[str, int]: ...


Verb = Callable[[Relay, dict[str, str]], Awaitable[f.Told]]


async def _status(relay: Relay, arguments: dict[str, str]) -> f.Told:
    answers = await relay.ask_shards("status", msgspec.json.encode(arguments))
    shards = [msgspec.msgpack.decode(answer.body, type=ShardStatus) for answer in answers if answer.body]
    locks = len(relay.locks.locks())
    status = RelayStatus(
        version=__version__,
        time=time.time(),
        started=relay.started,
        pids=relay.pids(),
        shards=shards,
        locks=locks,
        consumers=relay.exporter.consumers,
    )
    return f.Told(ok=True, lines=status_lines(status), body=msgspec.json.encode(status))


async def _reload(relay: Relay, arguments: dict[str, str]) -> f.Told:
    problems = await relay.reload()
    return f.Told(ok=not problems, lines=problems or ["Configuration reloaded."])


async def _rotate(relay: Relay, arguments: dict[str, str]) -> f.Told:
    if arguments.get("what") == "log":
        await relay.rotate_log()
        return f.Told(ok=True, lines=["Logging file rotated."])
    errors = [answer.error for answer in await relay.ask_shards("rotate-acct", msgspec.json.encode(arguments)) if answer.error]
    return f.Told(ok=not errors, lines=errors or ["Accounting file rotated."])


async def _stop(relay: Relay, arguments: dict[str, str]) -> f.Told:
    relay.stop()
    return f.Told(ok=True, lines=["Stopping."])


async def _locks(relay: Relay, arguments: dict[str, str]) -> f.Told:
    locks = relay.locks.locks()
    return f.Told(ok=True, lines=lock_lines(locks), body=msgspec.json.encode(locks))


async def _unlock(relay: Relay, arguments: dict[str, str]) -> f.Told:
    who = arguments.get("who", "")
    ended = relay.locks.release(who)
    lines = [f"Released: {lock.kind} {shown(lock.who)}." for lock in ended]
    return f.Told(ok=bool(ended) or not who, lines=lines or [f"There is no lock on {shown(who)}." if who else "There are no locks."])


async def _clear_dnscache(relay: Relay, arguments: dict[str, str]) -> f.Told:
    """PowerMTA's words (powermta.md section 3)."""
    wish = arguments.get("domain", "")
    try:
        domain = "" if wish == "*" else canonical_domain(wish.rstrip("."))
    except AddressError as error:
        return f.Told(ok=False, lines=[f"{shown(wish)}: {error}"])
    answers = await relay.ask_shards("clear-dnscache", domain.encode())
    errors = [answer.error for answer in answers if answer.error]
    cleared = sum(msgspec.msgpack.decode(answer.body, type=int) for answer in answers if answer.body)
    line = f"Cleared {domain} from DNS cache." if domain else "DNS cache cleared."
    return f.Told(ok=not errors, lines=errors or [line], body=msgspec.json.encode({"cleared": cleared}))


async def _events_replay(relay: Relay, arguments: dict[str, str]) -> f.Told:
    consumer, since = arguments.get("consumer", ""), float(arguments.get("since", "0"))
    wrong = relay.exporter.replay(consumer, since)
    return f.Told(ok=not wrong, lines=[wrong or f"{consumer} gets the events since then once more."])


async def _audit(relay: Relay, arguments: dict[str, str]) -> f.Told:
    most = arguments.get("maxitems", "") or "100"
    if not (most.isascii() and most.isdecimal()):
        return f.Told(ok=False, lines=[f"maxitems is {most!r}, which is no number"])
    done = await asyncio.to_thread(relay.audit.read, max(1, min(int(most[:9]), MOST)))
    return f.Told(ok=True, lines=audit_lines(done), body=msgspec.json.encode(done))


VERBS: dict[str, Verb] = {
    "status": _status,
    "reload": _reload,
    "rotate": _rotate,
    "stop": _stop,
    "locks": _locks,
    "unlock": _unlock,
    "clear-dnscache": _clear_dnscache,
    "events-replay": _events_replay,
    "audit": _audit,
}


VERBS.update(QUEUE_COMMANDS)
VERBS.update(ORDER_COMMANDS)
VERBS.update(VIEW_COMMANDS)
VERBS.update(MESSAGE_COMMANDS)


class ControlServer:
    """Serves the control socket on the supervisor's loop."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, sock: socket.socket) -> None:
        """Serve on `sock`, a listening Unix socket."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: Link(self._heard, lambda link, reason: None, "command"), sock=sock)

    async def stop(self) -> None:
        """Answer what was asked, then close."""
        if self._server is not None:
            self._server.close()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1.0)

    def _heard(self, link: Link, frame: f.Frame) -> None:
        task = asyncio.get_running_loop().create_task(self._answer(link, frame))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, link: Link, frame: f.Frame) -> None:
        if not isinstance(frame, f.Ask):
            link.close()
            return
        link.send(await self._tell(frame, with_asker(frame.arguments, peer_of(link.transport))))
        link.close()

    async def _tell(self, ask: f.Ask, arguments: dict[str, str]) -> f.Told:
        if ask.version != f.VERSION:
            what = f"this command speaks version {ask.version} of the bus, the relay {f.VERSION}: update the older one"
            return f.Told(ok=False, lines=[what])
        verb = VERBS.get(ask.verb)
        if verb is None:
            return f.Told(ok=False, lines=[f"no verb {ask.verb!r}; there are: {', '.join(sorted(VERBS))}"])
        try:
            told = await verb(self._relay, arguments)
        except Exception as error:  # a defect of ours: whoever asks is told that there is one
            asyncio.get_running_loop().call_exception_handler({"message": f"the command {ask.verb} failed", "exception": error})
            told = f.Told(ok=False, lines=[f"{ask.verb} failed within the relay: {type(error).__name__}; its log has more"])
        self._relay.audit.write(ask.verb, arguments, told)
        return told
