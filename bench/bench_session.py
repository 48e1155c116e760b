"""Server CPU per message of the inbound session alone: an accept-everything Visit, fed by Postfix's smtp-source.

Prints microseconds of server CPU (user + system of the server process) per message and messages per second, for each loop and size.
It measures receiving only: nothing is stored. Without smtp-source on this machine it says so and stops.

    python bench/bench_session.py [--messages N] [--sessions N] [--loop uvloop|asyncio] [--sizes 4096,102400] [--profile FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import multiprocessing.connection
import os
import resource
import shutil
import socket
import subprocess
import sys
import time

from postwright.model.message import ContentFacts
from postwright.model.reply import Reply
from postwright.net.listener import Listener, bind
from postwright.net.session_book import SessionBook
from postwright.net.visit import Answer, Login, PeerFacts, SessionTimeouts
from postwright.wire.events import MailFrom, RcptTo
from postwright.wire.options import ServerOptions

BANNER = Reply(220, "", ("bench.example ESMTP",))
HELLO = Reply(250, "", ("bench.example",))
MAIL_OK = Reply(250, "2.1.0", ("MAIL ok",))
RCPT_OK = Reply(250, "2.1.5", ("recipient ok",))
SEND = Reply(354, "", ("send message",))
TAKEN = Reply(250, "2.6.0", ("message received",))
NO = Reply(535, "5.7.8", ("no",))
OPTIONS = ServerOptions()
TIMEOUTS = SessionTimeouts()


class AcceptAll:
    """A Visit that says yes to everything. `late`: content is answered through a Future, as a relay with a spool does."""

    def __init__(self, late: bool) -> None:
        self._late = late

    def options(self) -> ServerOptions:
        return OPTIONS

    def onlooker(self) -> None:
        return None

    def timeouts(self) -> SessionTimeouts:
        return TIMEOUTS

    def greeting(self) -> Answer:
        return BANNER

    def ehlo(self, name: str, extended: bool) -> Answer:
        return HELLO

    def capabilities(self, offered: tuple[str, ...]) -> tuple[str, ...]:
        return offered

    @property
    def login(self) -> Login:
        raise NotImplementedError("AUTH is not offered")

    def start_tls(self) -> Reply:
        return NO

    def tls_started(self, peer: PeerFacts) -> None:
        pass

    def mail(self, event: MailFrom) -> Answer:
        return MAIL_OK

    def rcpt(self, event: RcptTo) -> Answer:
        return RCPT_OK

    def data(self) -> Answer:
        return SEND

    def content(self, content: bytes, facts: ContentFacts) -> Answer:
        if not self._late:
            return TAKEN
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Reply] = loop.create_future()
        loop.call_soon(future.set_result, TAKEN)
        return future

    def reset(self) -> None:
        pass

    def closed(self) -> None:
        pass


async def _serve(sock: socket.socket, pipe: multiprocessing.connection.Connection, late: bool) -> None:
    loop = asyncio.get_running_loop()
    book = SessionBook(loop.time)
    book.start(loop)
    Listener(sock, lambda peer: AcceptAll(late), book).start()
    stop = loop.create_future()

    def told() -> None:
        if pipe.recv() == "stop":
            stop.set_result(None)
        else:
            used = resource.getrusage(resource.RUSAGE_SELF)
            pipe.send((used.ru_utime, used.ru_stime))

    loop.add_reader(pipe.fileno(), told)
    pipe.send("ready")
    await stop


def _server(sock: socket.socket, pipe: multiprocessing.connection.Connection, loop: str, late: bool, profile: str) -> None:
    def run() -> None:
        if loop == "uvloop":
            import uvloop

            uvloop.run(_serve(sock, pipe, late))
        else:
            asyncio.run(_serve(sock, pipe, late))

    if not profile:
        run()
        return
    import cProfile

    profiler = cProfile.Profile()
    profiler.runcall(run)
    profiler.dump_stats(profile)


def measure(source: str, loop: str, size: int, messages: int, sessions: int, late: bool, profile: str) -> str:
    """One line of result."""
    sock = bind("127.0.0.1", 0)
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=_server, args=(sock, there, loop, late, profile))
    process.start()
    port = sock.getsockname()[1]
    here.recv()

    def usage() -> tuple[float, float]:
        here.send("usage")
        return here.recv()  # type: ignore[no-any-return]  # what `told` sends

    def push(count: int) -> None:
        arguments = [source, "-d", "-s", str(sessions), "-l", str(size), "-m", str(count), f"127.0.0.1:{port}"]
        subprocess.run(arguments, check=True)

    push(max(sessions, messages // 20))
    user, system = usage()
    began = time.perf_counter()
    push(messages)
    elapsed = time.perf_counter() - began
    user_after, system_after = usage()
    here.send("stop")
    process.join()
    sock.close()
    user, system = user_after - user, system_after - system
    each = (user + system) / messages * 1e6
    split = f"user {user / messages * 1e6:.1f}, system {system / messages * 1e6:.1f}"
    answer = "future" if late else "at once"
    return f"{loop:8} {size:7} octets, {answer:7}: {each:6.1f} us CPU per message ({split}), {messages / elapsed:,.0f} messages/s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=20000)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--loop", default="")
    parser.add_argument("--sizes", default="4096,102400")
    parser.add_argument("--profile", default="")
    options = parser.parse_args()
    source = shutil.which("smtp-source", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if source is None:
        sys.exit("smtp-source is not installed (it comes with Postfix)")
    for loop in [options.loop] if options.loop else ["uvloop", "asyncio"]:
        for size in [int(size) for size in options.sizes.split(",")]:
            for late in (False, True):
                count = options.messages if size < 50_000 else options.messages // 10
                print(measure(source, loop, size, count, options.sessions, late, options.profile), flush=True)


if __name__ == "__main__":
    main()
