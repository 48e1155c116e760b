"""Templates of failure reports as text: macros that are known, and slips in them with their place."""

from __future__ import annotations

import pytest
from tests.control.config.conftest import Found, Good


@pytest.mark.directive("dsn-failed-from-template", "dsn-failed-subject-template", "dsn-failed-body-template-from")
def test_templates(good: Good) -> None:
    text = 'dsn-failed-from-template "Mail ${hostname}" <b@${hostname}>\n'.replace('"', "")
    text += "dsn-failed-subject-template ${recipient}: ${response} (${timeQueued})\ndsn-failed-body-template-from words.txt\n"
    general = good(text).general
    assert general.dsn_failed_from_template == "Mail ${hostname} <b@${hostname}>"
    assert general.dsn_failed_subject_template == "${recipient}: ${response} (${timeQueued})"
    assert general.dsn_failed_body_template_from.endswith("words.txt")


@pytest.mark.parametrize("line", ["dsn-failed-subject-template to ${recipent}", "dsn-failed-from-template ${Hostname} <a@b.example>"])
def test_a_macro_that_stands_for_nothing(found: Found, line: str) -> None:
    [(level, number, message)] = found(line + "\n")
    assert (level, number) == ("error", 1)
    assert "stands for nothing" in message
