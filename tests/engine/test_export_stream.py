"""Events at brokers, read back by other people's clients: a NATS server, a Kafka cluster of librdkafka's, RabbitMQ (./dev soak)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from tests.engine.brokers import (
    PASSWORD,
    TOPIC,
    USER,
    NatsServer,
    kafka_messages,
    mock_kafka,
    rabbitmq_messages,
    rabbitmq_queue,
    running_nats,
    running_rabbitmq,
)
from tests.engine.event_town import EventTown, delivered

from postwright.engine import export_feed, export_outlets, export_stream
from postwright.model.privacy import Privacy
from postwright.policy.settings import EventStream, Settings
from postwright.testing.sockets import free_port


def stream(url: str, **more: Any) -> EventStream:
    return EventStream("audit", url, TOPIC, **more)


def town_of(folder: Path, settings: EventStream) -> EventTown:
    return EventTown(folder, settings, settings.consumer, logs=2)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_feed, "PAUSE", 0.02)


@pytest.fixture
async def nats_server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    async with running_nats(tmp_path / "jetstream") as server:
        yield server


@pytest.mark.needs("nats-server")
@pytest.mark.directive("url", "topic", "username", "password", "event-stream")
async def test_nats_has_every_event_once(tmp_path: Path, nats_server: NatsServer) -> None:
    settings = stream(nats_server.url, username=USER, password=PASSWORD, records=("d", "b"))
    town = town_of(tmp_path / "state", settings)
    town.write([delivered(1), delivered(2, "r")])
    async with town:
        # no stream has the subject: nobody would keep the event, so it waits
        await town.until(lambda: "event stream failed" in town.feed.status().trouble, "the missing stream to be told")
        await nats_server.make_stream()
        town.write([delivered(n) for n in range(3, 600)], log=1)
        await town.until_all_is_had()
        town.feed.rewind(0.0)  # all of it once more: JetStream knows the ids
        await town.until(lambda: town.feed.status().delivered >= 2 * 598, "the repeats")
    messages = await nats_server.messages()
    assert len(messages) == 598
    event = json.loads(messages[0].data)
    assert (messages[0].headers["Nats-Msg-Id"], messages[0].headers["type"]) == (event["eventId"], "d")
    assert (event["rcpt"], event["dsnStatus"], event["dlvSize"]) == ("1@example.com", "2.0.0 (success)", "1000")
    assert not any(PASSWORD in json.dumps(told) for told in town.told)


@pytest.mark.needs("nats-server")
async def test_nats_may_go_and_come(tmp_path: Path, nats_server: NatsServer) -> None:
    await nats_server.make_stream()
    town = town_of(tmp_path / "state", stream(nats_server.url, username=USER, password=PASSWORD))
    async with town:
        town.write([delivered(1)])
        await town.until_all_is_had()
        nats_server.stop()
        town.write([delivered(n) for n in range(2, 50)])
        await town.until(lambda: town.feed.status().trouble, "the trouble")
        await nats_server.start()
        await town.until_all_is_had()
    assert len(await nats_server.messages()) == 49


@pytest.mark.needs("nats-server")
@pytest.mark.directive("ca-file")
async def test_nats_by_tls_and_only_if_it_is_who_it_should_be(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    pem = str(tmp_path / "server.pem")
    async with running_nats(tmp_path / "jetstream", "--tls", "--tlscert", pem, "--tlskey", pem) as server:
        url = server.url.replace("nats://", "natss://")
        stranger = town_of(tmp_path / "one", stream(url, username=USER, password=PASSWORD))
        async with stranger:
            await stranger.until(lambda: "certificate" in stranger.feed.status().trouble.lower(), "the refusal")
        known = town_of(tmp_path / "two", stream(url, username=USER, password=PASSWORD, ca_file=str(tmp_path / "ca.pem")))
        known.write([delivered(1)])
        async with known:
            # nobody has the subject: so it was asked, within TLS
            await known.until(lambda: "NoStreamResponse" in known.feed.status().trouble, "the answer")


@pytest.mark.directive("records", "privacy-policy")
async def test_kafka(tmp_path: Path) -> None:
    with mock_kafka(brokers=2) as url:
        town = town_of(tmp_path, stream(url, records=("d",), privacy_policy=Privacy("redact")))
        town.write([delivered(n) for n in range(300)])
        town.write([delivered(300, "b"), delivered(301)], log=1)
        async with town:
            await town.until_all_is_had()
        messages = await kafka_messages(url, 301)
    events = [json.loads(message.value) for message in messages]
    assert sorted(int(event["time"] - 1.7e9) for event in events) == [*range(300), 301]
    assert {event["rcpt"] for event in events} == {"...@example.com"}
    for message, event in zip(messages, events, strict=True):
        assert dict(message.headers) == {"eventId": event["eventId"].encode(), "type": b"d"}
        assert message.key == event["eventId"][:16].encode()


@pytest.mark.soak
@pytest.mark.needs("rabbitmq-server", "epmd")
@pytest.mark.directive("exchange")
async def test_rabbitmq(tmp_path: Path) -> None:
    async with running_rabbitmq(tmp_path / "rabbitmq") as url:
        town = town_of(tmp_path / "state", stream(url))
        town.write([delivered(1)])
        async with town:
            await town.until(lambda: "event stream failed" in town.feed.status().trouble, "the missing queue to be told")
            async with rabbitmq_queue(url):
                town.write([delivered(n) for n in range(2, 1000)], log=1)
                await town.until_all_is_had()
        got = await rabbitmq_messages(url)
    assert sorted(json.loads(message.body)["rcpt"] for message in got) == sorted(f"{n}@example.com" for n in range(1, 1000))
    assert all(message.message_id == json.loads(message.body)["eventId"] and message.type == "d" for message in got)


async def test_amqp_without_a_server_is_trouble(tmp_path: Path) -> None:
    town = town_of(tmp_path, stream(f"amqp://127.0.0.1:{free_port()}/vhost"))
    town.write([delivered(1)])
    async with town:
        await town.until(lambda: "event stream failed: amqp://127.0.0.1" in town.feed.status().trouble, "the trouble")
    assert town.feed.status().behind > 0


# -- what is missing ------------------------------------------------------------------------------


@pytest.mark.parametrize(("url", "extra"), [("kafkas://a", "kafka"), ("amqp://a", "amqp"), ("natss://a", "nats")])
def test_an_extra_that_is_missing_is_named(url: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(event_streams={"audit": stream(url)})
    export_outlets.check(settings)
    monkeypatch.setattr(export_stream, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=rf"^<event-stream audit> needs [a-z-]+: pip install 'postwright\[{extra}\]'$"):
        export_outlets.check(settings)


@pytest.mark.directive("ca-file")
def test_addresses_and_tls(tmp_path: Path) -> None:
    several = stream("kafka://a.example,b.example:1,[::1]:2")
    assert export_stream.addresses(several, 9092) == [("a.example", 9092), ("b.example", 1), ("::1", 2)]
    assert export_stream.tls_of(stream("nats://a")) is None
    context = export_stream.tls_of(stream("natss://a"))
    assert context is not None
    assert context.check_hostname
    with pytest.raises(OSError):
        export_stream.tls_of(stream("amqps://a", ca_file=str(tmp_path / "none.pem")))
