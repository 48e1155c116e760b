"""The commands that `/command` runs: those that show something (`control.pmta`) and those that change something, by the verbs of ours.

A line of words becomes a verb of the control socket and its arguments, or a call of `postwright` itself for what asks the DNS and no relay
(`resolve`, `check spf`): its words are checked against a list here and handed over one by one, so no shell ever reads them. `digest` is
done here: one of its words is a key, and everybody on the machine may read the words of a process. Each command has the scope that it
needs. Raises `Unknown` for what is no command, `Refused` for one that this caller may not run.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import Final

from postwright.control.cli import digest
from postwright.control.cli.try_config import told as told_problem
from postwright.control.config import load
from postwright.control.http.access import Identity
from postwright.control.http.command_table import ORDERS, SOURCES, TOOLS, Tool, arguments_of, words_of
from postwright.control.http.problems import Refused
from postwright.control.http.site import Site
from postwright.control.pmta.commands import SHOW, Command, Unknown, answer_of, understood
from postwright.control.pmta.forms import Answer, failed
from postwright.control.pmta.orders import said, waiting
from postwright.engine.tracing import TraceLines

TOOL_SECONDS: Final = 30.0
TRACE_SECONDS: Final = 25.0
MOST_OUTPUT: Final = 1 << 20


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
            given = arguments_of(tool, words[len(tool.words) :])
            return _digest(given) if tool.words == ("digest",) else await self._run_tool(tool, given)
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
        verb = next((verb for name, verb in SOURCES.items() if words and _means(words[0], name)), None)
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

    async def _run_tool(self, tool: Tool, arguments: Sequence[str]) -> Answer:
        """`postwright` with these words, as a process of its own: nothing of what it does holds up the loop."""
        async with self._site.tools:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "postwright", *tool.words, *arguments,
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


def _digest(arguments: list[str]) -> Answer:
    given = digest.command.make_context("digest", arguments).params
    try:
        line = digest.told(given["hmac"], given["sip"], given["key"], given["hexkey"], given["text"])
    except ValueError as error:
        return failed(str(error))
    return Answer({"text": line}, (line,))


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
