"""The commands that show something, as data: PowerMTA's words and options (powermta.md section 3), the view each asks for, how it answers.

The command line (`postwright show ...`), the monitor's `/command` and the reference page are made of this table, so they cannot differ.
Words and the names of options may be shortened as long as one fits (`sh top`). Raises `Unknown` for what is none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

from postwright.control.pmta import details, lists, plain, status
from postwright.control.pmta.forms import Answer, failed
from postwright.engine.frames import Told
from postwright.engine.views.detail_facts import DisabledView, PrecacheView
from postwright.engine.views.queues import QueuesView
from postwright.engine.views.settings import SettingsView
from postwright.engine.views.status import StatusView
from postwright.engine.views.sums import SumsView
from postwright.model.errors import PostwrightError

ALL: Final = "10000"  # rows, where PowerMTA shows all


class Unknown(PostwrightError):
    """No command, or none with that option; said as a person reads it."""


class Option(Struct, frozen=True):
    """`--name`: a flag, or with a value where there is a `metavar`; `key` is the argument of the view, if that is called otherwise."""

    name: str
    help: str
    metavar: str = ""
    choices: tuple[str, ...] = ()
    key: str = ""


class Command(Struct, frozen=True):
    """One command. `argument` is what stands behind it: its metavar, the view's argument, and whether it must be there."""

    words: tuple[str, ...]
    help: str
    example: str
    answer: Callable[[bytes], Answer]
    verb: str = ""  # "" for what needs no relay
    options: tuple[Option, ...] = ()
    argument: tuple[str, str, bool] | None = None
    fixed: tuple[tuple[str, str], ...] = ()
    short: str = ""  # what stands for the last word though it may begin others, too

    @property
    def name(self) -> str:
        """As one types it."""
        return " ".join(self.words)


T = TypeVar("T")


def _of(kind: type[T], make: Callable[[T], Answer]) -> Callable[[bytes], Answer]:
    decode = msgspec.json.Decoder(kind).decode
    return lambda body: make(decode(body))


_MOST = Option("maxitems", "How many rows at most.", "N")
_SORT = Option("sort", "By name, recipients or size.", "ORDER", ("name", "rcpt", "size"))
_CONNECTED = Option("connected", "Only those with a connection.")
_ERRORS = Option("errors", "Only those with a last error.")
_QUEUE_OPTIONS: Final = (
    _CONNECTED,
    Option("paused", "Only those that are paused."),
    Option("mode", "Only those in this mode.", "MODE", ("normal", "backoff")),
    _MOST,
    _ERRORS,
    _SORT,
    Option("no-rcpt-events", "Without what happened to recipients."),
    Option("mode-events", "With changes of mode."),
    Option("after", "Go on behind this cursor (`next` of an earlier answer).", "CURSOR"),
)
_QUEUE_ARGUMENT: Final = ("DOMAIN[/VMTA]", "queue", False)
_DOMAIN_OPTIONS: Final = (
    Option("vmta", "Only queues of this virtual MTA (* for any text).", "NAME"),
    _CONNECTED,
    _MOST,
    _ERRORS,
    _SORT,
)
_BY_RCPT: Final = (("sort", "rcpt"),)
_queues, _sums = partial(_of, QueuesView), partial(_of, SumsView)

SHOW: Final[tuple[Command, ...]] = (
    Command(
        ("show", "status"),
        "Traffic, connections, names, queues and spool of the relay.",
        "show status",
        _of(StatusView, status.answer),
        "view-status",
    ),
    Command(
        ("show", "topqueues"),
        "The queues with the most recipients, with what happened to them lately.",
        "show topqueues --maxitems=5",
        _queues(lists.queues),
        "view-queues",
        _QUEUE_OPTIONS,
        _QUEUE_ARGUMENT,
        _BY_RCPT,  # --sort says otherwise
        "top",
    ),
    Command(
        ("show", "queues"),
        "Queues, with what happened to them lately.",
        "show queues --errors '*/vm1'",
        _queues(lists.queues),
        "view-queues",
        _QUEUE_OPTIONS,
        _QUEUE_ARGUMENT,
    ),
    Command(
        ("show", "topdomains"),
        "The domains with the most recipients.",
        "show topdomains --maxitems=5",
        _sums(lists.domains),
        "view-domains",
        _DOMAIN_OPTIONS,
        ("DOMAIN", "domain", False),
        _BY_RCPT,
    ),
    Command(
        ("show", "domains"),
        "What waits for each domain, under all virtual MTAs.",
        "show domains --connected 'g*'",
        _sums(lists.domains),
        "view-domains",
        _DOMAIN_OPTIONS,
        ("DOMAIN", "domain", False),
    ),
    Command(
        ("show", "jobs"),
        "What waits of each job.",
        "show jobs --sort=rcpt",
        _sums(lists.jobs),
        "view-jobs",
        (_MOST, _SORT),
        fixed=(("maxitems", ALL),),
    ),
    Command(
        ("show", "vmtas"),
        "What waits under each virtual MTA.",
        "show vmtas --sort=rcpt",
        _sums(lists.vmtas),
        "view-vmtas",
        (_MOST, _SORT),
        fixed=(("maxitems", ALL),),
    ),
    Command(
        ("show", "settings"),
        "What holds for a queue in the running relay.",
        "show settings example.com/vm1",
        _of(SettingsView, details.settings),
        "view-settings",
        argument=("DOMAIN[/VMTA]", "queue", True),
    ),
    Command(
        ("show", "vmta-settings"),
        "What holds for a virtual MTA in the running relay: its settings, source hosts and keys.",
        "show vmta-settings vm1",
        _of(SettingsView, details.settings),
        "view-vmta-settings",
        argument=("VMTA", "vmta", True),
    ),
    Command(
        ("show", "disabled", "sources"),
        "Source addresses that queues may not use for now.",
        "show disabled sources '*/vm1'",
        _of(DisabledView, details.disabled),
        "view-disabled-sources",
        (_MOST,),
        _QUEUE_ARGUMENT,
    ),
    Command(
        ("show", "precache"),
        "Domains that are looked up before they are wanted (precached-domains-file).",
        "show precache",
        _of(PrecacheView, details.precache),
        "view-precache",
    ),
    Command(("show", "version"), "Which version this is.", "show version", plain.version),
    Command(("show", "license"), "Under which licence it may be used.", "show license", plain.license_),
    Command(("show", "registration"), "PowerMTA has one; this relay needs none.", "show registration", plain.registration),
)


def answer_of(command: Command, told: Told) -> Answer:
    """What the relay's answer comes to."""
    if not told.ok or not told.body:
        return failed(*told.lines)
    answer = command.answer(told.body)
    return msgspec.structs.replace(answer, notes=tuple(told.lines))


def arguments_of(command: Command, given: Mapping[str, Any], argument: str = "") -> dict[str, str]:
    """The view's arguments: `given` are values of options by name, True for flags that are set; None and False for those that are not."""
    arguments = dict(command.fixed)
    for option in command.options:
        value = given.get(option.name)
        if value is not None and value is not False:
            arguments[option.key or option.name] = "yes" if value is True else str(value)
    if command.argument is not None and argument:
        arguments[command.argument[1]] = argument
    return arguments


# a line of words --------------------------------------------------------------------------------------------------------


def understood(words: Sequence[str], commands: Iterable[Command] = SHOW) -> tuple[Command, dict[str, str]]:
    """The command that a line of words means, and the view's arguments. Raises `Unknown`."""
    command, rest = _found(words, tuple(commands))
    given: dict[str, Any] = {}
    behind: list[str] = []
    waiting = list(rest)
    while waiting:
        word = waiting.pop(0)
        if not word.startswith("--"):
            behind.append(word)
            continue
        name, equals, value = word[2:].partition("=")
        option = _option(command, name)
        if option.metavar and not equals:
            if not waiting:
                raise Unknown(f"{command.name}: --{option.name} wants a value")
            value = waiting.pop(0)
        if option.choices and value not in option.choices:
            raise Unknown(f"{command.name}: --{option.name} is one of {', '.join(option.choices)}")
        given[option.name] = value if option.metavar else True
    return command, arguments_of(command, given, _one(command, behind))


def _found(words: Sequence[str], commands: Sequence[Command]) -> tuple[Command, Sequence[str]]:
    for length in (3, 2, 1):
        if len(words) < length:
            continue
        fits = [one for one in commands if len(one.words) == length and _all_fit(words, one.words)]
        last = words[length - 1].lower()
        exact = [one for one in fits if last in (one.words[-1], one.short)]
        if len(exact or fits) == 1:
            return (exact or fits)[0], words[length:]
        if fits:
            raise Unknown(f"{' '.join(words[:length])} may be {', or '.join(one.name for one in fits)}")
    raise Unknown(f"unknown command: {' '.join(words) or 'nothing'}")


def _all_fit(words: Sequence[str], names: Sequence[str]) -> bool:
    return all(word and name.startswith(word.lower()) for word, name in zip(words, names, strict=False))


def _option(command: Command, name: str) -> Option:
    fits = [one for one in command.options if one.name.lower().startswith(name.lower())] if name else []
    exact = [one for one in fits if one.name.lower() == name.lower()]
    if len(exact or fits) != 1:
        raise Unknown(
            f"{command.name} knows no --{name}" if not fits else f"--{name} may be {', or '.join('--' + one.name for one in fits)}"
        )
    return (exact or fits)[0]


def _one(command: Command, behind: Sequence[str]) -> str:
    if command.argument is None and behind:
        raise Unknown(f"{command.name} takes nothing behind it")
    if len(behind) > 1:
        raise Unknown(f"{command.name} takes one {command.argument[0] if command.argument else ''}")
    if command.argument is not None and command.argument[2] and not behind:
        raise Unknown(f"{command.name} wants a {command.argument[0]}")
    return behind[0] if behind else ""
