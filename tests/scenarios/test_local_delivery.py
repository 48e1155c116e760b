"""A real relay whose mail goes to programs, files, a web server and nowhere; no host is asked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from aiohttp import web
from tests.scenarios.alone import Alone
from tests.scenarios.clients import HELLO, SENDER, client, send

from postwright.testing.sink import SinkServer

PROGRAM = """
case "$1" in nobody*) echo no such ticket >&2; exit 67;; esac
text=$(cat) || exit 75
printf '%s\\n%s\\n' "$1" "$text" > "$2/$1"
"""
RULES = """
<domain tickets.example>
    type pipe
    command "/bin/sh {open}/program $to {open}/tickets"
</domain>
<domain archive.example>
    type file
    file-destination {folder}/archive
</domain>
<domain box.example>
    type file
    file-format append-mbox
    file-destination {folder}/$user.mbox
</domain>
<domain hook.example>
    type http-delivery
    http-delivery-url http://127.0.0.1:{hook}/in
</domain>
<domain test.example>
    type discard
</domain>
"""


@pytest.mark.directive("type", "command", "file-format", "file-destination", "http-delivery-url")
async def test_each_type_in_a_real_relay(tmp_path: Path, folder_for_all: Path) -> None:
    posted: list[dict[str, object]] = []

    async def take(request: web.Request) -> web.Response:
        posted.append(await request.json())
        return web.Response()

    app = web.Application()
    app.add_routes([web.post("/in", take)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    (tmp_path / "archive").mkdir()
    tickets = folder_for_all / "tickets"  # whoever programs are run as may write there
    tickets.mkdir()
    tickets.chmod(0o777)
    (folder_for_all / "program").write_text(PROGRAM)
    rules = RULES.format(open=folder_for_all, folder=tmp_path, hook=runner.addresses[0][1])
    async with SinkServer() as receiver, Alone(tmp_path, receiver, rules) as relay:
        async with client(relay.port) as session:
            for domain in ("tickets.example", "archive.example", "box.example", "hook.example", "test.example"):
                await send(session, f"anne@{domain}", f"bob@{domain}")
            await send(session, "nobody@tickets.example")
        delivered = await relay.wait_for_records("d", 11)  # and the report to the sender
        [bounced] = await relay.wait_for_records("b", 1)
        [report] = await receiver.wait_for(1)
    await runner.cleanup()
    kinds = sorted(row["dlvType"] for row in delivered if row["rcpt"] != SENDER)
    assert kinds == sorted(["pipe", "file", "file", "http", "discard"] * 2)
    assert (bounced["dlvType"], bounced["dsnStatus"].split()[0]) == ("pipe", "5.1.1")
    assert report.recipients == [SENDER]
    assert (bounced["dsnDiag"]).endswith("no such ticket")
    assert sorted(file.name for file in tickets.iterdir()) == ["anne@tickets.example", "bob@tickets.example"]
    assert all("\nhello\n" in file.read_text() and "\r" not in file.read_text() for file in tickets.iterdir())
    assert os.geteuid() or {file.stat().st_uid for file in tickets.iterdir()} != {0}, "no program is run as root"
    files = list((tmp_path / "archive").iterdir())
    assert [file.suffix for file in files] == [".msg"] * 2
    assert all(file.read_bytes().endswith(HELLO.partition(b"\r\n\r\n")[2]) for file in files)
    assert sorted(box.name for box in tmp_path.glob("*.mbox")) == ["anne.mbox", "bob.mbox"]
    assert sorted(str(document["rcpt_to"]) for document in posted) == ["anne@hook.example", "bob@hook.example"]
