"""PHP's mail() and a job of cron's, unmodified, through `postwright sendmail`: with the relay there, and with the relay down."""

from __future__ import annotations

import os
import sys
from email.header import decode_header, make_header
from pathlib import Path

import pytest
from tests.interop.peers import Needs, run
from tests.scenarios.alone import Alone

from postwright.testing.sink import SinkServer

SCRIPT = """
$to = $argv[1];
$headers = ['From' => 'Shop <shop@client.example>', 'Cc' => 'copy@example.com', 'Content-Type' => 'text/plain; charset=utf-8'];
var_export(mail($to, mb_encode_mimeheader('Grüße', 'UTF-8'), "Hello\\n.\\nend\\n", $headers, '-fbounces@client.example'));
"""
PICKUP = "pickup in bad\n"


@pytest.mark.needs("phpmailer")
async def test_mail_of_php_and_cron(tmp_path: Path, needs: Needs, monkeypatch: pytest.MonkeyPatch) -> None:
    php, folder = needs("phpmailer"), tmp_path / "state/in"
    folder.mkdir(parents=True)
    async with SinkServer() as sink:
        relay = Alone(tmp_path, sink, PICKUP)
        settings = tmp_path / "sendmail.conf"
        settings.write_text(f"relay 127.0.0.1:{relay.port}\nfolder {folder}\n")
        monkeypatch.setenv("POSTWRIGHT_SENDMAIL", str(settings))
        program = f"{sys.executable} -m postwright sendmail"
        mail = (str(php), "-d", f"sendmail_path={program} -t -i", "-r", SCRIPT)
        down = await run(*mail, "later@example.com")
        assert (down.stdout, len(os.listdir(folder))) == (b"true", 1)
        async with relay:
            up = await run(*mail, "you@example.com")
            assert up.stdout == b"true"
            words = f"{program} -FCronDaemon -i -B8BITMIME -oem ops@example.com"
            await run("/bin/sh", "-c", words, stdin=b"Subject: Cron <root@host>\n\noutput\n")
            await sink.wait_for(3)
            assert await relay.stop() == 0
        assert sorted(os.listdir(folder)) == [".postwright"]
        by = {message.recipients[0]: message for message in sink.messages}
        assert set(by) == {"later@example.com", "you@example.com", "ops@example.com"}
        for name in ("later", "you"):
            message = by[f"{name}@example.com"]
            assert message.sender == "bounces@client.example"
            assert message.recipients == [f"{name}@example.com", "copy@example.com"]
            assert str(make_header(decode_header(message.parsed["Subject"]))) == "Grüße"
            assert message.parsed["From"] == "Shop <shop@client.example>"
            assert message.content.endswith(b"\r\n\r\nHello\r\n.\r\nend\r\n\r\n")
        assert by["ops@example.com"].parsed["From"].startswith("CronDaemon <")
