"""What `postwright init` writes is a relay: it starts, its user sends by 587 and 465, and nobody else gets anything out of it."""

from __future__ import annotations

import asyncio
import re
import smtplib
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from postwright.testing.relay_process import RelayProcess
from postwright.testing.sink import SinkServer
from postwright.testing.sockets import free_port

LETTER = "From: shop@sender.example\r\nSubject: your order\r\n\r\nThank you.\r\n"


def make(folder: Path, *ports: int) -> str:
    """`postwright init` in `folder`; the password that it tells."""
    mx, submission, smtps = map(str, ports)
    command = [sys.executable, "-m", "postwright", "init", "--output", str(folder / "relay.conf"), "--dir", str(folder / "state")]
    command += ["--host-name", "localhost", "--domain", "sender.example", "--user", "shop", "--address", "127.0.0.1", "--run-as-root"]
    command += ["--mx-port", mx, "--submission-port", submission, "--smtps-port", smtps, "--relay-domain", "bounce.sender.example", "--yes"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r"^user shop, password (\S+) \(shown this once", done.stdout, re.MULTILINE)
    assert found is not None
    return found[1]


def submit(port: int, context: ssl.SSLContext, password: str, at_once: bool) -> None:
    if at_once:
        client = smtplib.SMTP_SSL("localhost", port, context=context, timeout=20)
    else:
        client = smtplib.SMTP("localhost", port, timeout=20)
        client.ehlo()
        assert not client.has_extn("auth")
        with pytest.raises(smtplib.SMTPNotSupportedError):
            client.login("shop", password)
        client.starttls(context=context)
    with client:
        with pytest.raises(smtplib.SMTPAuthenticationError):
            client.login("shop", "wrong")
        client.login("shop", password)
        assert client.sendmail("shop@sender.example", ["bob@there.example"], LETTER) == {}


def refused(port: int, recipient: str) -> int:
    """The reply to a recipient of somebody who has not logged in."""
    with smtplib.SMTP("localhost", port, timeout=20) as client:
        client.ehlo()
        client.mail("stranger@elsewhere.example")
        return int(client.rcpt(recipient)[0])


async def test_it_starts_and_its_user_sends(tmp_path: Path) -> None:
    mx, submission, smtps = free_port(), free_port(), free_port()
    password = await asyncio.to_thread(make, tmp_path, mx, submission, smtps)
    written = (tmp_path / "relay.conf").read_text()
    async with SinkServer() as sink:
        config = f"{written}\n<domain *>\nsmtp-hosts [127.0.0.1]:{sink.port}\n</domain>\n"
        async with RelayProcess(tmp_path, config) as relay:
            trusting = ssl.create_default_context(cafile=str(tmp_path / "postwright.pem"))
            await asyncio.to_thread(submit, submission, trusting, password, False)
            await asyncio.to_thread(submit, smtps, trusting, password, True)
            messages = await sink.wait_for(2)
            assert {message.recipients[0] for message in messages} == {"bob@there.example"}
            assert all("with ESMTPSA" in " ".join(str(message.parsed["Received"]).split()) for message in messages)
            for port, recipient, code in (
                (mx, "bob@there.example", 550),
                (mx, "x@bounce.sender.example", 250),
                (mx, "postmaster@localhost", 250),
                (submission, "bob@there.example", 550),
            ):
                assert await asyncio.to_thread(refused, port, recipient) == code, (port, recipient)
            assert len(await relay.wait_for_records("d", 2)) == 2
            assert not any(password in path.read_text("utf-8", "replace") for path in tmp_path.rglob("*") if path.is_file())
