"""Programs, files, mailboxes and web servers behind real relays: exit statuses, two shards at one mailbox, a relay that is killed in the
middle, servers that are slow, down, elsewhere or not who they should be. About 20 seconds.
"""

from __future__ import annotations

import asyncio
import mailbox
import ssl
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme
from aiohttp import web
from tests.scenarios.alone import Alone
from tests.scenarios.clients import SENDER, client, send

from postwright.testing.sink import SinkServer

STATUSES = {
    0: "2.0.0", 64: "5.5.4", 65: "5.5.2", 66: "5.3.0", 67: "5.1.1", 68: "5.1.2", 69: "5.3.0", 70: "5.3.0", 71: "4.3.0", 72: "5.3.0",
    73: "5.2.0", 74: "4.3.0", 75: "4.0.0", 76: "5.5.0", 77: "5.7.1", 78: "5.3.5", 1: "4.3.0", 127: "4.3.0",
}  # fmt: skip
KIND = {"2": "d", "4": "t", "5": "b"}


def mail(text: str) -> bytes:
    return f"From: {SENDER}\r\nMessage-ID: <{text}@client.example>\r\nSubject: {text}\r\n\r\nFrom {text}\r\n".encode()


# -- programs ---------------------------------------------------------------------------


@pytest.mark.directive("command", "type")
async def test_exit_statuses_and_what_a_program_sees(tmp_path: Path, folder_for_all: Path) -> None:
    out = folder_for_all / "out"
    out.mkdir()
    out.chmod(0o777)
    (folder_for_all / "program").write_text(
        f'{{ env | sort; pwd; echo "$#:$1:$2"; }} > "{out}/$1"\ncat > /dev/null\nprintf "say \\033[31m%s\\nmore" "$1" >&2\nexit "$1"\n'
    )
    rules = f"""
<domain status.example>
    type pipe
    command "/bin/sh {folder_for_all}/program $user \\"$from to $to\\""
    retry-after 1h
</domain>
<domain long.example>
    type pipe
    command "/bin/sleep 1000"
    smtp-data-termination-timeout 1s
    retry-after 1h
</domain>
<domain none.example>
    type pipe
    command "/no/such/program"
    retry-after 1h
</domain>
"""
    async with SinkServer() as receiver, Alone(tmp_path, receiver, rules) as relay:
        async with client(relay.port) as session:
            await send(session, *[f"{status}@status.example" for status in STATUSES])
            await send(session, "x@long.example")
            await send(session, "x@none.example")
        await relay.until(lambda: sum(row["rcpt"].endswith("status.example") for row in relay.records()) >= 2 * len(STATUSES), "all")
        rows = [row for row in relay.records("d", "b", "t") if row["rcpt"].endswith("status.example")]
        late = await relay.until(lambda: [row for row in relay.records("t") if row["rcpt"] == "x@long.example"], "a time-out")
        await relay.until(lambda: "/no/such/program cannot be run" in str(relay.status()), "the reason of the wait")
    seen = {int(row["rcpt"].partition("@")[0]): (row["type"], row["dsnStatus"].split()[0], row["dlvType"]) for row in rows}
    assert seen == {status: (KIND[code[0]], code, "pipe") for status, code in STATUSES.items()}
    assert all(row["dsnDiag"].endswith(f"say ?[31m{row['rcpt'].partition('@')[0]}") for row in rows if row["type"] != "d")
    assert "did not end within 1 s" in late[0]["dsnDiag"]
    lines = (out / "0").read_text().splitlines()
    assert "/" in lines
    assert lines[-1] == f"2:0:{SENDER} to 0@status.example"
    names = {line.partition("=")[0] for line in lines if "=" in line}
    assert names <= {"PATH", "LANG", "PWD", "OLDPWD", "SHLVL", "_", "LC_CTYPE"}, "nothing of ours stands in its environment"
    assert not [row for row in relay.records("t", "b") if row["rcpt"] == "x@none.example"], "no attempt was made"


# -- files ------------------------------------------------------------------------------

BOXES = """
<domain [*.]files.example>
    type file
    file-destination {folder}/files/$domain
    retry-after 1s
</domain>
<domain [*.]box.example>
    type file
    file-format append-mbox
    file-destination {folder}/box
    retry-after 1s
</domain>
"""


def subjects(folder: Path) -> Counter[str]:
    """Of the mails in the mbox; each must be whole."""
    found: Counter[str] = Counter()
    for message in mailbox.mbox(folder / "box"):
        assert message.get_payload().strip() == f">From {message['Subject']}"
        assert message["Return-Path"] == f"<{SENDER}>"
        found[str(message["Subject"])] += 1
    return found


@pytest.mark.directive("file-format", "file-destination")
async def test_two_shards_at_one_mailbox(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    domains = [f"d{number}.box.example" for number in range(8)]
    async with SinkServer() as receiver, Alone(tmp_path, receiver, BOXES.format(folder=tmp_path), shards=2) as relay:
        async with client(relay.port) as session:
            for number in range(80):
                await send(session, f"u@{domains[number % 8]}", content=mail(str(number)))
        await relay.wait_for_records("d", 80)
        shards = [shard.traffic.delivered for shard in relay.status().shards]
    assert all(shards), "both have written"
    assert subjects(tmp_path) == Counter([str(number) for number in range(80)])
    assert not list(tmp_path.glob(".*"))


@pytest.mark.directive("file-format", "file-destination")
async def test_a_relay_that_is_killed_in_the_middle(tmp_path: Path) -> None:
    """Nothing is lost; no file is there twice; an mbox has a mail twice at most where the relay had no time to remember it."""
    (tmp_path / "files").mkdir()
    total, files = 100, tmp_path / "files"
    async with SinkServer() as receiver, Alone(tmp_path, receiver, BOXES.format(folder=tmp_path), shards=2) as relay:
        async with client(relay.port) as session:
            for number in range(total):
                await send(session, f"u@d{number % 4}.files.example", f"u@d{number % 4}.box.example", content=mail(str(number)))
                if number == total // 2:
                    await relay.until(lambda: len(list(files.rglob("*.msg"))) > total // 8, "some files")
        relay.kill()
        await relay.start()
        await relay.wait_for_records("d", 2 * total)
        await relay.until(lambda: not any(shard.recipients for shard in relay.status().shards), "all delivered")
    written = Counter(path.read_bytes().rpartition(b"From ")[2].strip().decode() for path in files.rglob("*.msg"))
    assert written == Counter([str(number) for number in range(total)])
    assert not list(files.rglob("*.tmp"))
    found = subjects(tmp_path)
    assert set(found) == {str(number) for number in range(total)}
    assert sum(found.values()) - total <= 40, "at most what was in flight: max-smtp-out of each of two shards"
    assert not list(tmp_path.glob(".*"))


# -- web servers ------------------------------------------------------------------------


class Office:
    """A web server that notes what comes; `answer` says what it says."""

    def __init__(self, answer: Callable[[str, int], Awaitable[web.Response]]) -> None:
        self.asked: list[tuple[str, str]] = []  # recipient, key
        self.peers: defaultdict[str, set[object]] = defaultdict(set)  # by domain
        self._answer = answer

    async def take(self, request: web.Request) -> web.Response:
        document = await request.json()
        assert request.transport is not None
        self.peers[document["rcpt_to"].partition("@")[2]].add(request.transport.get_extra_info("peername"))
        self.asked.append((document["rcpt_to"], request.headers.get("X-Key", "")))
        return await self._answer(document["rcpt_to"], len(self.asked))


@asynccontextmanager
async def office(
    answer: Callable[[str, int], Awaitable[web.Response]], tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[Office, int]]:
    """On a port of loopback."""
    server = Office(answer)
    app = web.Application()
    app.add_routes([web.post("/in", server.take)])
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    try:
        yield server, runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def said_yes(to: str, count: int) -> web.Response:
    """A server that takes all."""
    return web.Response()


def tls_of(authority: trustme.CA) -> ssl.SSLContext:
    """A server's context for 127.0.0.1."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def hook(domain: str, url: str, *more: str) -> str:
    lines = "\n".join(("type http-delivery", f"http-delivery-url {url}", "retry-after 1s", *more))
    return f"<domain {domain}>\n{lines}\n</domain>\n"


@pytest.mark.directive("http-delivery-url", "http-delivery-extra-headers", "type")
async def test_a_server_that_is_kept_waited_for_and_believed(tmp_path: Path) -> None:
    async def answer(to: str, count: int) -> web.Response:
        if to.startswith("bad") and count < 8:
            return web.Response(status=500, text="cannot \x1b[31m parse\nsecond line")
        if to.startswith("busy") and count < 8:
            return web.Response(status=503, headers={"Retry-After": "2"}, text="x" * 100_000)
        return web.Response(status=202, text="y" * (100_000 if to.startswith("busy") else 10))

    (tmp_path / "keys").write_text("X-Key: hush-hush\n")
    keys = f"http-delivery-extra-headers {tmp_path}/keys"
    async with office(answer) as (server, port), SinkServer() as receiver:
        url = f"http://127.0.0.1:{port}/in"
        rules = hook("hook.example", url, keys, "max-smtp-out 1") + hook("busy.example", url, "max-smtp-out 1")
        rules += hook("moved.example", f"http://127.0.0.1:{port}/elsewhere")
        async with Alone(tmp_path, receiver, rules) as relay, client(relay.port) as session:
            await send(session, "bad@hook.example", *[f"u{number}@hook.example" for number in range(5)])
            await relay.wait_for_records("d", 5)
            await send(session, "busy@busy.example")
            await send(session, "x@moved.example")
            await relay.wait_for_records("d", 7)
            rows = relay.records("t")
            log = relay.log_file.read_text()
    assert {key for to, key in server.asked if to.endswith("hook.example")} == {"hush-hush"}
    assert len(server.peers["hook.example"]) == 1, "the connection is kept"
    [bad] = [row for row in rows if row["rcpt"].startswith("bad")]
    assert bad["dsnDiag"] == "http;500 cannot ?[31m parse"
    assert not [row for row in rows if row["rcpt"].startswith("busy")], "the queue was put off, and no attempt counted"
    assert "hush" not in log + "".join(map(str, rows))


@pytest.mark.directive("http-delivery-url", "smtp-data-termination-timeout", "smtp-tls-ca-file")
async def test_servers_that_are_slow_or_not_who_they_should_be(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))

    async def answer(to: str, count: int) -> web.Response:
        if to.startswith("slow"):
            await asyncio.sleep(60)
        if to.startswith("redirect"):
            return web.Response(status=307, headers={"Location": "/in"})
        return web.Response()

    async with office(answer, tls_of(authority)) as (server, port), SinkServer() as receiver:
        url = f"https://127.0.0.1:{port}/in"
        knows = f"smtp-tls-ca-file {tmp_path}/ca.pem"
        rules = hook("strange.example", url) + hook("known.example", url, knows)
        rules += hook("slow.example", url, knows, "data-send-timeout 0s", "smtp-data-termination-timeout 1s")
        rules += hook("redirect.example", url, knows)
        async with Alone(tmp_path, receiver, rules) as relay, client(relay.port) as session:
            for domain in ("strange", "slow", "redirect", "known"):
                await send(session, f"{domain}@{domain}.example")
            await relay.wait_for_records("d", 1)
            [late] = (await relay.until(lambda: relay.records("t"), "a time-out"))[:1]
            await relay.until(lambda: sum(to.startswith("redirect") for to, _ in server.asked) >= 2, "another try")
            [done] = relay.records("d")
    assert done["rcpt"] == "known@known.example"
    assert (late["rcpt"], late["dsnStatus"].split()[0]) == ("slow@slow.example", "4.4.2")
    assert not any(to.startswith("strange") for to, _ in server.asked), "nothing was said to who could not prove his name"
