"""Directives that send mail to other queues: what is read, and what is refused with its line and what to do."""

from __future__ import annotations

import pytest

from postwright.control.config.loader import loads
from postwright.policy.settings import Rate

HEAD = "host-name a.example\npostmaster p@a.example\nsmtp-listener 127.0.0.1:2626\n"
TWO = "<virtual-mta v>\n</virtual-mta>\n<virtual-mta w>\n</virtual-mta>\n"


def problems(text: str) -> list[tuple[str, int, str]]:
    found = loads(HEAD + text).problems
    return [(one.level, one.line, one.message) for one in found if one.level in ("error", "warning") and one.line]


@pytest.mark.directive("mx", "queue-to", "cold-virtual-mta", "max-cold-virtual-mta-msg", "reroute-to-virtual-mta")
def test_what_is_read() -> None:
    text = (
        "mx-rollup-discovered google.com, yahoodns.net\n"
        "<mx-rollup-list>\n mx *.big.example big.rollup rollup-by-ip\n mx mx1.big.example one.rollup\n</mx-rollup-list>\n"
        "<domain a.example>\n queue-to both\n max-cold-virtual-mta-msg 10/day, 20/day\n</domain>\n"
        "<virtual-mta w>\n</virtual-mta>\n<virtual-mta v>\n cold-virtual-mta w\n</virtual-mta>\n"
    )
    settings = loads(HEAD + text).settings
    assert settings is not None
    rules = [(rule.pattern, rule.queue, rule.by_ip) for rule in settings.mx_rollups]
    assert rules == [("*.big.example", "big.rollup", True), ("mx1.big.example", "one.rollup", False)]
    assert settings.general.mx_rollup_discovered == ("google.com", "yahoodns.net")
    assert settings.vmtas["v"].cold_virtual_mta == ("w",)
    [block] = settings.domains
    assert block.assignments["queue_to"].value == "both"
    assert block.assignments["max_cold_virtual_mta_msg"].value == (Rate(10, 86400.0), Rate(20, 86400.0))


@pytest.mark.parametrize("directive", ["reroute-to-virtual-mta", "backoff-reroute-to-virtual-mta"])
def test_a_circle_is_an_error(directive: str) -> None:
    text = (
        f"<virtual-mta v>\n <domain a.example>\n {directive} w\n </domain>\n</virtual-mta>\n"
        f"<virtual-mta w>\n <domain a.example>\n {directive} v\n </domain>\n</virtual-mta>\n"
    )
    [(level, line, message)] = problems(text)
    assert level == "error"
    assert line == 11
    assert message.startswith("mail for a.example would go round in a circle: ")
    assert problems(text.replace(f"{directive} v", "max-smtp-out 5")) == []


def test_a_pattern_that_rolls_nothing_up_is_told() -> None:
    rule = "<mx-rollup-list>\n mx *.big.example big.rollup{}\n</mx-rollup-list>\n"
    [(level, line, message)] = problems(rule.format(""))
    assert (level, line) == ("warning", 5)
    assert "big.rollup" in message
    assert problems(rule.format(" rollup-by-ip")) == []
    assert problems(rule.format("") + "<domain big.rollup>\n smtp-hosts in.big.example\n</domain>\n") == []
