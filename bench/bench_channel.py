"""What sending costs: CPU time of our side per message, over open channels to Postfix's smtp-sink (or any receiver by --to).

    python bench/bench_channel.py [--messages 40000] [--channels 20] [--size 4096] [--depth 2] [--profile]

Prints microseconds of user and system time per message; what remains of user time is ours (and the event loop's). Each line is
a whole run of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import os
import pstats
import resource
import shutil
import socket
import subprocess
import sys
import time

import uvloop

from postwright.model.address import Address
from postwright.model.envelope import Recipient
from postwright.model.message import ContentFacts
from postwright.model.outcome import TransactionResult
from postwright.model.route import Route, SessionOptions, SourceHost, TlsLevel
from postwright.net.channel import Channel
from postwright.net.dialer import Dialer
from postwright.wire.client_states import Transaction


def content_of(size: int) -> bytes:
    head = b"From: <a@example.com>\r\nTo: <b@example.net>\r\nSubject: bench\r\n\r\n"
    line = b"x" * 70 + b"\r\n"
    return head + line * ((size - len(head)) // len(line))


def transaction_of(content: bytes, dots: bool) -> Transaction:
    facts = ContentFacts(size=len(content), header_size=64, longest_line=70, dots=dots)
    sender = Address("bounce-12345@news.example.com", "news.example.com")
    rcpt = Address("somebody@example.net", "example.net")
    return Transaction(sender, [Recipient(rcpt)], [content], facts)


class Feeder:
    """Keeps one channel at `depth` by callbacks, the quickest way."""

    def __init__(self, channel: Channel, transaction: Transaction, count: int, depth: int) -> None:
        self.channel = channel
        self.transaction = transaction
        self.left = count
        self.waiting = count
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        for _ in range(min(depth, count)):
            self.feed()

    def feed(self) -> None:
        self.left -= 1
        self.channel.submit(self.transaction, self.settled)

    def settled(self, result: TransactionResult) -> None:
        if result.final is None or result.final.code != 250:
            raise SystemExit(f"not taken: {result}")
        self.waiting -= 1
        if self.left:
            self.feed()
        elif not self.waiting:
            self.done.set_result(None)


async def awaiting(channel: Channel, transaction: Transaction, count: int, depth: int) -> None:
    """The same with futures, as an engine that tells its story in order would."""
    waiting = [channel.run(transaction) for _ in range(min(depth, count))]
    for n in range(count):
        result = await waiting.pop(0)
        if result.final is None or result.final.code != 250:
            raise SystemExit(f"not taken: {result}")
        if n + depth < count:
            waiting.append(channel.run(transaction))


async def run(args: argparse.Namespace, port: int) -> None:
    dialer = Dialer()
    options = SessionOptions(tls=TlsLevel.NONE, ignore_chunking=args.no_chunking)
    route = Route("sink", "127.0.0.1", port, SourceHost("", "bench.example.com"))
    channels = [await dialer.open(route, options) for _ in range(args.channels)]
    transaction = transaction_of(content_of(args.size), args.dots)
    each = args.messages // args.channels
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    profiler = cProfile.Profile() if args.profile else None
    if profiler:
        profiler.enable()
    opened = [channel for channel in channels if isinstance(channel, Channel)]
    if len(opened) != len(channels):
        raise SystemExit(f"no session: {channels}")
    if args.futures:
        await asyncio.gather(*[awaiting(channel, transaction, each, args.depth) for channel in opened])
    else:
        await asyncio.gather(*[Feeder(channel, transaction, each, args.depth).done for channel in opened])
    if profiler:
        profiler.disable()
        pstats.Stats(profiler).sort_stats("tottime").print_stats(25)
    after, took = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter() - began
    n = each * args.channels
    user, system = (after.ru_utime - before.ru_utime) / n * 1e6, (after.ru_stime - before.ru_stime) / n * 1e6
    way = "futures" if args.futures else "callbacks"
    print(f"{args.size:>7} octets, depth {args.depth}, {way}: user {user:5.1f} us, system {system:5.1f} us a message; {n / took:,.0f}/s")
    for channel in opened:
        channel.close()


def sink(port: int) -> subprocess.Popen[bytes]:
    path = shutil.which("smtp-sink", path=os.environ["PATH"] + ":/usr/sbin")
    if path is None:
        raise SystemExit("smtp-sink (Debian package postfix) is needed, or --to PORT")
    user = ["-u", "nobody"] if os.getuid() == 0 else []
    process = subprocess.Popen([path, "-c", *user, f"127.0.0.1:{port}", "1000"], stdout=subprocess.DEVNULL)
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return process
        time.sleep(0.02)
    raise SystemExit("smtp-sink does not answer")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=40000)
    parser.add_argument("--channels", type=int, default=20)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--depth", type=int, default=2)
    parser.add_argument("--dots", action="store_true", help="content with lines that begin with a dot")
    parser.add_argument("--futures", action="store_true", help="await Channel.run and not Channel.submit")
    parser.add_argument("--no-chunking", action="store_true")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--to", type=int, default=0, help="a receiver that listens on this port already")
    args = parser.parse_args()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = args.to or probe.getsockname()[1]
    process = None if args.to else sink(port)
    try:
        uvloop.run(run(args, port))
    finally:
        if process is not None:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    sys.exit(main())
