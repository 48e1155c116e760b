"""A real relay that is handed mail over HTTP: every 202 is a message that is delivered, whoever is killed, and a key makes one of it.

The short version of it is in `test_side_doors`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from postwright.testing.relay_process import RelayProcess, plain_config
from postwright.testing.sockets import free_port

KEY = "k" * 32
CONFIG = """
http-mgmt-port {http}
http-mgmt-address 127.0.0.1
http-redirect-to-https no
http-api-key {key}
event-log yes
<domain test.example>
    type discard
</domain>
"""


class Client:
    """Posts until it has an answer; `taken` are the ids of each 202, by recipient."""

    def __init__(self, http: int, key: str = KEY) -> None:
        self._key = {"X-API-Key": key}
        self.url = f"http://127.0.0.1:{http}/api/v1/messages"
        self.taken: dict[str, str] = {}

    async def post(self, session: aiohttp.ClientSession, name: str) -> bool:
        """Once; no answer, and 503, are False."""
        body = {"from": "me@sender.example", "to": f"{name}@test.example", "subject": name, "text": "body"}
        try:
            async with session.post(self.url, json=body, headers={**self._key, "Idempotency-Key": name}) as answer:
                told = await answer.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return False
        if answer.status == 503:
            return False
        assert answer.status == 202, told
        self.taken[f"{name}@test.example"] = told["id"]
        return True

    async def until_taken(self, session: aiohttp.ClientSession, name: str) -> None:
        async with asyncio.timeout(60):
            while not await self.post(session, name):  # noqa: ASYNC110  # until somebody answers: there is nothing to wait for
                await asyncio.sleep(0.05)

    async def get(self, session: aiohttp.ClientSession, message_id: str) -> Any:
        async with session.get(f"{self.url}/{message_id}", headers=self._key) as answer:
            return await answer.json()


async def _killed(tmp_path: Path, rounds: int, messages: int) -> None:
    http = free_port()
    client = Client(http)
    relay = RelayProcess(tmp_path, plain_config(free_port()) + CONFIG.format(http=http, key=KEY), shards=2)
    await relay.start()
    timeout = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        for number in range(rounds):
            names = [f"n{number}-{index}" for index in range(messages)]
            asked = [asyncio.create_task(client.until_taken(session, name)) for name in names]
            seen = len(client.taken)
            await relay.until(lambda seen=seen: len(client.taken) > seen + messages // 3, "some messages taken")  # type: ignore[misc]
            relay.kill()
            await relay.start()
            await asyncio.wait_for(asyncio.gather(*asked), 60)
        await relay.until(lambda: {row["rcpt"] for row in relay.records("d")} >= set(client.taken), "every message delivered", 60)
        some = next(iter(client.taken.values()))
        state = await client.get(session, some)
        assert (state["id"], state["state"]) == (some, "done")
        assert [one["event"] for one in state["timeline"]] == ["accepted", "delivered"]
        before = dict(client.taken)
        for name in ("n0-0", "n0-1"):
            await client.until_taken(session, name)
        assert client.taken == before
    assert await relay.stop() == 0
    assert Counter(row["rcpt"] for row in relay.records("r")) == dict.fromkeys(client.taken, 1)
    relay.check()


@pytest.mark.soak
async def test_what_got_202_is_delivered_after_thirty_kills(tmp_path: Path) -> None:
    await _killed(tmp_path, 30, 200)
