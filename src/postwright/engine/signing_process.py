"""The process beside a shard that signs by RSA, so that neither the shard's loop nor its Python waits for the arithmetic.

    python -m postwright.engine.signing_process FD

Knows keys and digests and nothing of mail. Ends when its shard does: then its socket ends. What it is told is its own shard's word; a key
that cannot be read or a frame that is none ends it, and the shard signs by itself. A key that OpenSSL does not let sign (SHA-1, where that
is forbidden) is answered by an empty signature.
"""

from __future__ import annotations

import signal
import socket
import sys

from postwright.content.dkim_key import SigningKey, private_key
from postwright.engine import signing_frames as f

READ = 65536
BATCH = 4  # signatures that are told together: a millisecond


def serve(sock: socket.socket) -> None:
    """Until the other end is gone. Raises ValueError, OSError."""
    frames, keys = f.Frames(), dict[int, SigningKey]()
    while octets := sock.recv(READ):
        made: list[bytes] = []
        for kind, number, body in frames.take(octets):
            if kind == f.KEY:
                keys[number] = private_key(body)
                continue
            key, digest = f.ordered(body)
            made.append(f.frame(f.SIGN, number, signature(keys[key], digest)))
            if len(made) == BATCH:
                sock.sendall(b"".join(made))
                made.clear()
        if made:
            sock.sendall(b"".join(made))


def signature(key: SigningKey, digest: bytes) -> bytes:
    """b"" where OpenSSL refuses."""
    try:
        return key.sign_digest(digest)
    except Exception:  # its own internal errors, too: a thousand others wait for this process
        return b""


def main() -> None:
    """Of the process. An interrupt from the terminal is for the relay, which will tell us by hanging up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with socket.socket(fileno=int(sys.argv[1])) as sock:
        serve(sock)


if __name__ == "__main__":
    main()
