"""Reads from TLS are no larger than a record, and lose nothing."""

from __future__ import annotations

import ssl

import pytest
import trustme

from postwright.net.channel_binding import ServerContext
from postwright.net.dialer_tls import TlsContexts
from postwright.net.tls_record import RECORD, RecordObject


@pytest.fixture
def ends() -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """A client and our server after the handshake, joined in memory."""
    authority = trustme.CA()
    ours = ServerContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(ours)
    theirs = ssl.create_default_context()
    authority.configure_trust(theirs)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client, server = theirs.wrap_bio(back, there, server_hostname="localhost"), ours.wrap_bio(there, back, server_side=True)
    for end in (client, server, client, server):
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            pass
    return client, server


def test_a_record_at_a_time_and_nothing_lost(ends: tuple[ssl.SSLObject, ssl.SSLObject]) -> None:
    client, server = ends
    content = bytes(range(256)) * 400
    client.write(content)
    parts = []
    while sum(map(len, parts)) < len(content):
        parts.append(server.read(262144))
    assert b"".join(parts) == content
    assert max(map(len, parts)) == RECORD
    with pytest.raises(ssl.SSLWantReadError):
        server.read(262144)


def test_into_a_buffer_and_less_than_a_record(ends: tuple[ssl.SSLObject, ssl.SSLObject]) -> None:
    client, server = ends
    client.write(b"EHLO client.example\r\n")
    assert server.read(4) == b"EHLO"
    room = bytearray(100)
    assert server.read(100, room) == 17
    assert room.startswith(b" client.example\r\n")


def test_our_contexts_read_so(ends: tuple[ssl.SSLObject, ssl.SSLObject]) -> None:
    assert isinstance(ends[1], RecordObject)
    contexts = TlsContexts()
    for verify in (True, False):
        assert issubclass(contexts.context(verify=verify).sslobject_class, RecordObject)
