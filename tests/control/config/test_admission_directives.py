"""Directives of admission as an operator writes them: what they come to, and what is refused."""

from __future__ import annotations

import pytest

from postwright.control.config.loader import loads
from postwright.policy.resolve import Resolved
from postwright.policy.settings import Rate, Settings

WRITTEN = """
host-name relay.example
total-max-smtp-in 50
smtp-await-slot yes
max-memory-usage-percent 80
<smtp-listener 127.0.0.1:2525>
    await-slot yes
    proxy-protocol-from 10.1.2.0/24, 192.0.2.1
</smtp-listener>
<source 192.0.2.0/24>
    source-group Gold
    max-connect-rate-in 30/m
    max-message-rate-in 100/h
    max-rcpt-rate-in 1000/h
    early-talker-delay 2s
    max-smtp-errors 5
    max-junk-commands unlimited
    min-data-rate 1k
    smtp-message-timeout never
    allow-xclient yes
</source>
<source-group Gold>
    max-smtp-in 20
    reserved-smtp-in 10
</source-group>
"""


def settings_of(text: str) -> Settings:
    result = loads(text)
    assert result.settings is not None, [problem.message for problem in result.problems]
    return result.settings


def problems_of(text: str) -> list[str]:
    return [problem.message for problem in loads(text).problems]


def test_what_is_written_is_what_holds() -> None:
    settings = settings_of(WRITTEN)
    general, (listener,), group = settings.general, settings.listeners, settings.source_groups["gold"]
    assert (general.total_max_smtp_in, general.smtp_await_slot, general.max_memory_usage_percent) == (50, True, 80)
    assert (listener.await_slot, listener.proxy_protocol_from) == (True, ("10.1.2.0/24", "192.0.2.1/32"))
    assert (group.max_smtp_in, group.reserved_smtp_in) == (20, 10)
    source = Resolved(settings).source("192.0.2.9")
    assert source.source_group == "Gold"
    rates = source.max_connect_rate_in, source.max_message_rate_in, source.max_rcpt_rate_in
    assert rates == (Rate(30, 60.0), Rate(100, 3600.0), Rate(1000, 3600.0))
    assert (source.early_talker_delay, source.max_smtp_errors, source.max_junk_commands) == (2.0, 5, None)
    assert (source.min_data_rate, source.smtp_message_timeout, source.allow_xclient) == (1024, None, True)


def test_and_nothing_of_it_waits_for_a_later_version() -> None:
    assert not [message for message in problems_of(WRITTEN) if "not yet" in message]


def test_a_group_that_there_is_not() -> None:
    assert any("Gold" in message for message in problems_of(WRITTEN.replace("<source-group Gold>", "<source-group Silver>")))


@pytest.mark.parametrize("network", ["0/0", "::/0", "0.0.0.0/1", "10.1.2.0/24, 0/0"])
def test_everybody_is_no_proxy(network: str) -> None:
    text = f"<smtp-listener 127.0.0.1:2525>\n proxy-protocol-from {network}\n</smtp-listener>\n"
    assert any("everybody in" in message for message in problems_of(text))


@pytest.mark.parametrize("line", ["max-connect-rate-in 10", "early-talker-delay soon", "max-smtp-errors -1", "allow-xclient 10.0.0.1"])
def test_what_is_refused(line: str) -> None:
    assert problems_of(f"<source 192.0.2.0/24>\n {line}\n</source>\n")


def test_more_kept_than_there_is_is_told() -> None:
    text = WRITTEN.replace("reserved-smtp-in 10", "reserved-smtp-in 60")
    assert any("reserved-smtp-in" in message and "50" in message for message in problems_of(text))
