"""Certificates for tests: files of a small authority of our own, and handshakes in memory between a client and a context."""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme


def server(ca: trustme.CA, path: Path, *names: str, **options: object) -> str:
    """A certificate for `names` with chain and key in one file, PowerMTA's form."""
    made = ca.issue_cert(*names, **options)  # type: ignore[arg-type]
    path.touch(mode=0o600)
    path.write_bytes(made.cert_chain_pems[0].bytes() + b"".join(p.bytes() for p in made.cert_chain_pems[1:]) + made.private_key_pem.bytes())
    return str(path)


def client(ca: trustme.CA | None = None) -> ssl.SSLContext:
    """A client that trusts `ca`, or anybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        ca.configure_trust(context)
    return context


def shake(
    server_side: ssl.SSLContext, client_side: ssl.SSLContext, name: str | None = "relay.example", session: ssl.SSLSession | None = None
) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Both ends after a handshake in memory; what either end says of a failed one is raised."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = server_side.wrap_bio(to_server, to_client, server_side=True)
    theirs = client_side.wrap_bio(to_client, to_server, server_hostname=name, session=session)
    open_ends = [theirs, ours]
    for _ in range(10):
        for end in list(open_ends):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            open_ends.remove(end)
        if not open_ends:
            break
    assert not open_ends, "the handshake did not end"
    for end in (theirs, ours):  # tickets of TLS 1.3 come behind the handshake
        try:
            end.read(1)
        except ssl.SSLWantReadError:
            pass
    return ours, theirs
