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

from postwright.content import arc
from postwright.content.dkim_key import SigningKey
from postwright.content.dkim_verify import Answer, candidates, judge
from postwright.engine.signatures import Signatures
from postwright.policy.settings import Assignment, DomainKey, Origin, Settings

seeds = pytest.mark.parametrize("seed", range(FIRST, FIRST + max(3, COUNT // 4)))


@cache
def key() -> SigningKey:
    return SigningKey(rsa.generate_private_key(65537, 2048))


class SignedLife(Life):
    """`folder` is where the key file is. Every other life seals, too (ARC): three signatures for each message, one after the other."""

    def __init__(self, seed: int, folder: Path, **more: Any) -> None:
        self.folder = folder
        self.seals = seed % 2 == 0
        super().__init__(seed, **more)

    def settings(self) -> Settings:
        file = self.folder / "key.pem"
        file.write_bytes(key().pem())
        settings = super().settings()
        everywhere, *others = settings.domains
        signs = replace(everywhere, assignments={**everywhere.assignments, "dkim_sign": Assignment("yes", Origin()),
                                                 "dkim_identity": Assignment(f"@{HOME}", Origin()),
                                                 "arc_seal": Assignment(self.seals, Origin()),
                                                 "arc_seal_identity": Assignment(f"@{HOME}", Origin())})  # fmt: skip
        (source,) = settings.sources
        looks = replace(source, assignments={**source.assignments, "check_arc_inbound": Assignment(self.seals, Origin())})
        return replace(settings, domains=(signs, *others), domain_keys=(DomainKey("s", HOME, str(file)),), sources=(looks,))

    def check(self) -> None:
        super().check()
        record, sealed = key().record().encode(), 0
        for receiver in self.receivers.values():
            for message in receiver.messages:
                mail = mail_of(message.content)
                assert [judge(mail, one, Answer((record,))).result for one in candidates(mail, 0.0)] == ["pass"]
                state = arc.judge(mail, arc.read(mail), {f"s._domainkey.{HOME}": Answer((record,))}).state
                assert state == ("pass" if mail.fields[0].name == arc.SEAL else "none")
                assert (state == "pass") == (b"\r\nAuthentication-Results: relay.example" in message.content)
                sealed += state == "pass"
        assert bool(sealed) == self.seals


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
