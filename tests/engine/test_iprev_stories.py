"""Stories of the iprev check: a client's name is looked up, told, and refused where that is wanted."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from tests.engine.test_address_stories import ME, YOU, free, headers

from postwright.engine.iprev import PeerCheck
from postwright.model.reply import Reply
from postwright.net.resolver import AddressAnswer, NamesAnswer
from postwright.policy.settings import SourceSettings
from postwright.testing.world import World
from postwright.testing.world_settings import relay

PEER = "192.0.2.77"
POINTER = "77.2.0.192.in-addr.arpa"
FORGED = {"Authentication-Results": "relay.example; iprev=pass"}


def test_the_client_s_name_is_looked_up_and_told_in_our_name_alone() -> None:
    with World(relay(free(check_iprev_inbound=True, trace_iprev_check=True))) as world:
        mx = world.domain("example.com")
        world.zone[POINTER] = {"PTR": ["client.example"]}
        world.zone["client.example"] = {"A": [PEER]}
        assert world.submit(ME, [YOU], headers=FORGED, peer=PEER).accepted
        world.run_until_empty()
        (told,) = headers(mx.messages[0], "Authentication-Results")
        assert " ".join(told.split()) == (
            "relay.example; iprev=pass (client.example) (PTR: client.example) (client.example: 192.0.2.77) policy.iprev=192.0.2.77"
        )


@pytest.mark.parametrize(("peer", "result"), [("::ffff:192.0.2.77", "pass"), ("", "permerror")])
def test_a_client_without_an_address_of_its_own_kind(peer: str, result: str) -> None:
    with World() as world:
        world.zone.update({POINTER: {"PTR": ["client.example"]}, "client.example": {"A": [PEER]}})

        async def checked() -> str:
            check = PeerCheck(world.node.resolver, peer)
            await asyncio.wait_for(cast("Any", check.before(SourceSettings(), lambda: Reply(250, "", ()))), 5)
            return check.result(trace=False).result

        assert world.run(checked()) == result


def test_without_the_check_nothing_is_looked_up_nor_removed() -> None:
    with World(relay(free())) as world:
        mx = world.domain("example.com")
        world.submit(ME, [YOU], headers=FORGED)
        world.run_until_empty()
        assert headers(mx.messages[0], "Authentication-Results") == ["relay.example; iprev=pass"]
        assert (POINTER, "PTR") not in world.node.resolver.source.asked  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("zone", "failing", "directive", "said"),
    [
        ({POINTER: {"PTR": ["client.example"]}, "client.example": {"A": ["192.0.2.1"]}}, "", "reject_iprev_check_fail", "550 5.7.25"),
        ({}, "", "reject_iprev_check_permerror", "550 5.7.25"),
        ({}, POINTER, "reject_iprev_check_temperror", "451 4.4.3"),
    ],
)
def test_a_client_whose_name_does_not_lead_back_is_refused_at_mail(zone: Any, failing: str, directive: str, said: str) -> None:
    for strict in (True, False):
        with World(relay(free(check_iprev_inbound=True, **{directive: strict}))) as world:
            world.zone.update(zone)
            world.failing.add(failing)
            taken = world.submit(ME, [YOU], peer=PEER)
            assert taken.mail is not None
            assert taken.mail.text.startswith(said if strict else "250")


class Silent:
    """Name servers that never answer. `left` counts those that were given up."""

    def __init__(self) -> None:
        self.left = 0

    async def names(self, address: str) -> NamesAnswer:
        try:
            await asyncio.sleep(1e6)
        finally:
            self.left += 1
        raise AssertionError("unreachable")

    async def addresses(self, host: str) -> AddressAnswer:
        raise AssertionError("nobody has a name")


def test_name_servers_that_never_answer_are_not_waited_for_without_end() -> None:
    with World(relay(free(check_iprev_inbound=True))) as world:
        mx = world.domain("example.com")
        world.node.intake.names = Silent()
        assert world.submit(ME, [YOU], peer=PEER).accepted
        assert 20.0 <= world.now < 30.0
        world.run_until_empty()
        assert "iprev=temperror" in headers(mx.messages[0], "Authentication-Results")[0]


def test_a_client_that_leaves_takes_his_check_with_him() -> None:
    silent = Silent()
    with World(relay(free(check_iprev_inbound=True))) as world:
        world.node.intake.names = silent

        async def impatient() -> None:
            task = asyncio.ensure_future(world.submitting(ME, [YOU], peer=PEER))
            await asyncio.sleep(1.0)
            for end in world._sessions[0]:
                end.abort()
            assert not (await task).accepted

        world.run(impatient())
        world.advance(1.0)
        assert silent.left == 1
