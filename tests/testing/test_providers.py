"""What a simulated provider makes of a source address, verb by verb; the ledger's arithmetic; and that its words are replies."""

from __future__ import annotations

import msgspec
import pytest

from postwright.testing import provider_words
from postwright.testing.provider_host import Visit, most_at_once, most_within
from postwright.testing.provider_map import COMPANIES, GOOGLE, HOMES, OTHERS, YAHOO_INC, home_of
from postwright.testing.provider_words import Saying, Words
from postwright.testing.providers import HOUR, Manner, Provider, Providers
from postwright.testing.world import World

CALM = {"unknown": 0.0, "full": 0.0, "complaints": 0.0}


class Town:
    """One provider, and one address that comes to it."""

    def __init__(self, manner: Manner, **otherwise: object) -> None:
        self.world = World()
        self.towns = Providers(self.world, seed=1)
        self.provider: Provider = self.towns.settle(manner, "there.example", **{**CALM, **otherwise})

    def come(self, source: str = "192.0.2.9") -> tuple[Visit, int]:
        visit = self.towns.ledger.visit(self.provider.name, "mx", source)
        return visit, self.provider.came(visit).code

    def send(self, visit: Visit, recipient: str = "a@there.example") -> tuple[int, int, int]:
        mail, rcpt = self.provider.mail(visit, "me@here.example").code, self.provider.rcpt(visit, recipient).code
        return mail, rcpt, 0 if mail or rcpt else self.provider.end_of_data(visit, (recipient,)).code


def test_connections_are_counted_by_address_and_given_back() -> None:
    town = Town(YAHOO_INC, connections=2)
    with town.world:
        visits = [town.come() for _ in range(3)]
        assert [code for _, code in visits] == [0, 0, 421]
        assert town.come("192.0.2.10")[1] == 0
        for visit, _ in visits:
            town.provider.left(visit)
        assert town.come()[1] == 0


def test_messages_on_a_connection_and_in_an_hour() -> None:
    town = Town(YAHOO_INC, per_connection=2, hourly=3)
    with town.world:
        first, second = town.come()[0], town.come()[0]
        assert [town.send(first)[0] for _ in range(3)] == [0, 0, 421]
        assert [town.send(second)[0] for _ in range(2)] == [0, 421]
        town.world.advance(HOUR + 1)
        assert town.send(town.come()[0]) == (0, 0, 0)


def test_offences_lead_to_a_block_that_ends() -> None:
    town = Town(YAHOO_INC, unknown=1.0, tolerance=3, block=100.0)
    with town.world:
        visit = town.come()[0]
        assert [town.send(visit) for _ in range(3)] == [(0, 552, 0)] * 3
        assert town.send(visit)[0] == 553
        assert town.send(town.come("192.0.2.10")[0])[0] == 0, "another address has a name of its own"
        town.world.advance(101)
        assert town.send(visit)[0] == 0
        assert [(event.what, event.detail) for event in town.towns.ledger.events if event.what == "blocked"] == [("blocked", "unknown")]


def test_offences_of_long_ago_are_forgotten() -> None:
    town = Town(YAHOO_INC, unknown=1.0, tolerance=3, memory=50.0)
    with town.world:
        visit = town.come()[0]
        for _ in range(6):
            assert town.send(visit)[0] == 0
            town.world.advance(30)


def test_greylisting_is_by_address_sender_and_recipient() -> None:
    town = Town(COMPANIES, greylist=60.0)
    with town.world:
        visit = town.come()[0]
        assert town.send(visit)[1] == 450
        town.world.advance(59)
        assert town.send(visit)[1] == 450
        assert town.send(visit, "b@there.example")[1] == 450
        town.world.advance(1)
        assert town.send(visit)[1] == 0
        assert town.send(town.come("192.0.2.10")[0])[1] == 450


def test_the_same_mailboxes_are_missing_each_time_and_about_as_many_as_said() -> None:
    town = Town(GOOGLE, unknown=0.2, tolerance=None)
    with town.world:
        visit = town.come()[0]
        answers = [[town.provider.rcpt(visit, f"user{n}@there.example").code for n in range(500)] for _ in range(2)]
        assert answers[0] == answers[1]
        assert 60 < answers[0].count(550) < 140


def test_a_tarpit_takes_its_time() -> None:
    town = Town(COMPANIES, greylist=0.0, tarpit=7.0)
    with town.world:
        assert town.provider.rcpt(town.come()[0], "a@there.example").delay == 7.0


def test_windows_and_overlaps() -> None:
    assert most_within([0.0, 1.0, 10.0, 10.5, 10.9], 10.0) == 4, "the one at 0 has left the window that ends at 10"
    assert most_within([0.0, 10.0], 10.0) == 1
    assert most_within([], 1.0) == 0
    visits = [Visit("p", "h", "s", opened, closed) for opened, closed in ((0, 5), (1, 3), (3, 9), (4, None))]
    assert most_at_once(visits) == 3
    assert most_at_once([]) == 0


def sayings() -> list[tuple[str, str, Saying]]:
    every = {name: value for name, value in vars(provider_words).items() if isinstance(value, Words)}
    return [(name, field, said) for name, words in every.items() for field, said in msgspec.structs.asdict(words).items() if said]


@pytest.mark.parametrize(("name", "field", "said"), sayings(), ids=lambda value: value if isinstance(value, str) else "")
def test_every_saying_is_a_reply_and_says_where_it_was_seen(name: str, field: str, said: Saying) -> None:
    text = said.text.format(ip="192.0.2.1", rcpt="a@b.example", host="mx")
    assert all(line.isprintable() and 0 < len(line) <= 500 for line in text.split("\n"))
    assert said.code in range(400, 600)
    assert said.stage in ("connect", "mail", "rcpt", "eod")
    assert not said.status or said.status[0] == str(said.code)[0]
    assert said.seen
    if field in ("unknown", "full", "greylisted"):
        assert said.stage == "rcpt"


def test_domains_have_homes() -> None:
    assert home_of("gmail.com").name == "google"
    assert home_of("yahoo.co.uk").name == "yahoo"
    assert home_of("web.de").name == "united internet"
    assert home_of("firm.example") in OTHERS
    assert home_of("firm.example") is home_of("firm.example")
    assert len({manner.name for manner in (*HOMES.values(), *OTHERS)}) == 12
