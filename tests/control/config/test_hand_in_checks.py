"""Ways in without SMTP that could not work as written."""

from __future__ import annotations

from pathlib import Path

import pytest

from postwright.control.config import loads

ALWAYS = "smtp-listener 192.0.2.1:25\nlog-file log\npostmaster a@b.example\n"
LISTENER = "<transmissions-api-listener 127.0.0.1:8443>\n</transmissions-api-listener>\n"


@pytest.mark.directive("pickup", "transmissions-api-listener")
@pytest.mark.parametrize(
    ("lines", "problems"),
    [
        ("pickup in bad\n", []),
        ("pickup in ./in/\n", ["error: pickup: what is refused would be read again and again"]),
        ("pickup in in/bad\n", []),
        (LISTENER, ["warning: nobody has a key for this listener"]),
        (LISTENER + f"<transmissions-api>\napi-key {'k' * 32}\n</transmissions-api>\n", []),
    ],
)
def test_what_is_told(tmp_path: Path, lines: str, problems: list[str]) -> None:
    result = loads(ALWAYS + lines, "config", offline=True, state_dir=tmp_path)
    assert [f"{problem.level}: {problem.message}" for problem in result.problems] == problems
    assert (result.settings is None) == any(problem.startswith("error") for problem in problems)
