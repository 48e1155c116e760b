"""The commands that `/command` runs: those that show something (`control.pmta`) and those that change something, by the verbs of ours.

A line of words becomes a verb of the control socket and its arguments, or a call of `postwright` itself for what asks the DNS and no relay
(`resolve`, `check spf`, `digest`): its words are checked against a list here and handed over one by one, so no shell ever reads them. Each
command has the scope that it needs. Raises `Unknown` for what is no command, `Refused` for one that this caller may not run.
"""

from __future__ import annotations

import asyncio
import shlex
import sys
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from postwright.control.cli.try_config import told as told_problem
from postwright.control.config import load
from postwright.control.http.access import Identity
from postwright.control.http.problems import Refused
from postwright.control.http.site import Site
from postwright.control.pmta.commands import SHOW, Command, Option, Unknown, answer_of, understood
from postwright.control.pmta.forms import Answer, failed
from postwright.control.pmta.orders import said, waiting
from postwright.engine.tracing import TraceLines

LONGEST: Final = 4096  # characters of a line
TOOL_SECONDS: Final = 30.0
TRACE_SECONDS: Final = 25.0
TOOLS_AT_ONCE: Final = 2
MOST_OUTPUT: Final = 1 << 20


class Order(Struct, frozen=True):
    """A command that is not one of `show`: its words and options, and the scope that it needs."""

    command: Command
    scope: str


def _said(body: bytes) -> Answer:
    raise AssertionError("an order is answered by its lines")


def _order(
    words: str,
    scope: str,
    verb: str,
    *options: Option,
    argument: tuple[str, str, bool] | None = None,
    fixed: tuple[tuple[str, str], ...] = (),
) -> Order:
    return Order(Command(tuple(words.split()), "", words, _said, verb, options, argument, fixed), scope)


_WHOSE: Final = (
    Option("queue", "", "QUEUE"),
    Option("orig", "", "ADDRESS"),
    Option("rcpt", "", "ADDRESS"),
    Option("jobId", "", "ID", key="job"),
    Option("envId", "", "ID", key="envid"),
    Option("older-than", "", "TIME"),
)
_DRY: Final = (Option("dry-run", ""), Option("reason", "", "TEXT"))
_FOR: Final = Option("for", "", "TIME")
_QUEUE: Final = ("QUEUE", "queue", True)
_JOB: Final = ("JOB", "job", True)

ORDERS: Final[tuple[Order, ...]] = (
    _order(
        "list", "logs", "order-list", *_WHOSE, Option("maxitems", "", "N"), Option("pause", "", key="paused"),
        Option("priority", ""), Option("schedule", ""),
    ),
    _order("delete", "queues", "order-delete", *_WHOSE, *_DRY, Option("dsn", ""), Option("no-accounting", "")),
    _order("pause queue", "queues", "order-pause", *_DRY, _FOR, argument=_QUEUE),
    _order("resume queue", "queues", "order-resume", *_DRY, argument=_QUEUE),
    _order("pause job", "queues", "order-pause", *_DRY, _FOR, argument=_JOB),
    _order("resume job", "queues", "order-resume", *_DRY, argument=_JOB),
    _order("set queue", "queues", "set-mode", Option("mode", "", "MODE", ("normal", "backoff")), argument=_QUEUE),
    _order("set priority", "queues", "order-priority", *_WHOSE, *_DRY, argument=("N", "priority", True)),
    _order("schedule", "queues", "order-schedule", Option("retry-recipients", ""), *_DRY, argument=_QUEUE),
    _order(
        "trace", "queues", "trace", Option("log-data", ""), Option("log-resolution", ""), Option("to-log", ""),
        Option("retry-recipients", ""), Option("source-ip", "", "IP"), argument=_QUEUE,
    ),
    _order("test config", "config", ""),
    _order("reload", "config", "reload"),
    _order("rotate acct", "admin", "rotate", argument=("FILE", "file", False), fixed=(("what", "acct"),)),
    _order("rotate log", "admin", "rotate", fixed=(("what", "log"),)),
    _order("reset counters", "admin", "order-reset"),
    _order("reset status", "admin", "order-reset"),
    _order("clear dnscache", "admin", "clear-dnscache", argument=("DOMAIN", "domain", True)),
    _order("clear secretscache", "admin", "order-secrets"),
)  # fmt: skip


class Tool(Struct, frozen=True):
    """A command that asks no relay: `postwright WORDS`, with these options and no others (those with `=` have a value), and `least` to
    `most` words behind it."""

    words: tuple[str, ...]
    scope: str
    options: tuple[str, ...]
    least: int
    most: int


# Who may have the relay talk to a host of his choice is no mere onlooker.
TOOLS: Final = (
    Tool(("resolve",), "queues", ("tcp", "edns", "connect", "use-dane", "use-mta-sts", "dumppackets", "server=", "source="), 1, 1),
    Tool(("check", "spf"), "queues", ("tcp", "dumppackets"), 2, 3),
    Tool(("digest",), "read", ("hmac-sha256", "siphash", "key=", "hexkey="), 1, 1),
)
# With two words behind them, which the table cannot say: SOURCE QUEUE, IP HELO.
_SOURCES: Final = {"disable": "disable-source", "enable": "enable-source"}


# one process, one count: whoever asks
_tools = asyncio.Semaphore(TOOLS_AT_ONCE)


class Commander:
    """Runs lines for whoever may."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._relay = site.relay

    async def run(self, line: str, who: Identity, mark: dict[str, str]) -> Answer:
        """The answer. `mark` says who asks, and is told to what changes something. Raises Unknown, Refused, RelayAway."""
        words = words_of(line)
        source = self._source(words, who)
        if source is not None:
            return said(await self._relay.ask_with(source[0], {**source[1], **mark}))
        tool = next((one for one in TOOLS if len(words) >= len(one.words) and all(map(_means, words, one.words))), None)
        if tool is not None:
            _may(who, tool.scope)
            return await self._run_tool(tool, words[len(tool.words) :])
        shown = _understood(words, SHOW)
        if isinstance(shown, tuple):
            _may(who, "read")
            command, arguments = shown
            return answer_of(command, await self._relay.ask_with(command.verb, arguments)) if command.verb else command.answer(b"")
        ordered = _understood(words, [one.command for one in ORDERS])
        if isinstance(ordered, Unknown):
            raise shown if words and _means(words[0], "show") else ordered
        command, arguments = ordered
        order = next(one for one in ORDERS if one.command is command)
        _may(who, order.scope)
        if command.verb == "trace":
            return await self._trace({**arguments, **mark})
        if command.words == ("test", "config"):
            return await asyncio.to_thread(self._test)
        told = await self._relay.ask_with(command.verb, {**arguments, **mark})
        return waiting(told) if command.verb == "order-list" else said(told)

    def _source(self, words: Sequence[str], who: Identity) -> tuple[str, dict[str, str]] | None:
        """`disable source IP QUEUE [--reenable-after TIME]`, `enable source IP QUEUE`; None for another command."""
        verb = next((verb for name, verb in _SOURCES.items() if words and _means(words[0], name)), None)
        if verb is None or len(words) < 2 or not _means(words[1], "source"):
            return None
        _may(who, "queues")
        behind = [word for word in words[2:] if not word.startswith("--")]
        after = [word.partition("=")[2] for word in words[2:] if word.startswith("--reenable-after=")]
        if len(behind) != 2 or len(behind) + len(after) != len(words) - 2:
            raise Unknown("disable source IP QUEUE [--reenable-after=TIME], enable source IP QUEUE")
        return verb, {"source": behind[0], "queue": behind[1], **({"after": after[0]} if after else {})}

    async def _trace(self, arguments: dict[str, str]) -> Answer:
        """The dialogue of the queue's next connection, up to its end or for so long; what is delivered, is."""
        begun = await self._relay.ask_with("trace", {"op": "begin", **arguments})
        if not begun.ok:
            return failed(*begun.lines)
        lines: list[str] = []
        try:
            async with asyncio.timeout(TRACE_SECONDS):
                while True:
                    told = await self._relay.body("trace", TraceLines, {"op": "read", "queue": arguments["queue"]})
                    lines += told.lines
                    if told.done:
                        break
                    await asyncio.sleep(0.2)
        except TimeoutError:
            lines.append(f"... not at its end after {TRACE_SECONDS:g} s; `postwright trace` goes on")
        finally:
            await self._relay.ask_with("trace", {"op": "end", "queue": arguments["queue"]})
        return Answer({"text": "\n".join(lines)}, tuple(lines))

    def _test(self) -> Answer:
        """Nothing when it is good, as PowerMTA has it."""
        if self._site.config_file is None:
            return failed("this relay's configuration is no file (the sandbox)")
        errors = load(self._site.config_file, tolerant=self._site.tolerant, state_dir=self._site.state_dir).errors
        return failed(*map(told_problem, errors)) if errors else Answer({}, ())

    async def _run_tool(self, tool: Tool, words: Sequence[str]) -> Answer:
        """`postwright` with these words, as a process of its own: nothing of what it does holds up the loop."""
        argv = [*tool.words, *arguments_of(tool, words)]
        async with _tools:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "postwright", *argv,
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            )  # fmt: skip
            try:
                output, _ = await asyncio.wait_for(process.communicate(), TOOL_SECONDS)
            except TimeoutError:
                return failed(f"{' '.join(tool.words)} was not done within {TOOL_SECONDS:g} s")
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
        lines = tuple(output[:MOST_OUTPUT].decode("utf-8", "backslashreplace").splitlines())
        return Answer({"text": "\n".join(lines)}, lines, ok=process.returncode == 0)


def arguments_of(tool: Tool, words: Sequence[str]) -> list[str]:
    """Its options in full, then `--`, then what stands behind it: nothing of this can be an option that is not in the table. Raises
    Unknown."""
    options: list[str] = []
    behind: list[str] = []
    for word in words:
        if not word.startswith("--"):
            behind.append(word)
            continue
        name, equals, value = word[2:].partition("=")
        fits = [one for one in tool.options if one.startswith(name + equals if equals else name)]
        exact = [one for one in fits if one == name + equals]
        if len(exact or fits) != 1 or (exact or fits)[0].endswith("=") != bool(equals):
            raise Unknown(f"{' '.join(tool.words)} knows no {word}")
        options.append(f"--{(exact or fits)[0]}{value}")
    if not tool.least <= len(behind) <= tool.most:
        raise Unknown(f"{' '.join(tool.words)} wants {tool.least} to {tool.most} words")
    return [*options, "--", *behind]


def words_of(line: str) -> list[str]:
    """A line as a shell would take it apart. Raises Unknown."""
    if len(line) > LONGEST:
        raise Unknown(f"a command of more than {LONGEST} characters")
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise Unknown(f"the command cannot be read: {error}") from None
    return words[1:] if words and words[0] in ("pmta", "postwright") else words


def _understood(words: Sequence[str], commands: Sequence[Command]) -> tuple[Command, dict[str, str]] | Unknown:
    try:
        return understood(words, commands)
    except Unknown as error:
        return error


def _means(word: str, name: str) -> bool:
    return bool(word) and name.startswith(word.lower())


def _may(who: Identity, scope: str) -> None:
    if not who.may(scope):
        raise Refused(403, f"this needs the scope {scope}, which {who.name} has not")
