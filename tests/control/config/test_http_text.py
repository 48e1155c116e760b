"""The monitor's directives as text: what an operator is warned of."""

from __future__ import annotations

import pytest

from postwright.control.config import loads

ALWAYS = "smtp-listener 192.0.2.1:25\nlog-file log\npostmaster a@b.example\n"


def problems(text: str) -> list[tuple[str, int, str]]:
    result = loads(ALWAYS + text, "config", offline=True)
    return [(problem.level, problem.line, problem.message) for problem in result.problems]


@pytest.mark.directive("http-access")
@pytest.mark.parametrize(
    ("row", "right"),
    [("0/0 admin", "admin"), ("::/0 operator", "operator"), ("0/0 monitor", ""), ("192.0.2.0/24 admin", ""), ("0/0 none", "")],
)
def test_the_world_should_not_steer(row: str, right: str) -> None:
    message = f"http-access: the whole world may steer this relay as {right}"
    assert problems(f"http-access 127.0.0.1 admin\nhttp-access {row}\n") == ([("warning", 5, message)] if right else [])
    assert problems(f"http-access {row}\nhttp-mgmt-port 0\n") == []


def test_a_line_that_is_wrong_is_told_alone() -> None:
    told = problems("http-access nowhere admin\nhttp-access 0/0 admin\n")
    assert [(level, line) for level, line, _ in told] == [("error", 4), ("warning", 5)]


@pytest.mark.directive("http-tls-allow-tlsv1.2", "http-tls-allow-tlsv1.3")
def test_some_version_of_tls_is_left() -> None:
    message = "the monitor has no version of TLS left, and speaks none"
    assert problems("http-tls-allow-tlsv1.2 no\nhttp-tls-allow-tlsv1.3 no\n") == [("warning", 5, message)]
    assert problems("http-tls-allow-tlsv1.2 no\n") == []


@pytest.mark.directive("http-api-key")
@pytest.mark.parametrize("key", ["short", "a" * 129, "a" * 31 + "-"])
def test_a_key_has_a_form(key: str) -> None:
    [(level, line, _)] = problems(f"http-api-key {key}\n")
    assert (level, line) == ("error", 4)
