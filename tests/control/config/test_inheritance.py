"""How settings are found (powermta.md 1.5), asked through the language: domains, virtual MTAs, pools, sources. Takes milliseconds."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import pytest

from postwright.policy.resolve import Resolved
from postwright.policy.settings import DomainSettings, Rate, Settings

Good = Callable[..., Settings]


def block(tag: str, *lines: str) -> str:
    return f"<{tag}>\n" + "\n".join(lines) + f"\n</{tag.split()[0]}>\n"


def queue(settings: Settings, name: str) -> DomainSettings:
    domain, _, vmta = name.partition("/")
    return Resolved(settings).queue(domain, vmta or "{default}")


DOMAINS = (
    block("domain *", "max-smtp-out 1", "retry-after 1m", "bounce-after 1d", "max-msg-per-connection 1"),
    block("domain [*.]b.example", "max-smtp-out 2", "retry-after 2m", "bounce-after 2d"),
    block("domain *.b.example", "max-smtp-out 3", "retry-after 3m"),
    block("domain a.b.example", "max-smtp-out 4"),
)


@pytest.mark.parametrize("order", list(permutations(range(4)))[::5])
def test_the_best_match_wins_directive_by_directive_whatever_the_order(good: Good, order: tuple[int, ...]) -> None:
    settings = good("".join(DOMAINS[number] for number in order))
    exact = queue(settings, "a.b.example")
    assert (exact.max_smtp_out, exact.retry_after, exact.bounce_after, exact.max_msg_per_connection) == (4, (180.0,), 172800.0, 1)
    assert queue(settings, "b.example").max_smtp_out == 2
    assert queue(settings, "x.y.b.example").max_smtp_out == 3
    assert queue(settings, "b.example.net").max_smtp_out == 1


def test_a_virtual_mta_lies_over_the_world_and_a_switch_turns_it_round(good: Good) -> None:
    text = block("domain gmail.com", "max-smtp-out 7", "retry-after 7m") + block(
        "virtual-mta m", *block("domain *", "max-smtp-out 2").splitlines()
    )
    settings = good(text)
    assert (queue(settings, "gmail.com/m").max_smtp_out, queue(settings, "gmail.com/m").retry_after) == (2, (420.0,))
    assert queue(settings, "gmail.com").max_smtp_out == 7
    assert queue(good("vmta-domain-precedence domain\n" + text), "gmail.com/m").max_smtp_out == 7


def test_a_pool_stands_between(good: Good) -> None:
    settings = good(
        block("domain *", "max-smtp-out 1", "retry-after 1m", "bounce-after 1d")
        + "<virtual-mta m>\n<domain *>\nmax-smtp-out 3\n</domain>\n</virtual-mta>\n"
        + "<virtual-mta-pool P>\nvirtual-mta M\n<domain *>\nmax-smtp-out 2\nretry-after 2m\n</domain>\n</virtual-mta-pool>\n"
    )
    found = queue(settings, "x.example/m")
    assert (found.max_smtp_out, found.retry_after, found.bounce_after) == (3, (120.0,), 86400.0)
    assert settings.vmtas["m"].pools == ("P",)


def test_backoff_rates_follow_the_normal_ones(good: Good) -> None:
    settings = good(block("domain *", "max-msg-rate 100/h") + block("domain a.example", "backoff-max-msg-rate 1/m"))
    assert queue(settings, "b.example").backoff_max_msg_rate == Rate(100, 3600.0)
    assert queue(settings, "a.example").backoff_max_msg_rate == Rate(1, 60.0)


def test_an_empty_string_clears_what_was_inherited(good: Good) -> None:
    settings = good(block("domain *", "queue-to all.example") + block("domain a.example", 'queue-to ""'))
    assert (queue(settings, "b.example").queue_to, queue(settings, "a.example").queue_to) == ("all.example", "")


def test_address_literals_go_by_network(good: Good) -> None:
    settings = good(block("domain [10/8]", "max-smtp-out 5") + block("domain [10.1/16]", "max-smtp-out 6"))
    assert [queue(settings, f"[{address}]").max_smtp_out for address in ("10.9.9.9", "10.1.2.3", "192.0.2.1")] == [5, 6, 20]


def test_sources_from_wide_to_narrow_then_the_listener_then_the_login(good: Good) -> None:
    settings = good(
        block("source 10.1/16", "always-allow-relaying yes", "max-message-size 3m")
        + block("source 0/0", "max-message-size 1m", "allow-starttls yes", "require-auth yes", "jobid-header X-J")
        + block("source 10/8", "require-auth no", "max-message-size 2m")
        + block("source {in}", "max-message-size 4m", "allow-chunking no")
        + block("source {auth}", "process-x-job yes", "allow-chunking yes")
        + block("source {mass}", "process-x-job no", "allow-mailmerge yes")
        + block("smtp-user Anna", "password p", "source {mass}")
        + block("smtp-user Bert", "password p")
    )
    resolved = Resolved(settings)
    world, ten, inner = (resolved.source(peer) for peer in ("192.0.2.1", "10.2.0.1", "10.1.2.3"))
    assert (world.max_message_size, world.require_auth, world.always_allow_relaying) == (1 << 20, True, None)
    assert (ten.max_message_size, ten.require_auth, ten.allow_starttls) == (2 << 20, False, True)
    assert (inner.max_message_size, inner.always_allow_relaying, inner.require_auth) == (3 << 20, True, False)
    listener = resolved.source("10.1.2.3", "{IN}")
    assert (listener.max_message_size, listener.allow_chunking, listener.always_allow_relaying) == (4 << 20, False, True)
    anna, bert = resolved.source("10.1.2.3", "{in}", "anna"), resolved.source("10.1.2.3", "{in}", "BERT")
    assert (anna.process_x_job, anna.allow_mailmerge, anna.allow_chunking) == (False, True, True)
    assert (bert.process_x_job, bert.allow_mailmerge, bert.max_message_size) == (True, False, 4 << 20)
    assert resolved.source("2001:db8::1").max_message_size is None
    assert resolved.named_source("{pickup}").jobid_header == ""


def test_local_is_every_name_of_this_host(good: Good) -> None:
    settings = good("relay-domain local\n" + block("domain local", "max-smtp-out 5") + "host-name A.example\nhost-name b.example\n")
    assert settings.relay_domains == ("a.example", "b.example")
    assert [queue(settings, name).max_smtp_out for name in ("a.example", "b.example", "c.example")] == [5, 5, 20]


def test_everything_that_won_has_its_line(good: Good) -> None:
    settings = good(block("domain *", "max-smtp-out 1", "retry-after 1m") + block("domain a.example", "max-smtp-out 2"))
    rows = {row.directive: (row.value, str(row.origin)) for row in Resolved(settings).explain_queue("a.example", "{default}")}
    assert rows["max-smtp-out"] == (2, "config:6")
    assert rows["retry-after"] == ((60.0,), "config:3")
    assert rows["bounce-after"] == (388800.0, "default")
