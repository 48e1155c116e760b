"""Commands that steer: what they ask, what they ask a person first, and their answers in PowerMTA's forms."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from postwright.control.cli import ordering
from postwright.control.cli.main import main
from postwright.control.pmta.forms import written
from postwright.control.pmta.orders import said, waiting
from postwright.engine.frames import Ask, Told
from postwright.engine.orders.asking import Outcome
from postwright.engine.orders.listing import Page, Waiting
from postwright.engine.orders.tally import Tally

ROW = Waiting("0abc", "d/v", "u@d", "me\x1b@s", "j", "e", 1_700_000_000.0, 0.0, 2, 50, "normal", 2048, True)


class Relay:
    """What the commands ask of it."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.ok = True

    def __call__(self, path: object, ask: Ask, timeout: float = 10.0) -> Told:
        self.asked.append((ask.verb, ask.arguments))
        if ask.verb == "order-list":
            return Told(self.ok, ["lines"], msgspec.json.encode(Page([ROW], more=True)))
        body = msgspec.json.encode(Outcome("delete", "dry-run" in ask.arguments, Tally(3, 2, 1, 1024, 4), undo="x"))
        return Told(self.ok, ["Done." if "dry-run" not in ask.arguments else "Would."], body)


@pytest.fixture
def relay(monkeypatch: pytest.MonkeyPatch) -> Relay:
    made = Relay()
    monkeypatch.setattr("postwright.control.cli.asking.ask", made)
    return made


def run(line: str, answer: str = "") -> Result:
    return CliRunner().invoke(main, line.split(), input=answer)


@pytest.mark.parametrize(
    ("line", "verb", "arguments"),
    [
        ("pause queue d/v --for 2h --reason r", "order-pause", {"queue": "d/v", "for": "2h", "reason": "r"}),
        ("pause job j --dry-run", "order-pause", {"job": "j", "dry-run": "yes"}),
        ("resume queue *", "order-resume", {"queue": "*"}),
        ("resu job j", "order-resume", {"job": "j"}),
        ("list --maxitems=5 --pause --jobid=j", "order-list", {"maxitems": "5", "paused": "yes", "job": "j"}),
        ("delete --jobId=j --older-than=1d --dsn", "order-delete", {"job": "j", "older-than": "1d", "dsn": "yes"}),
        ("schedule * --retry-recipients", "order-schedule", {"queue": "*", "retry-recipients": "yes"}),
        ("set priority --envId=e 7", "order-priority", {"envid": "e", "priority": "7"}),
        ("set queue --mode=backoff d --for=1h", "set-mode", {"queue": "d", "mode": "backoff", "for": "1h"}),
        ("disable source 192.0.2.1 d --reenable-after=never", "disable-source", {"source": "192.0.2.1", "queue": "d", "after": "never"}),
        ("reset count", "order-reset", {}),
        ("reset status", "order-reset", {}),
        ("rotate acct", "rotate", {"what": "acct"}),
        ("rot log", "rotate", {"what": "log"}),
        ("clear secrets", "order-secrets", {}),
        ("show audit --maxitems=2", "audit", {"maxitems": "2"}),
        ("show orders", "order-standing", {}),
    ],
)
def test_what_a_command_asks_the_relay(relay: Relay, line: str, verb: str, arguments: dict[str, str]) -> None:
    result = run(line)
    assert result.exit_code == 0, result.output
    assert relay.asked == [(verb, arguments)]


def test_what_was_refused_is_told_by_the_status(relay: Relay) -> None:
    relay.ok = False
    assert run("pause queue *").exit_code == 1


@pytest.mark.parametrize(
    ("terminal", "more", "answer", "asked", "status"),
    [
        (True, "", "y\n", ["dry", "done"], 0),
        (True, "", "n\n", ["dry"], 1),
        (True, " --yes", "", ["done"], 0),
        (True, " --dry-run", "", ["dry"], 0),
        (False, "", "", ["done"], 0),
    ],
)
def test_what_cannot_be_undone_is_asked_on_a_terminal(
    relay: Relay, monkeypatch: pytest.MonkeyPatch, terminal: bool, more: str, answer: str, asked: list[str], status: int
) -> None:
    class Terminal:
        def __getattr__(self, name: str) -> Any:
            return lambda *arguments: terminal

    class System:
        stdin = stdout = Terminal()
        exit = staticmethod(ordering.sys.exit)

    monkeypatch.setattr(ordering, "sys", System)
    result = run(f"delete --jobId=j{more}", answer)
    assert result.exit_code == status, result.output
    assert ["dry" if "dry-run" in arguments else "done" for _, arguments in relay.asked] == asked


def test_the_forms_of_an_order() -> None:
    told = Told(True, ["1 deleted."], msgspec.json.encode(Outcome("delete", tally=Tally(3, 2, 1, 1024, 4), undo="x")))
    tree = json.loads(written(said(told), "json"))
    assert tree["status"] == "success"
    assert tree["data"] == {
        "text": "1 deleted.", "dryRun": False, "rcp": 3, "msg": 2, "queues": 1, "kb": 1.0, "inFlight": 4, "undo": "x",
    }  # fmt: skip
    assert 'rcp="3"' in written(said(told), "dom")
    refused = json.loads(written(said(Told(False, ["no"])), "json"))
    assert (refused["status"] == "success", "no" in refused["message"]) == (False, True)
    assert written(said(Told(True, ["as it is"], b"3")), "text") == "as it is\n"


def test_the_forms_of_a_list() -> None:
    told = Told(True, ["one line"], msgspec.json.encode(Page([ROW], more=True)))
    [row] = json.loads(written(waiting(told), "json"))["data"]["recipient"]
    assert (row["rcpt"], row["jobId"], row["kb"], row["attempts"], row["paused"]) == ("u@d", "j", 2.0, 2, True)
    assert "<recipient>" in written(waiting(told), "xml")
    assert "\x1b" not in written(waiting(told), "dom") + written(waiting(told), "xml") + written(waiting(told), "json")
    assert not waiting(Told(False, ["no relay"])).ok


@pytest.mark.parametrize("option", ["--rcpt=", "--orig= ", "--jobId=", "--envId=", "--queue=", "--older-than="])
@pytest.mark.parametrize("words", [["delete", "--yes", "--queue=d/v"], ["set", "priority", "90", "--queue=d/v"]])
def test_who_names_nothing_does_not_mean_all(relay: Relay, words: list[str], option: str) -> None:
    result = CliRunner().invoke(main, [*words, option])
    assert result.exit_code == 2, result.output
    assert not relay.asked


def test_test_config_says_nothing_of_a_good_one_and_the_place_of_a_mistake(tmp_path: Any) -> None:
    file = tmp_path / "relay.conf"
    file.write_text("host-name relay.example\nno-such-thing yes\n")
    result = CliRunner().invoke(main, ["test", "config", str(file), "--state-dir", str(tmp_path)])
    assert result.exit_code == 2
    assert result.output.startswith(f"Error in line 2 of {file}: ")
