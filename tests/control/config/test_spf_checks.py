"""check-spf-outbound wants an address that is known before a connection is made."""

from __future__ import annotations

import pytest

from postwright.control.config import loads

BASE = "host-name relay.example\nlog-file relay.log\n"
HOST = "smtp-source-host 192.0.2.1 a.relay.example\n"
ASKED = "<domain *>\n check-spf-outbound {}\n</domain>\n"


def vmta(name: str, inside: str = "") -> str:
    return f"<virtual-mta {name}>\n{inside}</virtual-mta>\n"


@pytest.mark.directive("check-spf-outbound")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        (ASKED.format("yes"), "there is no smtp-source-host"),
        (vmta("a", HOST) + vmta("b") + ASKED.format("yes"), "virtual MTA 'b' has no smtp-source-host"),
        (vmta("b", ASKED.format("yes")), "virtual MTA 'b' has no smtp-source-host"),
        (HOST + vmta("b") + ASKED.format("yes"), ""),
        (vmta("a", HOST) + ASKED.format("yes"), ""),
        (ASKED.format("no"), ""),
    ],
)
def test_the_line_is_told(text: str, said: str) -> None:
    problems = [problem for problem in loads(BASE + text).problems if "check-spf-outbound" in problem.message]
    assert [problem.level for problem in problems] == (["warning"] if said else [])
    assert all(said in problem.message for problem in problems)
    assert all((BASE + text).splitlines()[problem.line - 1].startswith(" check-spf-outbound") for problem in problems)
