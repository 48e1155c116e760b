"""Random worlds in which every message waits for its signature: sessions end, settings change and shards die meanwhile, and the same holds.

POSTWRIGHT_WORLDS=1000 has more of them, as in `test_random_worlds`.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from msgspec.structs import replace
from tests.content.test_dkim_verify import mail_of
from tests.engine.test_random_worlds import COUNT, FIRST, HOME, Life

from postwright.content.dkim_key import SigningKey
from postwright.content.dkim_verify import Answer, candidates, judge
from postwright.engine.signatures import Signatures
from postwright.policy.settings import Assignment, DomainKey, Origin, Settings

seeds = pytest.mark.parametrize("seed", range(FIRST, FIRST + max(3, COUNT // 4)))


@cache
def key() -> SigningKey:
    return SigningKey(rsa.generate_private_key(65537, 2048))


class SignedLife(Life):
    """`folder` is where the key file is."""

    def __init__(self, seed: int, folder: Path, **more: Any) -> None:
        self.folder = folder
        super().__init__(seed, **more)

    def settings(self) -> Settings:
        file = self.folder / "key.pem"
        file.write_bytes(key().pem())
        settings = super().settings()
        everywhere, *others = settings.domains
        signs = replace(everywhere, assignments={**everywhere.assignments, "dkim_sign": Assignment("yes", Origin()),
                                                 "dkim_identity": Assignment(f"@{HOME}", Origin())})  # fmt: skip
        return replace(settings, domains=(signs, *others), domain_keys=(DomainKey("s", HOME, str(file)),))

    def check(self) -> None:
        super().check()
        record = key().record().encode()
        for receiver in self.receivers.values():
            for message in receiver.messages:
                mail = mail_of(message.content)
                assert [judge(mail, one, Answer((record,))).result for one in candidates(mail, 0.0)] == ["pass"]


@seeds
@pytest.mark.parametrize("shards", [1, 2])
def test_lives(seed: int, shards: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    life = SignedLife(seed, tmp_path, shards=shards)

    def later(signatures: Signatures, job: Any) -> None:
        """As a process does it: the signature comes when it comes."""
        signatures._gathered.append(job)
        life.world.node.clock.call_later(life.chance.choice((0.0, 0.0005, 0.3, 20.0)), signatures._turn)

    monkeypatch.setattr(Signatures, "_here", later)
    with life.world:
        life.live()
        life.check()
