"""Who may what: networks by the first line that fits, keys by their scopes, and whoever guesses waits."""

from __future__ import annotations

from base64 import b64encode
from itertools import pairwise
from pathlib import Path

import pytest

from postwright.control.config import loads
from postwright.control.http.access import ALL, ROLES, TRIES, WINDOW, Gate, Guess, Identity, Refusal, shown_key
from postwright.control.http.keys import Key, digest

NOW = 1_800_000_000.0
KEY = "abcdefgh_" * 4


def gate(text: str = "") -> Gate:
    result = loads(text, "t.conf", state_dir=Path("/nowhere"))
    assert result.settings is not None
    return Gate(result.settings, Guess())


@pytest.mark.directive("http-access")
@pytest.mark.parametrize(
    ("address", "role"),
    [
        ("192.0.2.7", "none"),  # the first line that fits counts, not the best
        ("192.0.2.8", "operator"),
        ("192.0.3.1", "monitor,deny-logs"),
        ("::ffff:192.0.2.8", "operator"),  # a socket for both families says it so
        ("2001:db8::1", "admin"),
        ("198.51.100.1", "none"),  # PowerMTA's default is nobody
    ],
)
def test_the_first_line_that_fits(address: str, role: str) -> None:
    rules = gate(
        "http-access 192.0.2.7 none\nhttp-access 192.0.2.0/24 operator\nhttp-access 192.0.2.0/23 monitor,deny-logs\n"
        "http-access 2001:db8::/32 admin\n"
    )
    assert rules.role(address) == role
    found = rules.identify(address, {}, {}, NOW)
    assert found == Identity(address, address, ROLES[role], role=role)


@pytest.mark.directive("http-access")
def test_without_a_line_nobody_may() -> None:
    assert gate().identify("127.0.0.1", {}, {}, NOW) == Identity("127.0.0.1", "127.0.0.1", frozenset(), role="none")


@pytest.mark.directive("http-mgmt-source", "no-http-mgmt-source")
def test_the_old_directives_let_see_and_no_more() -> None:
    rules = gate("http-mgmt-source 10/8\nno-http-mgmt-source 10.1/16\nhttp-access 10.1.2.0/24 admin\n")
    assert [rules.role(f"10.{rest}") for rest in ("9.9.9", "1.9.9", "1.2.9")] == ["monitor", "none", "admin"]


def test_each_role_may_what_the_one_below_it_may() -> None:
    ladder = [ROLES[name] for name in ("none", "monitor,deny-logs", "monitor", "operator", "admin")]
    assert all(low < high for low, high in pairwise(ladder))
    assert "logs" not in ROLES["monitor,deny-logs"]
    assert ladder[-1] == ALL


@pytest.mark.directive("http-api-key")
def test_the_key_of_the_configuration_is_an_administrators_from_anywhere() -> None:
    rules = gate(f"http-api-key {KEY}\nhttp-access 0/0 none\n")
    found = rules.identify("203.0.113.1", {"x-api-key": KEY}, {}, NOW)
    assert found == Identity("key http-api-key 1", "203.0.113.1", ALL, by_key=True)
    assert rules.identify("203.0.113.1", {"x-api-key": KEY[:-1]}, {}, NOW) == Refusal(401, REFUSED)


REFUSED = "this key is not known here, has ended, or is not for this address"


@pytest.mark.parametrize(
    ("key", "address", "good"),
    [
        (Key("a", digest("s"), ("read",), 0.0), "192.0.2.1", True),
        (Key("a", digest("s"), ("read",), 0.0, expires=NOW + 1), "192.0.2.1", True),
        (Key("a", digest("s"), ("read",), 0.0, expires=NOW), "192.0.2.1", False),
        (Key("a", digest("s"), ("read",), 0.0, networks=("192.0.2.0/24", "2001:db8::/32")), "192.0.2.1", True),
        (Key("a", digest("s"), ("read",), 0.0, networks=("192.0.2.0/24",)), "192.0.3.1", False),
        (Key("a", digest("s"), ("read",), 0.0, networks=("192.0.2.0/24",)), "2001:db8::1", False),
    ],
)
def test_a_key_has_an_end_and_networks(key: Key, address: str, good: bool) -> None:
    found = gate().identify(address, {"x-api-key": "s"}, {key.digest: key}, NOW)
    expected = Identity("key a", address, frozenset({"read"}), by_key=True) if good else Refusal(401, REFUSED)
    assert found == expected


def test_a_wrong_key_does_not_fall_back_on_the_network() -> None:
    assert isinstance(gate("http-access 0/0 admin\n").identify("192.0.2.1", {"x-api-key": "x"}, {}, NOW), Refusal)


def test_admin_among_the_scopes_is_everything() -> None:
    key = Key("a", digest("s"), ("admin",), 0.0)
    found = gate().identify("192.0.2.1", {"x-api-key": "s"}, {key.digest: key}, NOW)
    assert isinstance(found, Identity)
    assert found.scopes == ALL


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ({}, None),
        ({"x-api-key": " k "}, "k"),
        ({"authorization": "Bearer k"}, "k"),
        ({"authorization": "KEY k"}, "k"),
        ({"authorization": "Basic " + b64encode(b"api:k:1").decode()}, "k:1"),
        ({"authorization": "Basic " + b64encode(b"root:k").decode()}, ""),
        ({"authorization": "Basic %%%"}, ""),
        ({"authorization": "Basic " + b64encode(b"api:\xff").decode()}, ""),
        ({"authorization": "Digest x"}, ""),
        ({"authorization": "k"}, "k"),  # Authorization: KEY, as powermta.md has it for transmissions
        ({"x-api-key": "k", "authorization": "Bearer other"}, "k"),
    ],
)
def test_how_a_key_is_shown(headers: dict[str, str], key: str | None) -> None:
    assert shown_key(headers) == key


def test_whoever_guesses_waits_and_others_do_not() -> None:
    rules = gate(f"http-api-key {KEY}\n")
    for number in range(TRIES):
        assert rules.identify("192.0.2.1", {"x-api-key": f"wrong{number}"}, {}, NOW + number) == Refusal(401, REFUSED)
    locked = rules.identify("192.0.2.1", {"x-api-key": KEY}, {}, NOW + TRIES)
    assert locked == Refusal(429, "too many wrong keys from this address", int(WINDOW - TRIES) + 1)
    assert isinstance(rules.identify("192.0.2.2", {"x-api-key": KEY}, {}, NOW + TRIES), Identity)
    assert isinstance(rules.identify("192.0.2.1", {"x-api-key": KEY}, {}, NOW + WINDOW + 1), Identity)
