"""Keys in a vault: both versions of its KV store, what it refuses, and how long a key is kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric import ed25519

from postwright.content.dkim_key import SigningKey
from postwright.engine.dkim_keys import Broken, KeyFiles
from postwright.engine.vault_keys import AGAIN, VaultKeys
from postwright.policy.settings import DomainKey, Settings, VaultSettings
from postwright.testing.fake_clock import FakeClock

KEY = SigningKey(ed25519.Ed25519PrivateKey.generate())
PEM = KEY.pem().decode()


class VaultServer:
    """A vault on loopback: `answers` by path; `asked` are the paths, in order; it wants the token."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[str] = []
        self.port = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        path = head.split(" ")[1]
        self.asked.append(path)
        allowed = "X-Vault-Token: s3cret" in head
        body = msgspec.json.encode(self.answers.get(path)) if allowed else b"{}"
        status = "200 OK" if allowed and path in self.answers else "404 Not Found" if allowed else "403 Forbidden"
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def vault() -> AsyncIterator[VaultServer]:
    served = VaultServer()
    server = await asyncio.start_server(served.answer, "127.0.0.1", 0)
    served.port = server.sockets[0].getsockname()[1]
    async with server:
        yield served


def settings(port: int, *files: str, token: str = "s3cret") -> Settings:
    keys = tuple(DomainKey("s", f"d{number}.example", file) for number, file in enumerate(files))
    return Settings(domain_keys=keys, vault=VaultSettings(f"http://127.0.0.1:{port}/", token, 3600.0))


@pytest.mark.directive("server-url", "access-token", "vault", "domain-key")
async def test_both_versions_of_the_store() -> None:
    async with vault() as server:
        server.answers["/v1/secret/dkim"] = {"data": {"one": PEM, "bad": "no key", "number": 7}}
        server.answers["/v1/kv/data/dkim"] = {"data": {"data": {"two": PEM}, "metadata": {"version": 3}}}
        rests = ("/secret/dkim:one", "/secret/dkim:bad", "/secret/dkim:number", "/kv/data/dkim:two", "/no:x")
        files = [f"{{vault}}:{rest}" for rest in rests]
        now = settings(server.port, *files)
        keys = VaultKeys(FakeClock(), structlog.get_logger())
        assert isinstance(keys.get(files[0]), Broken)
        await keys.fetch(now)
        found = [KeyFiles(now, keys).get(key) for key in now.domain_keys]
    assert [one.record() if isinstance(one, SigningKey) else one.reason for one in found] == [
        KEY.record(),
        "holds no private key in PEM form",
        "the vault has no such key there",
        KEY.record(),
        "the vault answers 404",
    ]
    assert sorted(server.asked) == ["/v1/kv/data/dkim", "/v1/no", "/v1/secret/dkim"], "each path is asked for once"


@pytest.mark.directive("cache-ttl")
async def test_a_key_is_kept_and_outlives_its_vault() -> None:
    file = "{vault}:/secret/dkim:one"
    clock = FakeClock()
    keys = VaultKeys(clock, structlog.get_logger())
    async with vault() as server:
        server.answers["/v1/secret/dkim"] = {"data": {"one": PEM}}
        now = settings(server.port, file)
        for wait in (0.0, 3599.0, 2.0):
            await clock.advance(wait)
            await keys.fetch(now)
        assert server.asked == ["/v1/secret/dkim"] * 2
    await clock.advance(3601.0)
    await keys.fetch(now)
    assert isinstance(keys.get(file), SigningKey), "better an old key than none"


async def test_who_is_refused_asks_again_and_tells_no_secret(capsys: pytest.CaptureFixture[str]) -> None:
    file = "{vault}:/secret/dkim:one"
    clock = FakeClock()
    keys = VaultKeys(clock, structlog.get_logger())
    async with vault() as server:
        server.answers["/v1/secret/dkim"] = {"data": {"one": PEM}}
        await keys.fetch(settings(server.port, file, token="wr0ng"))
        assert keys.get(file) == Broken("the vault answers 403")
        await keys.fetch(settings(server.port, file))
        assert isinstance(keys.get(file), Broken), "not at once"
        await clock.advance(AGAIN)
        await keys.fetch(settings(server.port, file))
        assert isinstance(keys.get(file), SigningKey)
    told = capsys.readouterr()
    assert "403" in told.out + told.err
    assert "wr0ng" not in told.out + told.err + repr(settings(1, file, token="wr0ng"))


async def test_without_a_vault() -> None:
    file = "{vault}:/secret/dkim:one"
    keys = VaultKeys(FakeClock(), structlog.get_logger())
    await keys.fetch(Settings(domain_keys=(DomainKey("s", "a.example", file),)))
    assert keys.get(file) == Broken("lies in a vault, and there is no <vault>")
    await keys.fetch(settings(1))
