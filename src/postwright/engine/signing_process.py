"""The process beside a shard that signs by RSA, so that neither the shard's loop nor its Python waits for the arithmetic.

    python -m postwright.engine.signing_process FD

Knows keys and digests and nothing of mail. Ends when its shard does: then its socket ends. What it is told is its own shard's word; a key
that cannot be read or a frame that is none ends it, and the shard signs by itself. A key that OpenSSL does not let sign (SHA-1, where that
is forbidden) is answered by an empty signature. Where the machine has lanes (`engine.rsa_lanes`), what came together is signed together.
"""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Sequence
from typing import Final, NamedTuple

from postwright.content.dkim_key import SigningKey, private_key
from postwright.engine import signing_frames as f
from postwright.engine.crypto_mb import Unavailable
from postwright.engine.rsa_lanes import FEWEST, LANES, SHA256, LaneKey, Lanes, lane_key

READ = 65536
BATCH: Final = 4  # signatures that are made one by one and told together: a millisecond


class Wanted(NamedTuple):
    """A signature that somebody waits for. `lane`: the key for the lanes, None when it is not for them."""

    number: int
    key: SigningKey
    lane: LaneKey | None
    digest: bytes


class Hand:
    """Knows the keys, by the numbers that the shard gave them, and signs."""

    def __init__(self, lanes: Lanes | None) -> None:
        self._lanes = lanes
        self._keys: dict[int, tuple[SigningKey, LaneKey | None]] = {}

    def learn(self, number: int, pem: bytes) -> None:
        """The key of that number from now on. Raises ValueError."""
        key = private_key(pem)
        self._keys[number] = (key, lane_key(key) if self._lanes is not None else None)

    def wanted(self, number: int, order: bytes) -> Wanted:
        """What a SIGN frame asks for."""
        key, digest = f.ordered(order)
        known, lane = self._keys[key]
        return Wanted(number, known, lane if len(digest) == SHA256 else None, digest)

    def answers(self, some: Sequence[Wanted]) -> bytes:
        """To what can be signed together (`together`). A signature that OpenSSL refuses is empty."""
        made, bits = [b""] * len(some), _size(some[0])
        if self._lanes is not None and bits and len(some) >= FEWEST[bits]:
            made = self._lanes.sign([one.lane for one in some if one.lane is not None], [one.digest for one in some])
        frames = [f.frame(f.SIGN, one.number, found or signature(one.key, one.digest)) for one, found in zip(some, made, strict=True)]
        return b"".join(frames)


def together(waiting: Sequence[Wanted]) -> tuple[list[Wanted], list[Wanted]]:
    """As many as can be signed with the first of those that wait; and the others."""
    bits = _size(waiting[0])
    most = LANES if bits else BATCH
    some: list[Wanted] = []
    others: list[Wanted] = []
    for one in waiting:
        (some if len(some) < most and _size(one) == bits else others).append(one)
    return some, others


def _size(one: Wanted) -> int:
    return one.lane.bits if one.lane is not None else 0


def serve(sock: socket.socket, lanes: Lanes | None = None) -> None:
    """Until the other end is gone. Raises ValueError, OSError. What has come while some were signed goes with those that were left."""
    frames, hand, waiting = f.Frames(), Hand(lanes), list[Wanted]()
    while True:
        if len(waiting) < LANES:
            octets = _come(sock, wait=not waiting)
            if octets == b"":
                return
            for kind, number, body in frames.take(octets or b""):
                if kind == f.KEY:
                    hand.learn(number, body)
                else:
                    waiting.append(hand.wanted(number, body))
        if waiting:
            some, waiting = together(waiting)
            sock.sendall(hand.answers(some))


def _come(sock: socket.socket, *, wait: bool) -> bytes | None:
    """b"" at the end; None when nothing has come and nobody waits for it."""
    try:
        return sock.recv(READ, 0 if wait else socket.MSG_DONTWAIT)
    except BlockingIOError:
        return None


def lanes_here() -> Lanes | None:
    """None where the machine, or the installation, has none."""
    try:
        return Lanes()
    except Unavailable:
        return None


def signature(key: SigningKey, digest: bytes) -> bytes:
    """b"" where OpenSSL refuses."""
    try:
        return key.sign_digest(digest)
    except Exception:  # its own internal errors, too: a thousand others wait for this process
        return b""


def main() -> None:
    """Of the process. An interrupt from the terminal is for the relay, which will tell us by hanging up."""
    for number in (signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    with socket.socket(fileno=int(sys.argv[1])) as sock:
        serve(sock, lanes_here())


if __name__ == "__main__":
    main()
