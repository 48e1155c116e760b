"""Mail that leaves through proxies: HAProxy's protocol and SOCKS5, one that stands in for another, and all of them away.

The proxies are real ones of `postwright.testing`, which bind the address that they are told. Takes about 6 seconds.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.scenarios.alone import Alone, arrived_once_each

from postwright.testing.forward_proxy import ForwardProxy
from postwright.testing.sink import SinkServer
from postwright.testing.sockets import free_port

DOMAINS = ["one.example", "two.example", "three.example"]


def proxy(name: str, port: int, client: str, more: str = "") -> str:
    return f"<proxy {name}>\n server 127.0.0.1:{port}\n client {client} {name}.example\n {more}\n</proxy>\n"


@pytest.mark.directive("use-proxy", "server", "client")
async def test_the_next_proxy_stands_in(tmp_path: Path) -> None:
    async with SinkServer() as receiver, ForwardProxy() as second:
        more = "use-proxy first,second\n" + proxy("first", free_port(), "127.0.0.11") + proxy("second", second.port, "127.0.0.12")
        async with Alone(tmp_path, receiver, more) as relay:
            await relay.load(DOMAINS)
            await arrived_once_each(receiver, DOMAINS)
            rows = await relay.wait_for_records("d", 3)
            assert {row["dlvSourceIp"] for row in rows} == {"127.0.0.12"}
            assert {message.connection.helo for message in receiver.messages} == {"second.example"}
            assert {asked.kind for asked in second.asked} == {"proxy1"}


@pytest.mark.directive("smtp-proxy-source-host", "proxy-protocol")
async def test_sources_behind_a_haproxy(tmp_path: Path) -> None:
    async with SinkServer() as receiver, ForwardProxy() as between:
        rule = f"smtp-proxy-source-host 127.0.0.1 127.0.0.1:{between.port} 127.0.0.{{}} far{{}}.example\n"
        vmta = f"<virtual-mta m1>\n {rule.format(21, 1)} {rule.format(22, 2)} proxy-protocol 2\n</virtual-mta>\n"
        more = vmta + "<source 127.0.0.1/32>\n default-virtual-mta m1\n</source>\n"
        async with Alone(tmp_path, receiver, more) as relay:
            await relay.load(DOMAINS)
            await arrived_once_each(receiver, DOMAINS)
            assert {(asked.kind, asked.source) for asked in between.asked} == {("proxy2", "127.0.0.21"), ("proxy2", "127.0.0.22")}
            assert {message.connection.helo for message in receiver.messages} == {"far1.example", "far2.example"}


async def test_socks5_with_a_login(tmp_path: Path) -> None:
    async with SinkServer() as receiver, ForwardProxy(user="joe", password="secret") as between:
        more = proxy("sox", between.port, "127.0.0.31", "type socks5\n auth-username joe\n auth-password secret")
        async with Alone(tmp_path, receiver, "use-proxy sox\n" + more) as relay:
            await relay.load(DOMAINS[:1])
            await arrived_once_each(receiver, DOMAINS[:1])
            assert [asked.login for asked in between.asked] == ["joe:secret"]


async def test_when_no_proxy_serves_mail_waits_and_nobody_else_is_blamed(tmp_path: Path) -> None:
    port = free_port()
    async with SinkServer() as receiver, Alone(tmp_path, receiver, "use-proxy p\n" + proxy("p", port, "127.0.0.41")) as relay:
        await relay.load(DOMAINS[:1])

        def error() -> str:
            return "".join(queue.last_error for shard in relay.status().shards for queue in shard.top_queues)

        await relay.until(lambda: "the proxy does not serve us: p: connection refused" in error(), "the reason")
        assert not receiver.messages
        assert relay.records("b") == []
