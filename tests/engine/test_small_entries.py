"""What a queue keeps of a waiting recipient is shared where it can be: a million of them must fit a small machine."""

from __future__ import annotations

from tests.engine.test_sharing_stories import ME, RETRY, owned

from postwright.model.work import Entry
from postwright.testing.world import World
from postwright.testing.world_settings import relay


def waiting(world: World, shard: int) -> list[Entry]:
    scheduler = world.nodes[shard].scheduler
    return [entry for queue in scheduler.queues.values() for entry in scheduler.entries(queue)]


def deferred(world: World, name: str) -> None:
    """Two messages of one job, accepted by shard 0, tried once in vain."""
    world.domain(name, rules=["rcpt 450 4.2.0 later"])
    for number in range(2):
        world.submit(ME, [f"{number}@{name}"], f"x-job: a-job-with-a-name\r\nSubject: {number}\r\n\r\n{'text ' * 100}\r\n", shard=0)
    world.advance(1.0)


def test_what_is_handed_over_shares_its_tuple_and_the_name_of_its_job() -> None:
    with World(relay(RETRY), shards=2) as world:
        deferred(world, owned(world, 1)[0])
        one, other = waiting(world, 1)
        assert one.recipients is other.recipients
        assert one.recipients == (0,)
        assert one.job is other.job
        assert one.ref.content_size is other.ref.content_size


def test_what_is_found_at_a_start_shares_its_tuple() -> None:
    with World(relay(RETRY)) as world:
        deferred(world, "example.com")
        world.restart()
        one, other = waiting(world, 0)
        assert one.attempts == other.attempts == 1
        assert one.recipients is other.recipients
