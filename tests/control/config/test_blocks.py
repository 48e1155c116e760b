"""Blocks (powermta.md 1.2): heads, nesting, closing, merging; what is unknown, misplaced or never closed. Takes milliseconds."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest

from postwright.policy.settings import (
    AddressList,
    CategoryRule,
    EmailPatterns,
    Origin,
    ProcessorSettings,
    RewriteRule,
    RollupRule,
    Settings,
    SubmissionResult,
    SubmissionRule,
)

Good = Callable[..., Settings]
Found = Callable[..., list[tuple[str, int, str]]]


def test_heads_with_blanks_quotes_and_comments(good: Good) -> None:
    settings = good(
        "<domain   x.example >  # one\nmax-smtp-out 1\n</domain x.example>\n"
        '<acct-file "|/usr/bin/php x.php --logfile=y z">\n</acct-file>\n'
        "<acct-file |/bin/cat -u>\n</acct-file>\n"
        "\t<mx-rollup-list >\n mx *.x.example x.rollup\n</mx-rollup-list>\n"
        "<virtual-mta my.mta-1>\n</virtual-mta>\n"
    )
    assert settings.domains[0].pattern == "x.example"
    assert [acct.path for acct in settings.acct_files] == ["|/usr/bin/php x.php --logfile=y z", "|/bin/cat -u"]
    assert settings.mx_rollups == (RollupRule("*.x.example", "x.rollup", False, Origin("config", 9)),)
    assert settings.vmtas["my.mta-1"].name == "my.mta-1"


def test_repeated_blocks_merge_and_the_later_line_wins(good: Good) -> None:
    settings = good(
        "<source 0/0>\nrequire-auth yes\nallow-auth no\n</source>\n<source 0.0.0.0/0>\nallow-auth yes\n</source>\n"
        "<domain x.example>\nmax-smtp-out 1\nretry-after 1m\n</domain>\n<domain X.example>\nmax-smtp-out 2\nmax-smtp-out 3\n</domain>\n"
        "<virtual-mta a>\nsmtp-source-host 192.0.2.1 one.example\n</virtual-mta>\n"
        "<virtual-mta A>\nsmtp-source-host 192.0.2.2 two.example\n</virtual-mta>\n"
        "<smtp-user u>\npassword one\n</smtp-user>\n<smtp-user U>\npassword two\n</smtp-user>\n"
        "<acct-file a.csv>\nrecord-fields d *\n</acct-file>\n<acct-file a.csv>\nrecord-fields b rcpt\nmax-size 2m\n</acct-file>\n"
    )
    [source] = settings.sources
    assert {name: (a.value, a.origin.line) for name, a in source.assignments.items()} == {
        "require_auth": (True, 2),
        "allow_auth": (True, 6),
    }
    [domain] = settings.domains
    assert {name: a.value for name, a in domain.assignments.items()} == {"max_smtp_out": 3, "retry_after": (60.0,)}
    assert [host.name for host in settings.vmtas["a"].smtp_source_host] == ["one.example", "two.example"]
    assert settings.vmtas["a"].name == "a"
    assert settings.users["u"].password == "two"
    assert settings.acct_files[0].record_fields == {"d": ("*",), "b": ("rcpt",)}
    assert settings.acct_files[0].max_size == 2 << 20


def test_nested_pattern_lists_and_catch_all(good: Good) -> None:
    settings = good(
        "<pattern-list streams>\n"
        "mail-from /@news\\./ virtual-mta=a, recipient-priority=7\n"
        "header X-Kind /bulk/\n"
        "<pattern-list>\n  rcpt-to /@x\\.example$/ virtual-mta=b\n  * virtual-mta=a\n</pattern-list>\n"
        "</pattern-list>\n"
        "<virtual-mta a>\n</virtual-mta>\n<virtual-mta b>\n</virtual-mta>\n"
    )
    assert settings.pattern_lists["streams"] == (
        SubmissionRule("mail-from", "/@news\\./", SubmissionResult("a", 7), origin=Origin("config", 2)),
        SubmissionRule(
            "header",
            "/bulk/",
            header="x-kind",
            nested=(
                SubmissionRule("rcpt-to", "/@x\\.example$/", SubmissionResult("b"), origin=Origin("config", 5)),
                SubmissionRule("*", "", SubmissionResult("a"), origin=Origin("config", 6)),
            ),
            origin=Origin("config", 3),
        ),
    )


def test_a_pattern_without_a_result_and_a_list_without_a_pattern(found: Found) -> None:
    assert found("<pattern-list a>\nmail-from /x/\nmail-from /y/\n</pattern-list>\n") == [
        ("error", 2, "mail-from: a result is missing"),
        ("error", 3, "mail-from: a result is missing"),
    ]
    text = "<pattern-list a>\n<pattern-list>\n* virtual-mta={default}\n</pattern-list>\n</pattern-list>\n"
    assert found(text) == [("error", 2, "a nested <pattern-list> belongs behind a pattern without a result")]


def test_processors_lists_and_services(good: Good) -> None:
    settings = good(
        "<bounce-processor>\nforward-unmatched-to a@b.example\n"
        "<address-list>\naddress bounce\naddress /^b-/\naddress-file list.txt\ndomain $d\n</address-list>\n"
        "<email-patterns>\nlog-match-info yes\n</email-patterns>\n</bounce-processor>\n"
        "<address-list unwanted>\ndomain x.example\n</address-list>\n"
        "<rewrite-list r>\nmail-from a@b.example c@d.example\nfrom-domain *.x.example y.example\n</rewrite-list>\n"
        "<bounce-category-patterns>\n/no such user/ bad-mailbox\n// other\n</bounce-category-patterns>\n"
        "<source-group g>\nmax-smtp-in 5\n</source-group>\n"
        "<proxy p>\nserver 192.0.2.9:3128\nclient 198.51.100.1 mta.example\n</proxy>\n"
        "<vault>\nserver-url https://vault.example\naccess-token sesame\n</vault>\n"
        f"<transmissions-api>\napi-key {'k' * 32}\n</transmissions-api>\n"
        "<transmissions-api-listener 127.0.0.1:8025>\ntls-ciphers HIGH\n</transmissions-api-listener>\n"
        "<dns>\nprecached-max-domains 7\n</dns>\n<aliases>\nalias a b@c.example\n</aliases>\nalias d e,f\n"
        "<domain-key-list l>\ndomain-key s, $d, k.pem\n</domain-key-list>\n"
        "domain-macro d one.example, two.example\n"
    )
    processor = settings.bounce_processor
    assert isinstance(processor, ProcessorSettings)
    assert processor.forward_unmatched_to == ("a@b.example",)
    assert processor.addresses == AddressList(("bounce", "/^b-/"), ("one.example", "two.example"), (os.path.abspath("list.txt"),))
    assert processor.patterns == EmailPatterns(log_match_info=True)
    assert settings.address_lists["unwanted"].domains == ("x.example",)
    assert [(rule.field, rule.target) for rule in settings.rewrite_lists["r"]] == [
        ("mail-from", "c@d.example"),
        ("from-domain", "y.example"),
    ]
    assert isinstance(settings.rewrite_lists["r"][0], RewriteRule)
    assert settings.bounce_categories == (
        CategoryRule("/no such user/", "bad-mailbox", Origin("config", 21)),
        CategoryRule("//", "other", Origin("config", 22)),
    )
    assert settings.source_groups["g"].max_smtp_in == 5
    assert settings.proxies["p"].server == ("192.0.2.9", 3128)
    assert settings.vault is not None
    assert settings.vault.access_token == "sesame"
    assert "sesame" not in repr(settings.vault)
    assert settings.transmissions_api is not None
    assert settings.transmissions_api.api_key == ("k" * 32,)
    assert [(one.address, one.port, one.tls_ciphers) for one in settings.transmissions_api_listeners] == [("127.0.0.1", 8025, "HIGH")]
    assert settings.dns.precached_max_domains == 7
    assert {alias.address: alias.targets for alias in settings.aliases} == {"a": ("b@c.example",), "d": ("e", "f")}
    assert [(key.selector, key.domain) for key in settings.domain_key_lists["l"]] == [("s", "one.example"), ("s", "two.example")]


def test_listener_blocks_and_lines(good: Good) -> None:
    settings = good(
        "smtp-listener 0/0:25 source={in}\nsmtp-listener [::]:25\n<smtp-listener 192.0.2.1:465>\ntls-certificate x.pem\n"
        "immediate-tls yes\nsource {in}\n</smtp-listener>\n"
        "smtp-listener 10/8:587\n<source {in}>\n</source>\n"
    )
    assert [(one.address, one.port, one.source, one.immediate_tls) for one in settings.listeners] == [
        ("0.0.0.0", 25, "{in}", False),
        ("::", 25, "", False),
        ("10.0.0.0/8", 587, "", False),
        ("192.0.2.1", 465, "{in}", True),
    ]


def test_a_listener_s_line_and_block_are_one(good: Good) -> None:
    text = "smtp-listener 192.0.2.1:25 source={in}\n<smtp-listener 192.0.2.1:25>\nimmediate-tls yes\n</smtp-listener>\n"
    text += "smtp-server-tls-certificate x.pem\n"
    text += "<source {in}>\n</source>\n"
    [listener] = good(text).listeners
    assert (listener.source, listener.immediate_tls) == ("{in}", True)


def test_an_api_listener_wants_an_address(found: Found) -> None:
    [(level, line, message)] = found("<transmissions-api-listener here>\n</transmissions-api-listener>\n")
    assert (level, line) == ("error", 1)
    assert "no address with a port" in message


def test_directives_of_a_domain_that_add_up(good: Good) -> None:
    settings = good(
        "<domain *>\nsource-ip-max-smtp-out 10/8 5\nsource-ip-max-smtp-out 192.0.2.1 unlimited\n</domain>\n"
        "<domain a.example>\nsource-ip-max-smtp-out 10/8 7\n</domain>\n"
    )
    found = [block.assignments["source_ip_max_smtp_out"].value for block in settings.domains]
    assert found == [(("10.0.0.0/8", 5), ("192.0.2.1/32", None)), (("10.0.0.0/8", 7),)]


def test_a_named_source_needs_no_braces_and_an_address_is_none(good: Good, found: Found) -> None:
    settings = good("<source plain_name>\n</source>\n<source {braces}>\n</source>\n<source 10.1.0/24>\n</source>\n")
    assert [(one.network, one.name) for one in settings.sources] == [("", "plain_name"), ("", "{braces}"), ("10.1.0.0/24", "")]
    for text in ("10.0.0.300/24", "10.0.0", "fe80::g", "1.2.3.4/"):
        [(level, line, message)] = found(f"log-file x\n<source {text}>\nrequire-auth yes\n</source>\n", tolerant=True)
        assert (level, line) == ("error", 2)
        assert "neither an address nor a network" in message


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("<domain a>\nmax-smtp-out 1\n", [(1, "<domain a> is never closed")]),
        ("<virtual-mta m>\n<domain a>\n</virtual-mta>\n", [(2, "<domain a> is never closed")]),
        ("<domain a>\nmax-smtp-out 1\n<domain b>\n</domain>\n", [(1, "<domain a> is never closed")]),
        ("</domain>\n", [(1, "</domain> closes nothing: no block is open")]),
        ("<domain a>\n</source>\n</domain>\n", [(2, "</source> closes nothing: <domain> of line 1 is open")]),
        ("<domain a\nmax-smtp-out 1\n</domain>\n", [(1, "this tag is not closed")]),
        ("<domain a>\n</domain\n", [(2, "this tag is not closed")]),
        (
            "<virtual-mta-group g>\nvirtual-mta x\n<domain y>\nnonsense\n</domain>\n</virtual-mta-group>\n",
            [(1, "unknown block <virtual-mta-group>")],
        ),
        ("<domain a>\n<source 10/8>\nrequire-auth yes\n</source>\n</domain>\n", [(2, "<source> may not stand in <domain>")]),
        ("<domain>\n</domain>\n", [(1, "<domain>: the name is missing")]),
        ("<virtual-mta>\n</virtual-mta>\n", [(1, "<virtual-mta>: the name is missing")]),
        ("<domain a b c>\n</domain>\n", [(1, "<domain>: one domain, or a domain-macro for several")]),
        ("/x/ other\n", [(1, "a rule may not stand outside of blocks")]),
        ("require-auth yes\n", [(1, "`require-auth` belongs in <source>, not outside of blocks")]),
        ("<source 10/8>\nlog-file x\n</source>\n", [(2, "`log-file` belongs in the open, outside of blocks, not in <source>")]),
        ("<virtual-mta m>\nauto-cold-virtual-mta x\n</virtual-mta>\n", [(2, "unknown directive `auto-cold-virtual-mta` in <virtual-mta>")]),
    ],
)
def test_what_is_wrong_with_blocks(found: Found, text: str, problems: list[tuple[int, str]]) -> None:
    assert [(line, message) for level, line, message in found(text) if level == "error"] == problems


def test_nesting_is_bounded(found: Found) -> None:
    text = "<pattern-list a>\n" + "mail-from /x/\n<pattern-list>\n" * 5000 + "* virtual-mta={default}\n" + "</pattern-list>\n" * 5001
    problems = found(text)
    assert ("error", 101, "more than 50 blocks within one another") in problems


def test_unclosed_and_strange_tags_take_time_in_their_number(found: Found) -> None:
    began = time.process_time()
    found("<a>\n" * 20_000 + "</b>\n" * 20_000)
    assert time.process_time() - began < 5.0  # looking through all open blocks for each would take minutes


def test_an_unknown_block_is_left_out_whole_in_tolerant_mode(good: Good) -> None:
    settings = good(
        "<virtual-mta-group g>\n<domain y>\nmax-smtp-out 1\n</domain>\n</virtual-mta-group>\n<domain z>\n</domain>\n", tolerant=True
    )
    assert [block.pattern for block in settings.domains] == ["z"]


def test_clearing_an_inherited_value(good: Good) -> None:
    settings = good(
        "<domain *>\nqueue-to x.example\nremove-header Received\nbackoff-notify a@b.example\n</domain>\n"
        '<domain y.example>\nqueue-to ""\nremove-header ""\nbackoff-notify ""\n</domain>\n'
    )
    assert {name: a.value for name, a in settings.domains[1].assignments.items()} == {
        "queue_to": "",
        "remove_header": (),
        "backoff_notify": (),
    }
