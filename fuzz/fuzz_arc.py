"""Fuzzes what reads and seals chains of ARC: nothing may be raised, a state is one of three, a set has three fields and is found again."""

from __future__ import annotations

from typing import Final

import common
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from postwright.content.arc import FAIL, MESSAGE, NONE, PASS, RESULTS, SEAL, judge, read
from postwright.content.arc_seal import seal
from postwright.content.dkim_canon import Mail, header_fields
from postwright.content.dkim_key import SigningKey
from postwright.content.dkim_verify import Answer
from postwright.wire.body import scan

KEY: Final = SigningKey(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
ANSWER: Final = Answer((KEY.record().encode(),))


def _mail(octets: bytes) -> Mail:
    size = scan(octets).header_size
    return Mail(octets[:size], octets[size:])


def _sealed(octets: bytes) -> bytes:
    """With one more set, if it gets one; the state of the chain is as it was, or pass where there was none."""
    mail = _mail(octets)
    chain = read(mail)
    names = chain.key_names if chain is not None else []
    verdict = judge(mail, chain, dict.fromkeys(names, ANSWER))
    assert verdict.state in {NONE, PASS, FAIL}
    assert verdict.reason.isascii()
    return seal(mail, chain, verdict, KEY, "s", "a.example", "us.example", (b"from", b"subject"), 1.0)


PLAIN: Final = b"Authentication-Results: us.example; spf=pass\r\nFrom: a\r\nSubject: b\r\n\r\nbody\r\n"
ONCE: Final = _sealed(PLAIN) + PLAIN
SEEDS: Final = (PLAIN, ONCE, _sealed(ONCE) + ONCE, ONCE.replace(b"cv=none", b"cv=fail"), ONCE.replace(b"i=1", b"i=2"))


def fuzz_one(data: bytes) -> None:
    made = _sealed(data)
    if made:
        assert [field.name for field in header_fields(made)] == [SEAL, MESSAGE, RESULTS]
    if made and data[:1].isalpha() and b":" in data[:20]:
        again = _mail(made + data)
        chain = read(again)
        assert chain is not None
        assert chain.sets or chain.problem


if __name__ == "__main__":
    common.run(fuzz_one, SEEDS)
