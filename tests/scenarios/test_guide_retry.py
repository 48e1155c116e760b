"""The guide's times, in a simulated world: each stream tries again after its own, and all give up after four days and a half."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.conftest import SHARED
from tests.scenarios.guide import NEIGHBOUR, write_certificate

from postwright.control.config import loads
from postwright.testing.world import World

MINUTE, HOUR = 60.0, 3600.0
GIVEN_UP = 4.5 * 24 * HOUR
FILES = {"ours": Path(__file__).with_name("guide.conf"), "shared": SHARED / "powermta-configs" / "00-guide.conf"}


@pytest.fixture(params=FILES)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    file = FILES[request.param]
    if not file.exists():
        pytest.skip("../shared is not there")
    write_certificate(tmp_path)
    # The simulated network has no TLS: clients are not offered any, and by mta1, which wants it, no receiver is good enough.
    text = file.read_text("utf-8").replace("allow-starttls true", "allow-starttls false")
    result = loads(text, folder=tmp_path, state_dir=tmp_path)
    assert result.settings is not None, result.problems
    return World(result.settings)


@pytest.mark.parametrize(("mta", "step"), [("mta1", 10 * MINUTE), ("mta2", 45 * MINUTE)])
def test_each_stream_tries_again_after_its_own_time(world: World, mta: str, step: float) -> None:
    with world:
        mx = world.domain("late.example", rules=["mail 450 4.2.0 later"])
        assert world.submit("anne@client.example", ["bob@late.example"], peer=NEIGHBOUR, headers={"x-virtual-mta": mta}).accepted
        world.advance(6 * step + 1)
        assert mx.times == [number * step for number in range(7)]
        assert mx.recipients == []


@pytest.mark.parametrize("mta", ["mta1", "mta2"])
def test_all_is_given_up_after_four_days_and_a_half(world: World, mta: str) -> None:
    with world:
        world.domain("late.example", rules=["mail 450 4.2.0 later"])
        assert world.submit("", ["bob@late.example"], peer=NEIGHBOUR, headers={"x-virtual-mta": mta}).accepted
        ended = world.run_until(lambda: bool(world.of("b")))
        assert GIVEN_UP <= ended < GIVEN_UP + 45 * MINUTE
        [bounce] = world.of("b")
        assert (bounce.dsn_action, bounce.dsn_status, bounce.bounce_cat) == ("failed", "4.4.7", "message-expired")


def test_what_waited_goes_at_its_next_attempt(world: World) -> None:
    with world:
        mx = world.domain("late.example", rules=["rcpt first=2 450 4.2.0 later"])
        assert world.submit("anne@client.example", ["bob@late.example"], peer=NEIGHBOUR, headers={"x-virtual-mta": "mta2"}).accepted
        assert world.run_until(lambda: bool(mx.messages)) == pytest.approx(90 * MINUTE, abs=1)
