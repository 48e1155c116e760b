"""Keys that sign mail and lie in a vault (`domain-key S, D, {vault}:/PATH:KEY` with a `<vault>`): HashiCorp Vault's KV store over HTTP.

All that the settings name is fetched before they are put in force, and again when `cache-ttl` is over; a key that was had once goes on
signing while the vault cannot be reached. Token and keys are in no message and no repr. Nothing is raised: what cannot be had is a
`Broken`, and mail that it should sign waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any, Final

import msgspec
import structlog
from msgspec import Struct

from postwright.content.dkim_key import SigningKey
from postwright.engine.dkim_keys import VAULT, Broken, domain_keys, made
from postwright.net.clock import Clock, SystemClock
from postwright.net.http_client import HttpClient, HttpFailed
from postwright.policy.settings import Settings, VaultSettings

PATIENCE: Final = 10.0  # seconds for one answer
AGAIN: Final = 60.0  # seconds until a vault that did not answer is asked again
TOKEN: Final = "X-Vault-Token"


class _Kept(Struct):
    key: SigningKey | Broken
    until: float


class VaultKeys:
    """Of one shard."""

    def __init__(self, clock: Clock, log: structlog.stdlib.BoundLogger) -> None:
        self._clock = clock
        self._log = log
        self._kept: dict[str, _Kept] = {}

    def get(self, file: str) -> SigningKey | Broken:
        """The key `{vault}:/PATH:KEY`, as it was fetched last."""
        kept = self._kept.get(file)
        return Broken("was not fetched from the vault yet") if kept is None else kept.key

    def forget(self) -> int:
        """How many keys are no longer fresh: the next `fetch` asks for them, and until it has them the old ones do."""
        for kept in self._kept.values():
            kept.until = 0.0
        return len(self._kept)

    async def fetch(self, settings: Settings) -> None:
        """All keys that these settings name and that are not fresh."""
        await self.have({key.file for key in domain_keys(settings)}, settings.vault)

    async def have(self, files: Collection[str], vault: VaultSettings | None) -> None:
        """Those of these files that lie in a vault and are not fresh."""
        now = self._clock.now()
        wanted = sorted([file for file in files if file.startswith(VAULT)])
        stale = [file for file in wanted if file not in self._kept or self._kept[file].until <= now]
        if not stale:
            return
        if vault is None:
            for file in stale:
                self._keep(file, Broken("lies in a vault, and there is no <vault>"), now + AGAIN)
            return
        paths: dict[str, list[str]] = {}
        for file in stale:
            paths.setdefault(_path(file), []).append(file)
        client = HttpClient(PATIENCE)
        try:
            await asyncio.gather(*[self._one(client, vault, path, of) for path, of in paths.items()])
        finally:
            await client.close()

    async def _one(self, client: HttpClient, vault: VaultSettings, path: str, files: list[str]) -> None:
        now = self._clock.now()
        try:
            answer = await client.get(f"{vault.server_url.rstrip('/')}/v1{path}", {TOKEN: vault.access_token})
            found: dict[str, object] | str = secrets(answer.body) if answer.status == 200 else f"the vault answers {answer.status}"
        except HttpFailed as error:
            found = f"the vault does not answer: {error}"
        for file in files:
            key = Broken(found) if isinstance(found, str) else _key(found.get(file.rpartition(":")[2]))
            if isinstance(key, Broken):
                self._log.error("a domain-key cannot be had from the vault", path=path, reason=key.reason)
                self._keep(file, key, now + AGAIN)
            else:
                self._keep(file, key, now + vault.cache_ttl)

    def _keep(self, file: str, key: SigningKey | Broken, until: float) -> None:
        before = self._kept.get(file)
        if isinstance(key, Broken) and before is not None and isinstance(before.key, SigningKey):
            before.until = until  # better an old key than none
        else:
            self._kept[file] = _Kept(key, until)


async def asked(files: Collection[str], vault: VaultSettings | None) -> dict[str, SigningKey | Broken]:
    """What a vault has for those of these files that are in one, asked now, for a command: only the `Broken` says why it has none."""
    keys = VaultKeys(SystemClock(), structlog.wrap_logger(None, processors=[_silent]))
    await keys.have(files, vault)
    return {file: keys.get(file) for file in files if file.startswith(VAULT)}


def _silent(logger: Any, level: str, event: Any) -> Any:
    raise structlog.DropEvent


def secrets(body: bytes) -> dict[str, object]:
    """What an answer holds, by name; of version 2 of the KV store one level deeper than of version 1. Nothing where it is none."""
    try:
        document = msgspec.json.decode(body, type=dict[str, object])
    except msgspec.DecodeError:
        return {}
    data = document.get("data")
    if not isinstance(data, dict):
        return {}
    inner = data.get("data")
    return inner if isinstance(inner, dict) and "metadata" in data else data


def _path(file: str) -> str:
    """`/PATH` of `{vault}:/PATH:KEY`."""
    return file.removeprefix(f"{VAULT}:").rpartition(":")[0]


def _key(text: object) -> SigningKey | Broken:
    if not isinstance(text, str):
        return Broken("the vault has no such key there")
    return made(text.encode("utf-8", "replace"))
