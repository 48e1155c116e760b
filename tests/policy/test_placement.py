"""Which queue mail goes to by the settings alone: tables of reroute-to-virtual-mta and queue-to, who stands in for whom, circles."""

from __future__ import annotations

import pytest

from postwright.model.work import BOUNCE, QueueKey
from postwright.policy.placement import Cold, Placement, circles
from postwright.policy.resolve import Resolved
from postwright.policy.settings import Rate, Settings
from postwright.testing.world_settings import domain, pool, relay, vmta

DAY = 86400.0
IDS = [(number << 22) + number % 3 for number in range(1, 400)]  # of messages that came a millisecond apart


def placed(*blocks: object) -> Placement:
    return Placement(Resolved(relay(*blocks)))  # type: ignore[arg-type]


def goes(placement: Placement, domain_: str, vmta_: str = "v") -> set[str]:
    return {str(placement.where(QueueKey(domain_, vmta_), number)) for number in IDS}


V, W, X = vmta("v"), vmta("w"), vmta("X")


@pytest.mark.directive("reroute-to-virtual-mta", "queue-to")
@pytest.mark.parametrize(
    ("blocks", "where"),
    [
        ((domain("*"),), {"a.b/v"}),
        ((domain("a.b", reroute_to_virtual_mta="w"),), {"a.b/w"}),
        ((domain("a.b", reroute_to_virtual_mta="x"),), {"a.b/X"}),  # by the name that it was configured under
        ((domain("*", reroute_to_virtual_mta="w"), domain("a.b", reroute_to_virtual_mta="")), {"a.b/v"}),  # "" clears
        ((domain("*", reroute_to_virtual_mta="p"),), {"a.b/w", "a.b/X"}),
        ((domain("*", reroute_to_virtual_mta="all"),), {"a.b/v"}),  # it is a member itself
        ((domain("a.b", queue_to="C.D"),), {"c.d/v"}),
        ((domain("a.b", queue_to="c.d", reroute_to_virtual_mta="w"),), {"c.d/w"}),
        ((domain("a.b", queue_to="c.d"), domain("c.d", queue_to="e.f")), {"e.f/v"}),
        ((domain("a.b", queue_to="c.d"), domain("c.d", reroute_to_virtual_mta="w")), {"c.d/w"}),
        ((domain("a.b", queue_to="a.b"),), {"a.b/v"}),
        ((domain("a.b", queue_to="c.d"), domain("c.d", queue_to="a.b")), {"a.b/v"}),  # a circle ends where it began
        ((domain("a.b", reroute_to_virtual_mta="nobody"),), {"a.b/v"}),
    ],
)
def test_where(blocks: tuple[object, ...], where: set[str]) -> None:
    placement = placed(*blocks, V, W, X, pool("p", "w", "x"), pool("all", "v", "w"))
    assert goes(placement, "a.b") == where
    for number in IDS:  # who is there is led no further: what is handed to a queue stays in it
        there = placement.where(QueueKey("a.b", "v"), number)
        assert placement.where(there, number) == there


LEVELS, MEMBERS = 9, 4


def layers() -> Placement:
    """Pools that lead on to pools: four to the ninth ways from the first to the last, by few virtual MTAs."""
    blocks: list[object] = []
    for level in range(LEVELS):
        for member in range(MEMBERS):
            leads = () if level == LEVELS - 1 else (domain("*", reroute_to_virtual_mta=f"p{level + 1}"),)
            blocks.append(vmta(f"l{level}m{member}", "", *leads))
        blocks.append(pool(f"p{level}", *[f"l{level}m{member}" for member in range(MEMBERS)]))
    return placed(*blocks)


@pytest.mark.directive("reroute-to-virtual-mta")
def test_pools_that_lead_on_to_pools_are_gone_through_once_each(monkeypatch: pytest.MonkeyPatch) -> None:
    step, asked = Placement._step, 0

    def counted(self: Placement, key: QueueKey) -> tuple[QueueKey, ...]:
        nonlocal asked
        asked += 1
        assert asked <= 2 * LEVELS * MEMBERS
        return step(self, key)

    monkeypatch.setattr(Placement, "_step", counted)
    placement = layers()
    first = QueueKey("a.b", "l0m0")
    last = placement.share(first)
    assert [str(key) for key in last] == [f"a.b/l8m{member}" for member in range(MEMBERS)]
    asked = 0
    way = placement.way(first, last[-1])
    assert [(str(key), why) for key, why in way[:2]] == [
        ("a.b/l0m0", "reroute-to-virtual-mta"),
        ("a.b/l1m0", "reroute-to-virtual-mta"),
    ]
    assert len(way) == LEVELS - 1


def test_a_way_of_thousands_of_queues() -> None:
    chain = [domain(f"d{number}.example", queue_to=f"d{number + 1}.example") for number in range(3000)]
    placement = placed(*chain, V)
    assert goes(placement, "d0.example") == {"d3000.example/v"}
    assert len(placement.way(QueueKey("d0.example", "v"), QueueKey("d3000.example", "v"))) == 3000


def test_a_virtual_mtas_own_domains_count() -> None:
    placement = placed(vmta("v", "", domain("a.b", queue_to="c.d")), W)
    assert goes(placement, "a.b", "v") == {"c.d/v"}
    assert goes(placement, "a.b", "w") == {"a.b/w"}


def test_members_of_a_pool_get_alike_much_and_a_message_always_the_same() -> None:
    placement = placed(domain("*", reroute_to_virtual_mta="p"), V, W, X, pool("p", "w", "x"))
    again = placed(domain("*", reroute_to_virtual_mta="p"), V, W, X, pool("p", "w", "x"))
    found = [placement.where(QueueKey("a.b", "v"), number) for number in IDS]
    assert found == [again.where(QueueKey("a.b", "v"), number) for number in IDS]
    assert 0.4 < sum(key.vmta == "w" for key in found) / len(found) < 0.6


def test_what_is_bounced_and_what_is_rolled_up_stays() -> None:
    placement = placed(domain("*", reroute_to_virtual_mta="w", queue_to="c.d"), domain("e.f", queue_to="mine.rollup"), V, W)
    assert goes(placement, BOUNCE) == {f"{BOUNCE}/v"}
    assert goes(placement, "big.rollup") == {"big.rollup/v"}
    assert placement.leads_to(QueueKey("mine.rollup", "v"))
    assert not placement.leads_to(QueueKey("big.rollup", "v"))
    assert placement.leads_to(QueueKey("any.example", "w"))


def test_an_unknown_virtual_mta_is_rerouted_to_nobody() -> None:
    assert goes(placed(domain("*", reroute_to_virtual_mta="w"), W), "a.b", "gone") == {"a.b/gone"}


def test_without_a_directive_nothing_moves() -> None:
    placement = placed(domain("*", queue_to=""), V)
    key = QueueKey("a.b", "v")
    assert (placement.moves, placement.has_refuges, placement.has_cold) == (False, False, False)
    assert placement.where(key, 1) is key


@pytest.mark.directive("backoff-reroute-to-virtual-mta")
def test_refuges() -> None:
    placement = placed(domain("*", backoff_reroute_to_virtual_mta="p"), V, W, X, pool("p", "w", "x"))
    assert placement.refuge(QueueKey("a.b", "v")) == ("w", "X")
    assert placement.refuge(QueueKey("a.b", "w")) == ("X",)
    assert placement.refuge(QueueKey(BOUNCE, "v")) == ()
    assert placed(domain("a.b", backoff_reroute_to_virtual_mta="w"), V, W).refuge(QueueKey("c.d", "v")) == ()


@pytest.mark.directive("cold-virtual-mta", "max-cold-virtual-mta-msg")
def test_who_is_warmed_up() -> None:
    days = (Rate(5, DAY), None)
    own = vmta("v", "", domain("*", max_cold_virtual_mta_msg=days), cold_virtual_mta=("x", "v"))
    placement = placed(own, W, X)
    assert placement.cold(QueueKey("a.b", "v")) == Cold(("X",), (5, None))
    assert placement.cold(QueueKey("a.b", "w")) is None
    nothing = vmta("v", "", domain("*", max_cold_virtual_mta_msg=(Rate(0, DAY),)), cold_virtual_mta=("w",))
    assert placed(nothing, W).cold(QueueKey("a.b", "v")) is None
    assert placed(vmta("v", cold_virtual_mta=("w",)), W).cold(QueueKey("a.b", "v")) is None  # the default is none


@pytest.mark.directive("cold-virtual-mta", "backoff-reroute-to-virtual-mta")
def test_families() -> None:
    blocks = (vmta("a", cold_virtual_mta=("b",)), vmta("b"), vmta("c", "", domain("x.y", backoff_reroute_to_virtual_mta="b")), vmta("d"))
    placement = placed(*blocks)
    assert {placement.family(name) for name in "abc"} == {("a", "b", "c")}
    assert placement.family("d") == ("d",)
    everybody = placed(*blocks, domain("*", backoff_reroute_to_virtual_mta="d"))
    assert everybody.family("d") == everybody.family("{default}") == ("a", "b", "c", "d", "{default}")


def test_circles_are_found_by_example() -> None:
    def found(*blocks: object) -> list[tuple[str, str, tuple[str, ...]]]:
        settings: Settings = relay(*blocks)  # type: ignore[arg-type]
        return circles(Resolved(settings))

    to_w = vmta("v", "", domain("*.a.b", reroute_to_virtual_mta="w"))
    assert found(to_w, vmta("w", "", domain("*", reroute_to_virtual_mta="v"))) == [("reroute-to-virtual-mta", "x.a.b", ("v", "w", "v"))]
    assert found(to_w, vmta("w")) == []
    assert found(domain("*", backoff_reroute_to_virtual_mta="w"), V, W) == []
