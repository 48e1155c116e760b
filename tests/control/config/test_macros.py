"""Domain macros (powermta.md 1.3). Takes milliseconds."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

import pytest

from postwright.policy.resolve import Resolved
from postwright.policy.settings import Settings

Good = Callable[..., Settings]
Found = Callable[..., list[tuple[str, int, str]]]


def patterns(settings: Settings) -> list[str]:
    return [block.pattern for block in settings.domains]


@pytest.mark.directive("domain-macro")
def test_cross_products_nesting_and_use_above_the_definition(good: Good) -> None:
    text = "<domain [*.]$name.$top>\n</domain>\ndomain-macro Name a, $more\ndomain-macro more b\ndomain-macro top com, co.uk\n"
    assert patterns(good(text)) == ["[*.]a.com", "[*.]a.co.uk", "[*.]b.com", "[*.]b.co.uk"]


def test_macros_in_relay_domains_and_keys(good: Good) -> None:
    settings = good("domain-macro d a.example, B.example\nrelay-domain *.$d\ndomain-key s, $d, k.pem\n")
    assert settings.relay_domains == ("*.a.example", "*.b.example")
    assert [(key.domain, key.origin.line) for key in settings.domain_keys] == [("a.example", 3), ("b.example", 3)]
    assert settings.macros == {"d": ("a.example", "b.example")}


@pytest.mark.directive("domain-macro")
def test_a_domain_by_name_wins_over_one_by_macro_whatever_the_order(good: Good) -> None:
    by_name = "<domain aol.com>\nmax-smtp-out 1\n</domain>\n"
    by_macro = "<domain aol.$com>\nmax-smtp-out 2\nmax-msg-per-connection 9\n</domain>\n"
    for text in (by_name + by_macro, by_macro + by_name):
        queue = Resolved(good("domain-macro com com, de\n" + text)).queue("aol.com", "{default}")
        assert (queue.max_smtp_out, queue.max_msg_per_connection) == (1, 9)


def test_a_domain_of_two_macros_takes_the_later_line(good: Good) -> None:
    settings = good(
        "domain-macro a x.example\ndomain-macro b x.example\n<domain $a>\nmax-smtp-out 1\n</domain>\n"
        "<domain $b>\nmax-smtp-out 2\n</domain>\n"
    )
    assert Resolved(settings).queue("x.example", "{default}").max_smtp_out == 2


def test_a_loop_is_told_once_with_its_way(found: Found) -> None:
    text = "domain-macro yahoo $ymail, yahoo.com\ndomain-macro ymail $yahoo, ymail.com\n<domain $yahoo>\nmax-smtp-out 5\n</domain>\n"
    assert found(text) == [("error", 1, "the macro goes round in a circle: $yahoo → $ymail → $yahoo")]
    assert found("domain-macro a x.$a\n") == [("error", 1, "the macro goes round in a circle: $a → $a")]


def test_what_cannot_be_expanded(found: Found) -> None:
    assert found("<domain $none>\n</domain>\n") == [("error", 1, "there is no domain-macro `none`")]
    assert found("domain-macro a\n\n<domain $a>\n</domain>\n") == [("error", 1, "domain-macro: the list is missing")]
    [(_, line, message)] = found("domain-macro a x, b..c\n<domain $a>\n</domain>\n")
    assert (line, message) == (2, "`$a` stands for `b..c`: `b..c` is no pattern of domains")


def test_an_address_is_never_at_a_reserved_name(found: Found) -> None:
    message = "relay-domain: no address is at a reserved name"
    assert found("relay-domain {bounce}\n") == [("error", 1, message)]
    assert found("domain-macro m a.example, {bounce}\nrelay-domain $m\n", tolerant=True) == [("error", 2, message)]


def test_a_list_does_not_swallow_a_misspelt_directive(found: Found, good: Good) -> None:
    text = "domain-macro m a.example,\nmax-smpt-out 20\n<domain $m>\n</domain>\n"
    assert (("error", 1, "domain-macro: a comma is missing after `max-smpt-out`")) in found(text)
    assert good("domain-macro m a.example , b.example,\n<domain $m>\n</domain>\n").macros == {"m": ("a.example", "b.example")}


def test_products_are_bounded(found: Found) -> None:
    words = ",".join(f"a{n}" for n in range(3000))
    [(_, line, message)] = found(f"domain-macro a {words}\n<domain $a.$a.$a>\n</domain>\n")
    assert line == 2
    assert "more than 4000000 names" in message


def test_macros_within_macros_are_bounded(found: Found, good: Good) -> None:
    def chain(length: int) -> str:
        return (
            "".join(f"domain-macro m{n} $m{n + 1}\n" for n in range(length))
            + f"domain-macro m{length} x.example\n<domain $m0>\n</domain>\n"
        )

    assert patterns(good(chain(90))) == ["x.example"]
    assert {message.partition(", ")[2] for _, _, message in found(chain(300))} == {"or macros more than 100 deep"}


def test_many_names_take_time_in_their_number(good: Good) -> None:
    def seconds(names: int) -> float:
        text = "domain-macro m " + ",".join(f"d{n}.example" for n in range(names)) + "\n<domain $m>\nmax-smtp-out 3\n</domain>\n"
        gc.collect()
        gc.disable()  # what it costs is a matter of all that other tests have left
        try:
            began = time.process_time()
            settings = good(text)
            taken = time.process_time() - began
        finally:
            gc.enable()
        assert len(settings.domains) == names
        return taken

    few, many = min(seconds(5000) for _ in range(3)), min(seconds(100_000) for _ in range(2))
    assert many < 20 * max(few, 0.005) * 8  # twenty times as many; a quadratic one would be at four hundred


def test_every_name_of_a_macro_shares_one_scope(good: Good) -> None:
    settings = good("domain-macro m a.example, b.example\n<domain $m>\nmax-smtp-out 3\n</domain>\n")
    assert settings.domains[0].assignments is settings.domains[1].assignments
