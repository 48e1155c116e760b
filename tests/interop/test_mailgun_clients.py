"""Public clients of Mailgun's, unmodified, send through us by changing one address: mailgun.js, nodemailer with its transport, anymail."""

from __future__ import annotations

import json
import sys
from email import message_from_bytes, policy
from pathlib import Path

import pytest
from tests.interop.peers import Needs, run
from tests.scenarios.alone import Alone

from postwright.testing.sink import SinkServer
from postwright.testing.sockets import free_port

CLIENTS = Path(__file__).parent / "clients"
KEY = "k" * 32
CONFIG = """
http-mgmt-port {port}
http-mgmt-address 127.0.0.1
http-redirect-to-https no
http-api-key {key}
"""


@pytest.mark.soak  # what they say is in tests/control/api/test_mailgun.py, which always runs
@pytest.mark.needs("nodemailer")
async def test_clients_send_by_another_address(tmp_path: Path, needs: Needs) -> None:
    node, port = needs("nodemailer"), free_port()
    url = f"http://127.0.0.1:{port}"
    async with SinkServer() as sink, Alone(tmp_path, sink, CONFIG.format(port=port, key=KEY)) as relay:
        await relay.until(lambda: any(line["event"] == "the HTTP process answers" for line in relay.log()), "the HTTP process")
        settings = json.dumps({"url": url, "key": KEY, "domain": "client.example"}).encode()
        by_node = json.loads((await run(node, CLIENTS / "mailgun.js", stdin=settings)).stdout)
        by_django = json.loads((await run(sys.executable, CLIENTS / "anymail_send.py", stdin=settings)).stdout)
        await sink.wait_for(4)
    assert by_node["client"]["message"] == "Queued. Thank you."
    assert by_node["refused"] == {"status": 400, "details": "templates are not kept here: send text or html"}
    assert by_node["nodemailer"]["messageId"] == by_node["nodemailer"]["id"]
    assert (by_django["sent"], by_django["status"]) == (1, ["queued"])
    mails = {message.recipients[0]: message_from_bytes(message.content, policy=policy.default) for message in sink.messages}
    assert set(mails) == {"you@example.com", "b@example.com", "c@example.com", "d@example.com"}
    assert mails["you@example.com"]["Subject"] == "Grüße an Ann"
    assert mails["b@example.com"]["To"] == "Bob <b@example.com>"
    text = mails["b@example.com"].get_body(("plain",))
    assert text is not None
    assert text.get_content().strip() == "Hallo Böb"
    assert [part.get_filename() for part in mails["you@example.com"].iter_attachments()] == ["Übersicht.csv"]
    assert mails["c@example.com"]["Message-ID"].strip("<>") in by_node["nodemailer"]["id"]
    anymail = mails["d@example.com"]
    assert (anymail["X-My"], anymail["Cc"], anymail["X-Mailgun-Tag"]) == ("1", "e@example.com", "one")
    assert json.loads(anymail["X-Mailgun-Variables"]) == {"user": "7"}
    assert anymail["Message-ID"] == by_django["id"]
