"""The table of commands: a line of words is understood as the command line would, whole or shortened."""

from __future__ import annotations

import json
import shlex

import msgspec
import pytest

from postwright.control.pmta.commands import SHOW, Unknown, answer_of, understood
from postwright.control.pmta.forms import written
from postwright.engine.frames import Told
from postwright.engine.views.sums import Sum, SumsView


@pytest.mark.parametrize(
    ("line", "name", "arguments"),
    [
        ("show status", "show status", {}),
        ("sh st", "show status", {}),
        ("sh top", "show topqueues", {"sort": "rcpt"}),
        ("show top --sort=size", "show topqueues", {"sort": "size"}),
        ("show topq --maxitems=5 *.com/vm1", "show topqueues", {"sort": "rcpt", "maxitems": "5", "queue": "*.com/vm1"}),
        ("show queue --sort size --errors", "show queues", {"sort": "size", "errors": "yes"}),
        ("show queues --max 3 --pau", "show queues", {"maxitems": "3", "paused": "yes"}),
        ("show queues --mode=backoff", "show queues", {"mode": "backoff"}),
        ("SHOW DOM --vmta=vm1 g*", "show domains", {"vmta": "vm1", "domain": "g*"}),
        ("show jobs", "show jobs", {"maxitems": "10000"}),
        ("sh dis s */vm1", "show disabled sources", {"queue": "*/vm1"}),
        ("show vmta-settings vm1", "show vmta-settings", {"vmta": "vm1"}),
        ("show vmtas --maxitems=2", "show vmtas", {"maxitems": "2"}),
    ],
)
def test_a_line_of_words(line: str, name: str, arguments: dict[str, str]) -> None:
    command, given = understood(line.split())
    assert (command.name, given) == (name, arguments)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("", "unknown command"),
        ("frobnicate", "unknown command: frobnicate"),
        ("show t", "show topqueues, or show topdomains"),
        ("show queues --colour=red", "knows no --colour"),
        ("show queues --mode=fast", "normal, backoff"),
        ("show queues --maxitems", "wants a value"),
        ("show queues --m 3", "--mode, or --maxitems"),
        ("show queues a b", "takes one"),
        ("show status a", "takes nothing"),
        ("show settings", "show settings wants a DOMAIN[/VMTA]"),
    ],
)
def test_what_is_not_understood_is_told(line: str, told: str) -> None:
    with pytest.raises(Unknown) as error:
        understood(line.split())
    assert told in str(error.value)


def test_every_name_and_abbreviation_leads_to_one_command() -> None:
    for command in SHOW:
        found, arguments = understood(shlex.split(command.example))
        assert found is command
        assert command.argument is None or not command.argument[2] or command.argument[1] in arguments


def test_a_good_answer_and_a_bad_one() -> None:
    (jobs,) = [command for command in SHOW if command.name == "show jobs"]
    body = msgspec.json.encode(SumsView(1, 3, [Sum("j1", 3, 2048)]))
    good = answer_of(jobs, Told(ok=True, lines=["1 of 2 shards do not answer"], body=body))
    assert good.notes == ("1 of 2 shards do not answer",)
    assert json.loads(written(good, "json"))["data"]["job"] == [{"id": "j1", "rcp": 3, "kb": 2.0, "paused": False}]
    bad = answer_of(jobs, Told(ok=False, lines=["no shard answers"]))
    assert (bad.ok, bad.text) == (False, ("no shard answers",))


def test_commands_that_need_no_relay_answer_at_once() -> None:
    for command in SHOW:
        if not command.verb:
            assert command.answer(b"").text
