"""No configuration that relays for everybody loads, unless it says that this is meant. Takes a second."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from postwright.policy.settings import Settings

Good = Callable[..., Settings]
Found = Callable[..., list[tuple[str, int, str]]]


def source(head: str, *lines: str) -> str:
    return f"<source {head}>\n" + "".join(f"{line}\n" for line in lines) + "</source>\n"


OPEN = {
    "everybody": source("0/0", "always-allow-relaying yes"),
    "IPv6": source("::/0", "always-allow-relaying yes"),
    "who says XCLIENT relays as whom he likes": source("0/0", "allow-xclient yes", "require-auth yes"),
    "two halves": source("0/1", "always-allow-relaying yes") + source("128/1", "always-allow-relaying yes"),
    "merged from two blocks": source("0/0", "log-data no") + source("0.0.0.0/0", "always-allow-relaying yes"),
    "login taken back": source("0/0", "require-auth yes", "always-allow-relaying yes") + source("0/1", "require-auth no"),
    "only a hole": source("0/0", "always-allow-relaying yes") + source("192.0.2.0/24", "always-allow-relaying no"),
    "many networks": "".join(source(f"{n}/8", "always-allow-relaying yes") for n in range(1, 100)),
    "by listener": "smtp-listener 0/0:25 source={in}\n" + source("{in}", "always-allow-relaying yes"),
    "by listener block": "<smtp-listener 0/0:25>\nsource {in}\n</smtp-listener>\n" + source("{in}", "always-allow-relaying yes"),
    "listener without login": "smtp-listener 0/0:25 source={in}\n" + source("0/0", "require-auth yes", "always-allow-relaying yes")
    + source("{in}", "require-auth no"),
    "global IPv6": source("2000::/3", "always-allow-relaying yes"),
    "all domains": "relay-domain *\n",
    "all of com": "relay-domain *.com\n",
    "all of co.uk": "relay-domain [*.]co.uk\n",
    "address literals": "relay-domain [0/0]\n",
    "by macro": "domain-macro own a.example\nrelay-domain $own\ndomain-macro tld com, org\nrelay-domain *.$tld\n",
    "//": "relay-address //\n",
    "/.*/": "relay-address /.*/\n",
    "/@/": "relay-address /@/\n",
    "/./": "relay-address /^[^ ]+$/\n",
    "gmail": "relay-address /@gmail\\.com$/\n",
    "org": "relay-address /\\.org$/\n",
    "lookahead": "relay-address /^(?=.)/\n",
}  # fmt: skip

CLOSED = {
    "private networks": "".join(
        source(network, "always-allow-relaying yes") for network in ("10/8", "fc00::/7", "172.16/12", "192.168/16", "127/8")
    ),
    "a large network": source("9/8", "always-allow-relaying yes") + source("2001:db8::/32", "always-allow-relaying yes"),
    "a login": source("0/0", "always-allow-relaying yes", "require-auth yes"),
    "a login, said twice": source("0/0", "require-auth yes") + source("0/1", "always-allow-relaying yes"),
    "a named source for users": source("{in}", "always-allow-relaying yes") + "<smtp-user u>\npassword p\nsource {in}\n</smtp-user>\n",
    "a listener of no source": "smtp-listener 0/0:25\n" + source("{in}", "always-allow-relaying yes"),
    "taken back": source("0/0", "always-allow-relaying yes") + source("0/1", "always-allow-relaying no")
    + source("128/1", "always-allow-relaying no"),
    "taken back by every listener": "smtp-listener 0/0:25 source={in}\n" + source("0/0", "always-allow-relaying yes")
    + source("{in}", "always-allow-relaying no"),
    "own domains": "relay-domain a.example\nrelay-domain *.b.example\nrelay-domain *.example\n"
    "relay-address /@foo(bar)?\\.example$/\nrelay-address x@y.com\n",
    "a suffix of its own": "relay-domain co.uk\n",
    "meant": "allow-open-relay yes\nrelay-domain *\n" + source("0/0", "always-allow-relaying yes"),
}  # fmt: skip


@pytest.mark.parametrize("text", OPEN.values(), ids=OPEN)
@pytest.mark.parametrize("tolerant", [False, True])
def test_open(found: Found, text: str, tolerant: bool) -> None:
    problems = found(text, tolerant=tolerant)
    assert problems
    assert all(level == "error" and "would relay" in message for level, _, message in problems)


@pytest.mark.parametrize("text", CLOSED.values(), ids=CLOSED)
def test_closed(good: Good, text: str) -> None:
    good(text)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("everybody", 2),
        ("two halves", 2),
        ("merged from two blocks", 5),
        ("login taken back", 3),
        ("by listener", 3),
        ("by macro", 4),
        ("//", 1),
    ],
)
def test_the_line_that_makes_it_so(found: Found, name: str, line: int) -> None:
    assert [place for _, place, _ in found(OPEN[name])] == [line]


def test_all_openings_are_told(found: Found) -> None:
    problems = found(OPEN["everybody"] + "relay-domain *\nrelay-address //\n")
    assert [line for _, line, _ in problems] == [2, 4, 5]


def test_many_sources_take_little_time(good: Good) -> None:
    text = "".join(source(f"10.{n // 250}.{n % 250}.0/24", "always-allow-relaying yes") for n in range(5000))
    assert len(good(text).sources) == 5000
