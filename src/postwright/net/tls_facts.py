"""What a handshake has told of an inbound connection, put into its `PeerFacts`.

Reads Python's TLS object and nothing else; raises nothing.
"""

from __future__ import annotations

import ssl

from msgspec.structs import replace

from postwright.net import channel_binding
from postwright.net.visit import PeerFacts


def secured(peer: PeerFacts, connection: ssl.SSLObject | None) -> PeerFacts:
    """`peer` with version, cipher, the client's certificate if one was shown (the handshake has verified it), and kinds of binding."""
    if connection is None:
        return peer
    cipher = connection.cipher()
    asked = connection.context.verify_mode is not ssl.CERT_NONE
    return replace(
        peer,
        tls=connection.version() or "",
        cipher=cipher[0] if cipher else "",
        certificate=(asked and connection.getpeercert(True)) or b"",
        channel=channel_binding.kinds(connection),
    )
