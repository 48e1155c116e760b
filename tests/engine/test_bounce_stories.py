"""Stories of bounce categories in accounting records: our pack, the operator's patterns in its place, a pack that is tried beside."""

from __future__ import annotations

from pathlib import Path

import pytest

from postwright.control.config import loads
from postwright.engine import epoch
from postwright.engine.shadow_status import shadow_lines
from postwright.policy.settings import CategoryRule, Origin, Settings
from postwright.testing.world import World
from postwright.testing.world_settings import domain, relay

ME = "me@sender.example"
RULES = (
    "rcpt:gone@* 550 5.1.1 no such user",
    "rcpt:full@* 552 5.2.2 over quota",
    "rcpt:late@* 451 4.7.1 greylisted, come back",
    "rcpt:odd@* 554 xyzzy",
)
PATTERNS = (
    CategoryRule("/no such USER/", "nobody", Origin("config", 3)),
    CategoryRule("/user|quota/", "second", Origin("config", 4)),
    CategoryRule(r"/^4\.7/", "by-status", Origin("config", 5)),
    CategoryRule("//", "rest", Origin("config", 6)),
)


def settings(**more: object) -> Settings:
    return relay(domain("*", retry_after=(600.0,), bounce_after=1000.0), **more)


def domains(world: World) -> None:
    world.domain("example.com", rules=RULES)
    world.domain("sender.example")  # takes our reports


def send(world: World) -> None:
    domains(world)
    world.submit(ME, [f"{name}@example.com" for name in ("gone", "full", "late", "odd", "fine")])
    world.run_until_empty()


def categories(world: World) -> dict[tuple[str, str], str]:
    return {
        (one.type, one.rcpt.partition("@")[0]): one.bounce_cat for one in world.records if one.type in "dbt" and "@example.com" in one.rcpt
    }


def test_without_patterns_the_pack_sorts() -> None:
    with World(settings()) as world:
        send(world)
        assert categories(world) == {
            ("d", "fine"): "",
            ("b", "gone"): "bad-mailbox",
            ("b", "full"): "quota-issues",
            ("t", "late"): "policy-related",
            ("b", "late"): "message-expired",
            ("b", "odd"): "other",
        }


@pytest.mark.directive("bounce-category-patterns")
def test_patterns_sort_in_the_place_of_the_pack_the_first_that_fits() -> None:
    with World(settings(bounce_categories=PATTERNS)) as world:
        send(world)
        found = categories(world)
        assert found["b", "gone"] == "nobody"  # without regard to case, and though the second fits, too
        assert found["b", "full"] == "second"
        assert found["t", "late"] == "by-status"  # found in dsnStatus
        assert found["b", "odd"] == "rest"
        assert found["d", "fine"] == ""


@pytest.mark.directive("bounce-category-patterns")
def test_a_reload_sorts_anew_and_an_empty_block_sorts_nothing() -> None:
    with World(settings()) as world:
        domains(world)
        world.reload(settings(bounce_categories=()))
        world.submit(ME, ["gone@example.com"])
        world.run_until_empty()
        assert [one.bounce_cat for one in world.of("b")] == ["other"]
        world.reload(settings(bounce_categories=PATTERNS))
        world.submit(ME, ["gone@example.com"])
        world.run_until_empty()
        assert [one.bounce_cat for one in world.of("b")] == ["other", "nobody"]


PACK = """
version = "mine"
[[rule]]
name = "everybody-is-full"
category = "quota-issues"
text = ["no such user", "quota"]
"""


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    file = tmp_path / "mine.toml"
    file.write_text(PACK)
    return file


@pytest.mark.directive("bounce-category-shadow")
def test_a_shadow_only_tells_where_it_differs(pack: Path) -> None:
    with World(settings(general={"bounce_category_shadow": str(pack)})) as world:
        send(world)
        assert categories(world)["b", "gone"] == "bad-mailbox"  # the records are those of the rules in force
        shadow = world.node.bounce_shadow
        assert shadow is not None
        assert (shadow.pack, shadow.compared) == ("mine", 4)
        assert shadow.differs == {"bad-mailbox -> quota-issues": 1, "message-expired -> other": 1}
        told = {line.fields["said"]: line.fields for line in world.log if line.event == "the shadow sorts a bounce otherwise"}
        gone = told["smtp;550 5.1.1 no such user"]
        assert (gone["rule"], gone["shadow"], gone["shadow_rule"]) == ("mailbox", "quota-issues", "everybody-is-full")
        (line,) = shadow_lines([shadow, None, shadow])
        assert "mine as a shadow: 4 of 8 bounces would be sorted otherwise; bad-mailbox -> quota-issues: 2" in line


@pytest.mark.directive("bounce-category-shadow", "bounce-category-patterns")
def test_a_shadow_stands_beside_patterns_too_and_is_off_by_default(pack: Path) -> None:
    with World(settings(bounce_categories=PATTERNS, general={"bounce_category_shadow": str(pack)})) as world:
        send(world)
        assert world.node.bounce_shadow is not None
        assert world.node.bounce_shadow.differs["nobody -> quota-issues"] == 1
        world.reload(settings())
        assert world.node.bounce_shadow is None


def test_many_differences_of_one_kind_are_counted_and_not_all_told(pack: Path) -> None:
    with World(settings(general={"bounce_category_shadow": str(pack)})) as world:
        domains(world)
        for _ in range(10):
            world.submit(ME, ["gone@example.com"])
        world.run_until_empty()
        assert world.node.bounce_shadow is not None
        assert world.node.bounce_shadow.differs == {"bad-mailbox -> quota-issues": 10}
        assert len([line for line in world.log if line.event.startswith("the shadow")]) == 3


@pytest.mark.directive("bounce-category-shadow")
def test_a_pack_that_cannot_be_read_is_refused_before_it_is_in_force(pack: Path) -> None:
    wanted = settings(general={"bounce_category_shadow": str(pack)})
    epoch.check(wanted)
    pack.write_text('version = "mine"')
    with pytest.raises(ValueError, match=r"mine\.toml: no bounce rules"):
        epoch.check(wanted)
    pack.write_bytes(b"#" * (1 << 20) + b"\n")
    with pytest.raises(ValueError, match="more than a megabyte"):
        epoch.check(wanted)
    pack.unlink()
    with pytest.raises(OSError, match="mine"):
        epoch.check(wanted)
    assert [
        problem.level for problem in loads(f"bounce-category-shadow {pack}\nlog-file {pack}.log\n").problems if "shadow" in problem.text
    ] == ["error"]


def test_a_pack_that_went_bad_after_the_check_leaves_the_relay_running(pack: Path) -> None:
    pack.write_text("?")
    with World(settings(general={"bounce_category_shadow": str(pack)})) as world:
        assert world.node.bounce_shadow is None
        send(world)
        assert categories(world)["b", "gone"] == "bad-mailbox"
        assert [line.level for line in world.log if line.event == "bounce-category-shadow cannot be read"] == ["warning"]
