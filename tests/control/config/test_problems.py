"""How a problem is shown: place, line, caret, what was expected; secrets masked, control characters harmless. Takes a second."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from postwright.control.config import load, loads
from postwright.control.config.lines import read
from postwright.control.config.problems import WINDOW, Problem, masked, window
from postwright.control.config.report import Report
from postwright.control.config.suggest import nearest


def test_the_whole_shape() -> None:
    [problem] = loads("log-file x\n<domain *>\n\tmax-smpt-out 20   # all\n</domain>\n", "/etc/x/config").errors
    assert problem.render().splitlines() == [
        "/etc/x/config:3:2: error: unknown directive `max-smpt-out` in <domain>",
        "     max-smpt-out 20   # all",
        "     ^",
        "    did you mean `max-smtp-out`?",
    ]
    [problem] = loads("log-file x\n<domain *>\n\tbounce-after  4days\n</domain>\n", "c").errors
    assert problem.render().splitlines() == [
        "c:3:16: error: bounce-after: `4days` is no time",
        "     bounce-after  4days",
        "                   ^",
        "    expected a time such as 4d12h, 90s or 10m",
        "    units are w d h m s: 4d",
    ]


def test_the_place_within_a_pattern() -> None:
    [problem] = loads("log-file x\nrelay-address /@foo(bar?\\.example$/\n", "c").errors
    assert (problem.line, problem.column) == (2, 20)
    assert problem.render().splitlines()[2].index("^") == 4 + 19


def test_a_long_line_is_a_window_round_the_place() -> None:
    row = "domain-key " + "x" * 6000 + ", a..b, " + "y" * 6000
    [problem] = loads(f"log-file x\n{row}\n", "c", offline=True).errors
    shown, caret = problem.render().splitlines()[1:3]
    assert len(shown) <= WINDOW + 6
    assert shown[caret.index("^") :].startswith("a..b")


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("  password sesame", "  password ***"),
        ("passwort sesame", "passwort ***"),
        ("auth-password se same", "auth-password ***"),
        ("http-api-key abc", "http-api-key ***"),
        ("api-key abc", "api-key ***"),
        ("access-token abc", "access-token ***"),
        ("volume-audit-api-key abc", "volume-audit-api-key ***"),
        ("smtp-server-tls-certificate my.pem sesame", "smtp-server-tls-certificate my.pem ***"),
        ('tls-certificate "my cert.pem" sesame', 'tls-certificate "my cert.pem" ***'),
        ("privacy-policy siphash sesame", "privacy-policy ***"),
        ("password", "password"),
        ("host-name a.example", "host-name a.example"),
    ],
)
def test_secrets_are_masked(line: str, shown: str) -> None:
    assert masked(line) == shown


SECRET = "sesame-7Q"


@pytest.mark.parametrize(
    "text",
    [
        f"<smtp-user u>\npasword {SECRET}\n</smtp-user>\n",
        f"password {SECRET}\n",
        f'<smtp-user u>\npassword "{SECRET}\n</smtp-user>\n',
        f"<smtp-user u>\npassword {SECRET}\0\n</smtp-user>\n",
        f"http-api-key {SECRET}\n",
        f"<transmissions-api>\napi-key {SECRET}\n</transmissions-api>\n",
        f"smtp-server-tls-certificate none.pem {SECRET}\n",
        f"smtp-server-tls-certificate none.pem {SECRET} more\n",
        f'<domain *>\nauth-password "{SECRET}" more\n</domain>\n',
        f"<vault>\nacces-token {SECRET}\n</vault>\n",
    ],
)
@pytest.mark.parametrize("tolerant", [False, True])
def test_no_secret_is_ever_shown(text: str, tolerant: bool) -> None:
    result = loads(text, "config", tolerant=tolerant)
    assert [problem for problem in result.problems if problem.line]
    for problem in result.problems:
        assert SECRET not in problem.render()
        assert SECRET not in repr(problem)


def test_a_message_does_not_repeat_a_line_of_any_length() -> None:
    [problem] = loads(f"log-file x\nlog-rotate {'9' * 12_000}\n", "c").errors
    assert len(problem.render()) < 700


def test_an_error_is_not_hidden_behind_a_warning_of_the_same_line() -> None:
    report = Report(tolerant=True)
    text = read("c", "host-name x y\n", lambda name: False)
    report.at(text, text.lines[0], "unknown word", forgiven=True)
    report.at(text, text.lines[0], "another warning", level="warning")
    report.at(text, text.lines[0], "this is wrong")
    report.at(text, text.lines[0], "and so is this")
    assert [(problem.level, problem.message) for problem in report.finished()] == [("warning", "unknown word"), ("error", "this is wrong")]
    assert report.failed


def test_control_characters_do_not_reach_a_terminal() -> None:
    [problem] = loads("log-file x\nhost-name \x1b[31mred\n", "c\x1b").errors
    assert "\x1b" not in problem.render()
    assert "\u202e" not in Problem("error", "c", 1, 1, "x", "a\u202eb").render()


def test_octets_that_are_no_text_can_be_printed_and_encoded(tmp_path: Path) -> None:
    file = tmp_path / "caf\udce9.conf"
    file.write_bytes(b"log-file x\nhost-name caf\xe9\n<caf\xe9>\ninclude \xe9.conf\n")
    problems = load(file).errors
    assert [(problem.line, problem.column) for problem in problems] == [(2, 14), (3, 5), (4, 9)]
    for problem in problems:
        assert problem.render().encode()
        assert msgspec.json.decode(msgspec.json.encode(problem))["text"].count("?") == 1


def test_problems_without_a_place() -> None:
    assert Problem("note", "", 0, 0, "deprecated: spool").render() == "note: deprecated: spool"
    assert Problem("error", "config", 0, 0, "no such file").render() == "config: error: no such file"
    assert Problem("error", "config", 3, 0, "odd").render() == "config:3: error: odd"


@given(st.text(st.characters(exclude_characters="\n\r"), max_size=300), st.integers(0, 400))
def test_the_caret_is_under_the_column(text: str, column: int) -> None:
    shown, caret = window(text, column)
    stripped = text.rstrip().replace("\t", " ")
    assert len(shown) <= WINDOW + 2
    assert 0 <= caret <= len(shown)
    if 0 < column <= len(stripped):
        assert shown[caret] == stripped[column - 1]


@given(st.text(max_size=60), st.integers(0, 3), st.integers(0, 90))
def test_rendering_never_fails_and_keeps_to_its_lines(text: str, line: int, column: int) -> None:
    rendered = Problem("error", "c", line, column, text, text, text, text).render()
    assert len(rendered.split("\n")) <= 5
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\x1b]", rendered)


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("max-smpt-out", "max-smtp-out"),
        ("421-means-mx-unavailable", "smtp-421-means-mx-unavailable"),
        ("retry-afer", "retry-after"),
        ("zzz", ""),
        ("", ""),
        ("x" * 5000, ""),
    ],
)
def test_the_near_name(word: str, near: str) -> None:
    assert nearest(word, ("max-smtp-out", "retry-after", "smtp-421-means-mx-unavailable", "max-msg-rate")) == near
