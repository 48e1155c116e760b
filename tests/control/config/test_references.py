"""Names that must lead somewhere, pools that must not quarrel; what tolerant mode forgives. Takes milliseconds."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from postwright.control.config import loads
from postwright.policy.settings import Settings

Good = Callable[..., Settings]
Found = Callable[..., list[tuple[str, int, str]]]

VMTA = "<virtual-mta mta1>\n</virtual-mta>\n"  # two lines


@pytest.mark.parametrize(
    ("text", "line", "message", "forgiven"),
    [
        ("<source 10/8>\ndefault-virtual-mta mta2\n</source>\n", 4, "there is no virtual MTA or pool `mta2`", True),
        ("invalid-virtual-mta-fallback mta2\n", 3, "there is no virtual MTA or pool `mta2`", True),
        ("<domain *>\nsmtp-pattern-list l\n</domain>\n", 4, "there is no <smtp-pattern-list> `l`", True),
        ("<domain *>\nbackoff-reroute-to-virtual-mta x\n</domain>\n", 4, "there is no virtual MTA or pool `x`", True),
        ("<source 10/8>\npattern-list l\n</source>\n", 4, "there is no <pattern-list> `l`", True),
        ("<source 10/8>\nsource-group g\n</source>\n", 4, "there is no <source-group> `g`", True),
        ("<source 10/8>\nsuppression-lists a, b\n</source>\n", 4, "there is no <address-list> `a`", True),
        ("<virtual-mta-pool p>\nvirtual-mta mta1\nvirtual-mta mta7\n</virtual-mta-pool>\n", 5, "there is no virtual MTA `mta7`", True),
        ("<virtual-mta m>\ncold-virtual-mta x\n</virtual-mta>\n", 4, "there is no virtual MTA `x`", True),
        ("<pattern-list l>\nmail-from /x/ virtual-mta=none\n</pattern-list>\n", 4, "there is no virtual MTA or pool `none`", True),
        ("<smtp-user u>\npassword p\nsource {x}\n</smtp-user>\n", 5, "there is no <source> `{x}`", False),
        ("smtp-listener 127.0.0.1:25 source={x}\n", 3, "there is no <source> `{x}`", False),
        ("<smtp-listener 127.0.0.1:25>\nsource {x}\n</smtp-listener>\n", 4, "there is no <source> `{x}`", False),
        ("use-proxy a\n", 3, "there is no <proxy> `a`", True),
    ],
)
def test_names_that_lead_nowhere(found: Found, text: str, line: int, message: str, forgiven: bool) -> None:
    assert found(VMTA + text) == [("error", line, message)]
    assert found(VMTA + text, tolerant=True) == [("warning" if forgiven else "error", line, message)]


def test_names_are_found_whatever_their_case_and_reserved_ones_exist(good: Good) -> None:
    settings = good(
        "<smtp-pattern-list Gmail-Errors>\nreply /x/ skip-mx\n</smtp-pattern-list>\n<domain *>\nsmtp-pattern-list gmail-errors\n</domain>\n"
        "<source 10/8>\ndefault-virtual-mta {default}\n</source>\n<source 10.1/16>\ndefault-virtual-mta by-smtp-source-ip\n</source>\n"
        "<smtp-user u>\npassword p\nsource {AUTH}\n</smtp-user>\n" + VMTA + "<virtual-mta-pool p>\nvirtual-mta MTA1\n</virtual-mta-pool>\n"
    )
    assert settings.vmtas["mta1"].pools == ("p",)


def test_what_was_forgiven_is_left_out(good: Good) -> None:
    text = (
        VMTA + "<virtual-mta-pool p>\nvirtual-mta mta1\nvirtual-mta mta7\n</virtual-mta-pool>\n<domain *>\nsmtp-pattern-list l\n</domain>\n"
    )
    settings = good(text, tolerant=True)
    assert settings.pools["p"].members == ("mta1",)
    assert settings.domains[0].assignments == {}


def test_a_near_name_is_offered() -> None:
    [problem] = loads(VMTA + "<source 10/8>\ndefault-virtual-mta mta11\n</source>\n", "config", offline=True).errors
    assert problem.hint == "did you mean `mta1`?"
    assert problem.column == len("default-virtual-mta ") + 1


def test_a_pattern_list_stands_above_its_use(found: Found, good: Good) -> None:
    use, definition = (
        "<source 10/8>\npattern-list Streams\n</source>\n",
        "<pattern-list streams>\nmail-from /x/ virtual-mta=mta1\n</pattern-list>\n",
    )
    assert found(VMTA + use + definition) == [("error", 4, "pattern-list `Streams` is used above its definition")]
    assert found(VMTA + use + definition, tolerant=True) == [("warning", 4, "pattern-list `Streams` is used above its definition")]
    assert good(VMTA + use + definition, tolerant=True).sources[0].assignments["pattern_list"].value == "Streams"
    assert found(VMTA + definition + use) == []


def pool(name: str, member: str, domains: bool) -> str:
    inner = "<domain x.example>\nmax-smtp-out 5\n</domain>\n" if domains else ""
    return f"<virtual-mta-pool {name}>\nvirtual-mta {member}\n{inner}</virtual-mta-pool>\n"


def test_two_pools_with_domains_quarrel_about_a_member(found: Found) -> None:
    message = "virtual MTA `MTA1` is in two pools that both contain <domain> blocks"
    for tolerant in (False, True):
        assert found(VMTA + pool("one", "mta1", True) + pool("two", "MTA1", True), tolerant=tolerant) == [("error", 10, message)]
    assert found(VMTA + pool("one", "mta1", True) + pool("two", "mta1", False)) == []
    assert found(VMTA + pool("one", "mta1", True) + pool("one", "mta1", True)) == []


def test_a_pool_may_not_be_called_like_a_virtual_mta(found: Found) -> None:
    assert found(VMTA + pool("MTA1", "mta1", False)) == [("error", 3, "a pool cannot be called `MTA1`: so is the virtual MTA of line 1")]
    assert found(VMTA + pool("{default}", "mta1", False))[0][:2] == ("error", 3)


def test_a_pool_without_members_is_left_out(good: Good, found: Found) -> None:
    text = VMTA + "<virtual-mta-pool p>\nvirtual-mta none\n</virtual-mta-pool>\n"
    assert found(text, tolerant=True) == [("warning", 3, "pool `p` has no member"), ("warning", 4, "there is no virtual MTA `none`")]
    assert good(text, tolerant=True).pools == {}


def test_a_user_without_a_password_is_an_error(found: Found) -> None:
    assert found("<smtp-user u>\n</smtp-user>\n") == [("error", 1, "smtp-user `u` has no password")]


def test_records_twice_in_one_file(found: Found, good: Good) -> None:
    text = "<acct-file a.csv>\nrecords d\nrecords b\n</acct-file>\n"
    assert found(text) == [("error", 3, "a second `records` in one <acct-file>")]
    assert good(text, tolerant=True).acct_files[0].records == ("b",)


def test_unknown_words_behind_a_known_value(found: Found, good: Good) -> None:
    text = (
        VMTA
        + "<virtual-mta-pool p>\nvirtual-mta mta1\nvirtual-mta mta1 weight 10\n</virtual-mta-pool>\nsmtp-listener 127.0.0.1:25 tls=yes\n"
    )
    expected = [(5, "virtual-mta: `weight` is not known here"), (7, "smtp-listener: `tls=yes` is no option of a listener")]
    assert found(text) == [("error", *place) for place in expected]
    assert found(text, tolerant=True) == [("warning", *place) for place in expected]
    settings = good(text, tolerant=True)
    assert settings.pools["p"].members == ("mta1",)
    assert settings.listeners == ()  # not the implicit 0.0.0.0:25, which nobody asked for


def test_a_source_host_the_other_way_round_is_understood(found: Found, good: Good) -> None:
    text = "<virtual-mta m>\nsmtp-source-host m.example.com 192.0.2.1\n</virtual-mta>\n"
    [(level, line, _)] = found(text)
    assert (level, line) == ("error", 2)
    [rule] = good(text, tolerant=True).vmtas["m"].smtp_source_host
    assert (rule.network, rule.name) == ("192.0.2.1", "m.example.com")


def test_who_may_relay_is_never_guessed(found: Found) -> None:
    for text in (
        "relay-domain a.example b.example\n",
        "relay-address nobody\n",
        "relay-domian a.example\n",
        "<source 10/8>\nrequre-auth yes\n</source>\n",
        "<source 10/8>\nsmtp-servise no\n</source>\n",
        "<domain *>\n<source 10/8>\nsmtp-service no\n</source>\n</domain>\n",
        "http-access 10/8 root\n",
        "<source 10/8>\nalways-allow-relaying perhaps\n</source>\n",
        "<smtp-user u>\npassword p\nsource {auth} x\n</smtp-user>\n",
    ):
        [(level, *_)] = found(text, tolerant=True)
        assert level == "error", text
    assert found("<source 10/8>\nbounce-address x\nrequire-starttls yes\n</source>\n", tolerant=True) == [
        ("warning", 2, "unknown directive `bounce-address` in <source>"),
        ("warning", 3, "`require-starttls` belongs in <domain>, not in <source>"),
    ]
