"""docs/guides/sending-from-programs.md: its programs, in Python, Django, Node and PHP, send; changed are host, port, trust. 2 seconds."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import trustme
from tests.interop.peers import Needs, run

from postwright.testing.relay_process import RelayProcess, plain_config
from postwright.testing.sink import SinkServer
from postwright.testing.sockets import free_port

GUIDE = (Path(__file__).parents[2] / "docs/guides/sending-from-programs.md").read_text("utf-8")
RULES = """
smtp-server-tls-certificate {folder}/relay.pem
smtp-listener 127.0.0.1:{submission} source={{submission}}
<source {{submission}}>
    require-auth yes
    allow-starttls yes
    require-starttls-before-auth yes
    process-x-job yes
</source>
<smtp-user shop>
    password change-me
</smtp-user>
<domain *>
    smtp-hosts [127.0.0.1]:{sink}
</domain>
"""
DJANGO = """
import django
from django.conf import settings
from django.core.mail import send_mail
settings.configure(**{name: value for name, value in list(globals().items()) if name.isupper()})
django.setup()
send_mail("Your order", "Thank you.", None, ["you@example.org"])
"""
PHP = "<?php\nrequire 'libphp-phpmailer/autoload.php';\n"
PROGRAMS = ("python", "django", "node", "php")


def blocks(kind: str, port: int) -> list[str]:
    found = re.findall(rf"^```{kind}\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    assert all("mail.example.com" in block and "587" in block for block in found)
    return [block.replace("mail.example.com", "localhost").replace("587", str(port)) for block in found]


async def programs(folder: Path, port: int, needs: Needs) -> None:
    """Runs all four, each with our authority as one that it trusts."""
    authority = str(folder / "ca.pem")
    python, django = blocks("python", port)
    [node], [php] = blocks("js", port), blocks("php", port)
    (folder / "by.js").write_text(node)
    (folder / "by.php").write_text(PHP + php)
    environment: Mapping[str, str] = os.environ | {"SSL_CERT_FILE": authority, "NODE_EXTRA_CA_CERTS": authority}
    await asyncio.gather(
        run(sys.executable, "-c", python, env=environment),
        run(sys.executable, "-c", django + DJANGO, env=environment),
        run(needs("nodemailer"), folder / "by.js", env=environment),
        run(needs("phpmailer"), "-d", f"openssl.cafile={authority}", folder / "by.php", env=environment),
    )


@pytest.mark.needs("nodemailer", "phpmailer")
async def test_the_programs_of_the_guide_send(tmp_path: Path, needs: Needs) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1")
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    (tmp_path / "relay.pem").touch(mode=0o600)
    (tmp_path / "relay.pem").write_bytes(b"".join([*(pem.bytes() for pem in issued.cert_chain_pems), issued.private_key_pem.bytes()]))
    port = free_port()
    async with SinkServer() as sink:
        rules = RULES.format(folder=tmp_path, submission=port, sink=sink.port)
        async with RelayProcess(tmp_path, plain_config(free_port()) + rules) as relay:
            await programs(tmp_path, port, needs)
            await sink.wait_for(len(PROGRAMS))
            rows = await relay.wait_for_records("d", len(PROGRAMS))
        contents = [message.content for message in sink.messages]
    assert all(re.search(rb"^Subject: Your order\r$", content, re.MULTILINE) and b"Thank you." in content for content in contents)
    assert all(re.search(rb"with ESMTPSA", content) for content in contents)
    assert sorted(row.get("jobId", "") for row in rows) == ["", "", "", "orders"]
