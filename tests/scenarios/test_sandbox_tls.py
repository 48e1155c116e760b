"""The sandbox speaks TLS out of the box, with a certificate that it makes, keeps, and makes anew before it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import smtplib
import ssl
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from postwright.engine.self_signed import self_signed_pem
from postwright.testing.sockets import free_port


@asynccontextmanager
async def sandbox(folder: Path, port: int, smtps: int) -> AsyncIterator[None]:
    """`postwright run` without a configuration, until it takes mail; then Ctrl-C."""
    command = [sys.executable, "-m", "postwright", "run", "--state-dir", str(folder), "--port", str(port), "--smtps-port", str(smtps)]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, start_new_session=True
    )
    assert process.stdout is not None
    said = b""
    try:
        async with asyncio.timeout(30):
            while b"Ctrl-C stops" not in said:
                line = await process.stdout.readline()
                assert line, said.decode()
                said += line
        assert f"TLS from the start on 127.0.0.1:{smtps}".encode() in said
        yield
        os.killpg(process.pid, signal.SIGINT)
        async with asyncio.timeout(30):
            rest, _ = await process.communicate()
        assert process.returncode == 0
        assert b"Traceback" not in said + rest
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


def send(port: int, context: ssl.SSLContext, at_once: bool) -> None:
    if at_once:
        client = smtplib.SMTP_SSL("localhost", port, context=context, timeout=20)
    else:
        client = smtplib.SMTP("localhost", port, timeout=20)
        client.starttls(context=context)
    with client:
        assert client.sendmail("you@example.org", ["friend@example.com"], "Subject: over TLS\n\nIt works.\n") == {}


async def test_who_trusts_its_certificate_sends_by_either_way(tmp_path: Path) -> None:
    port, smtps, kept = free_port(), free_port(), tmp_path / "sandbox.pem"
    kept.write_bytes(b"".join(self_signed_pem(days=3)))  # of an earlier run, and ending soon
    old = kept.read_bytes()
    async with sandbox(tmp_path, port, smtps):
        assert kept.read_bytes() != old
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        trusting = ssl.create_default_context(cafile=str(kept))
        await asyncio.to_thread(send, port, trusting, False)
        await asyncio.to_thread(send, smtps, trusting, True)
    made = kept.read_bytes()
    assert len(list((tmp_path / "inbox").glob("*.eml"))) == 2
    async with sandbox(tmp_path, port, smtps):
        assert kept.read_bytes() == made
