"""MTA-STS policies of receivers (RFC 8461): asked for by the DNS, fetched over HTTPS, kept for as long as they say, across restarts.

    first mail for a domain     the TXT record, and where there is one the policy: that connection waits, all others of the domain with it
    later                       what is kept; a new id in the record, or an end that comes near, has it fetched beside the mail
    the web server is away      what is kept stays in force until its end (section 5.1); without any there is no policy, and the next try is
                                in five minutes (section 3.3)

A record that has gone takes no policy with it: whoever can forge the DNS could take away what protects against him. Never raises; a file
that cannot be read or written is as good as none.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from postwright.model.route import MxStatus
from postwright.net.clock import Clock
from postwright.net.resolver import Resolver
from postwright.net.sts_fetch import Fetched, fetch
from postwright.policy import mta_sts
from postwright.policy.mta_sts import StsPolicy

MOST: Final = 10_000  # policies kept, in memory and in the folder; the oldest leaves
LONGEST: Final = 31_557_600.0  # seconds; section 3.2 has the same bound for max_age
PATIENCE: Final = 30.0  # seconds for a fetch; section 3.3 suggests a minute, and mail waits for the first
AGAIN: Final = 300.0  # seconds from a fetch that failed to the next

Fetch = Callable[[str, tuple[str, ...]], Awaitable[Fetched]]


class Kept(Struct, frozen=True):
    """A policy as the folder has it; `expires` Unix seconds."""

    domain: str
    id: str
    policy: StsPolicy
    expires: float


class StsAnswer(Struct, frozen=True):
    """The policy in force, or None; and why there is none where the domain says that it has one, as RFC 8460 section 4.3.2.2 calls it."""

    policy: StsPolicy | None = None
    result: str = ""
    why: str = ""


NOTHING = StsAnswer()


def fetcher(port: int = 443, ca_file: str = "") -> Fetch:
    """Fetches as the world does; tests have other ports and authorities."""

    async def get(host: str, addresses: tuple[str, ...]) -> Fetched:
        return await fetch(host, addresses, port, PATIENCE, ca_file)

    return get


class StsCache:
    """Of one shard; the folder is shared by all of them, a file for each domain."""

    def __init__(self, clock: Clock, resolver: Callable[[], Resolver], folder: Path, get: Fetch | None = None) -> None:
        self._clock = clock
        self._resolver = resolver
        self._folder = folder
        self._fetch = get or fetcher()
        self._kept: dict[str, Kept] = {}
        self._failed: dict[str, tuple[float, StsAnswer]] = {}
        self._running: dict[str, asyncio.Task[StsAnswer]] = {}
        self._on_disk: set[str] | None = None

    async def policy(self, domain: str) -> StsAnswer:
        """The policy of a mail domain (A-labels, lower case)."""
        now = self._clock.now()
        record = await self._resolver().texts(f"_mta-sts.{domain}")
        found = mta_sts.record_id(record.texts) if record.status is MxStatus.FOUND else None
        kept = self._find(domain, now)
        failed = self._failed.get(domain)
        waits = failed is not None and failed[0] > now
        if kept is not None:
            if found is not None and not waits and (found != kept.id or _ends_soon(kept, now)):
                self._begin(domain, found)
            return StsAnswer(kept.policy)
        if found is None:
            return NOTHING
        if failed is not None and waits:
            return failed[1]
        return await asyncio.shield(self._begin(domain, found))

    async def close(self) -> None:
        """Give up what is being fetched."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _begin(self, domain: str, record: str) -> asyncio.Task[StsAnswer]:
        task = self._running.get(domain)
        if task is None:
            task = self._running[domain] = asyncio.ensure_future(self._renew(domain, record))
            task.add_done_callback(lambda _: self._running.pop(domain, None))
        return task

    async def _renew(self, domain: str, record: str) -> StsAnswer:
        host = f"mta-sts.{domain}"
        where = await self._resolver().addresses(host)
        now = self._clock.now()
        if where.status is not MxStatus.FOUND:
            return self._fails(domain, "sts-policy-fetch-error", f"{host} has no address", now)
        fetched = await self._fetch(host, where.addresses)
        if fetched.problem:
            result = "sts-webpki-invalid" if fetched.certificate else "sts-policy-fetch-error"
            return self._fails(domain, result, fetched.problem, now)
        policy = mta_sts.read_policy(fetched.text)
        if policy.problem:
            return self._fails(domain, "sts-policy-invalid", policy.problem, now)
        self._failed.pop(domain, None)
        self._keep(Kept(domain, record, policy, now + min(policy.max_age, LONGEST)))
        return StsAnswer(policy)

    def _fails(self, domain: str, result: str, why: str, now: float) -> StsAnswer:
        answer = StsAnswer(None, result, why)
        self._failed.pop(domain, None)
        self._failed[domain] = (now + AGAIN, answer)
        if len(self._failed) > MOST:
            del self._failed[next(iter(self._failed))]
        return answer

    # the folder ------------------------------------------------------------------------------------------------------

    def _find(self, domain: str, now: float) -> Kept | None:
        kept = self._kept.get(domain)
        if kept is None and self._name(domain) in self._files():
            kept = self._read(domain)
            if kept is not None:
                self._remember(kept)
        return kept if kept is not None and kept.expires > now else None

    def _keep(self, kept: Kept) -> None:
        self._remember(kept)
        name, files = self._name(kept.domain), self._files()
        with contextlib.suppress(OSError):
            self._folder.mkdir(mode=0o700, exist_ok=True)
            if name not in files and len(files) >= MOST:
                self._drop_oldest(files)
            fresh = self._folder / f"{name}.{os.getpid()}.new"
            fresh.write_bytes(msgspec.json.encode(kept))
            os.replace(fresh, self._folder / name)
            files.add(name)

    def _remember(self, kept: Kept) -> None:
        self._kept.pop(kept.domain, None)
        self._kept[kept.domain] = kept
        if len(self._kept) > MOST:
            del self._kept[next(iter(self._kept))]

    def _read(self, domain: str) -> Kept | None:
        try:
            kept = msgspec.json.decode((self._folder / self._name(domain)).read_bytes(), type=Kept)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return None
        return kept if kept.domain == domain else None

    def _files(self) -> set[str]:
        """Names in the folder, listed once: what other shards put there since, this one fetches for itself."""
        if self._on_disk is None:
            try:
                self._on_disk = {name for name in os.listdir(self._folder) if name.endswith(".json")}
            except OSError:
                self._on_disk = set()
        return self._on_disk

    def _drop_oldest(self, files: set[str]) -> None:
        """A tenth of them at a time, so that not every policy past the bound has the whole folder looked at."""
        aged = sorted((self._age(name), name) for name in files)
        for _, name in aged[: max(1, MOST // 10)]:
            (self._folder / name).unlink(missing_ok=True)
            files.discard(name)

    def _age(self, name: str) -> float:
        try:
            return (self._folder / name).stat().st_mtime
        except OSError:
            return 0.0

    @staticmethod
    def _name(domain: str) -> str:
        return f"{sha256(domain.encode()).hexdigest()[:40]}.json"


def _ends_soon(kept: Kept, now: float) -> bool:
    """Less than half of its time, or a day, is left: an attacker who keeps us from the web server for that long is seen first."""
    return kept.expires - now < min(kept.policy.max_age / 2, 86400.0)
