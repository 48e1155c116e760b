"""The examples of docs/guides/transports.md, all in one relay: changed are only the places outside of it. About 4 seconds."""

from __future__ import annotations

import mailbox
import re
from pathlib import Path

import pytest
import trustme
from tests.scenarios.alone import Alone
from tests.scenarios.clients import client, send
from tests.scenarios.lmtp_box import box_at
from tests.scenarios.test_transports import mail, office, said_yes, tls_of

from postwright.testing.sink import SinkServer

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "transports.md"
DOMAINS = ("archive", "a.inbound", "box", "tickets", "hook", "store", "test", "bounced", "relay")


def examples() -> str:
    """Every block of the guide that is configuration."""
    return "\n".join(re.findall(r"^    <domain .*?^    </domain>$", GUIDE.read_text("utf-8"), re.MULTILINE | re.DOTALL))


@pytest.mark.directive(
    "type", "file-format", "file-destination", "command", "http-delivery-url", "http-delivery-extra-headers", "discard-as-bounce"
)
async def test_the_examples_of_the_guide(tmp_path: Path, folder_for_all: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    (tmp_path / "hook-headers").write_text("X-Key: hush\n")
    tickets = folder_for_all / "tickets"
    tickets.touch()
    tickets.chmod(0o666)
    (folder_for_all / "ticket").write_text(f'#!/bin/sh\ncat >/dev/null\nprintf "%s|" "$@" >> {tickets}\n')
    (folder_for_all / "ticket").chmod(0o755)
    for name in ("archive", "inbound", "boxes", "local"):
        (tmp_path / name).mkdir()
    async with office(said_yes, tls_of(authority)) as (server, port), box_at(f"{folder_for_all}/lmtp") as box, SinkServer() as receiver:
        rules = examples()
        for written, ours in (
            ("/var/spool/", f"{tmp_path}/"),
            ("/etc/postwright/", f"{tmp_path}/"),
            ("/usr/local/bin/", f"{folder_for_all}/"),
            ("/run/dovecot/", f"{folder_for_all}/"),
            ("https://app.example.com/inbound", f"https://127.0.0.1:{port}/in\nsmtp-tls-ca-file {tmp_path}/ca.pem"),
        ):
            assert written in rules
            rules = rules.replace(written, ours)
        async with Alone(tmp_path, receiver, rules) as relay, client(relay.port) as session:
            for domain in DOMAINS:
                await send(session, f"Bob@{domain}.example", content=mail(domain))
            rows = await relay.wait_for_records("d", len(DOMAINS) - 1) + await relay.wait_for_records("b", 1)
    assert sorted(row["dlvType"] for row in rows) == ["discard", "discard", "file", "file", "file", "file", "http", "lmtp", "pipe"]
    [plain] = (tmp_path / "archive").iterdir()
    [pickup] = (tmp_path / "inbound" / "a.inbound.example").iterdir()
    assert plain.read_bytes().endswith(mail("archive"))
    assert pickup.read_bytes().startswith(b"x-sender: anne@client.example\r\nx-receiver: Bob@a.inbound.example\r\nReceived: ")
    for name, domain in (("boxes", "box"), ("local", "relay")):
        [message] = mailbox.mbox(tmp_path / name / "bob")
        assert message["Subject"] == domain
    assert tickets.read_text() == "--to=bob@tickets.example|from anne@client.example|--|bob|"
    assert server.asked == [("Bob@hook.example", "hush")]
    assert [to for to, _ in box.taken] == ["Bob@store.example"]
