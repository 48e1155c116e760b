"""The commands of `/command` that are not `show ...`, as data: words and options as `postwright` has them, the verb of each, who may.

Orders become a verb of the control socket; tools (which ask the DNS or nobody, and no relay) are `postwright` itself, with words that are
checked here. Pure; raises `Unknown` for what is no command.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from postwright.control.pmta.commands import Command, Option, Unknown
from postwright.control.pmta.forms import Answer

LONGEST: Final = 4096  # characters of a line


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
# With two words behind them, an address and a queue, which the table cannot say.
SOURCES: Final = {"disable": "disable-source", "enable": "enable-source"}


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
