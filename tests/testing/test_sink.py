"""The sink, spoken to over real sockets, on asyncio's loop and on uvloop."""

from __future__ import annotations

import asyncio
import json
import smtplib
import ssl
from pathlib import Path

import pytest
import trustme

from postwright.testing.sink import SinkServer
from postwright.testing.sink_records import Extensions, SinkMessage
from postwright.testing.sink_rules import RuleError
from postwright.testing.source import SourceClient

CONTENT = b"Subject: hi\r\n\r\nhello\r\n.dot\r\n..two\r\nend\r\n"


pytestmark = pytest.mark.both_loops


@pytest.fixture(scope="module")
def tls() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's and a client's context that trust one another."""
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client


async def greeted(sink: SinkServer, **options: object) -> SourceClient:
    client = await SourceClient.connect("127.0.0.1", sink.port, **options)  # type: ignore[arg-type]
    assert (await client.ehlo("tests.example")).code == 250
    return client


async def test_takes_a_message_whole() -> None:
    async with SinkServer() as sink, await greeted(sink) as client:
        assert client.banner.code == 220
        recipients = ["b@b.example", '"x>y"@c.example']
        sent = await client.send("a@a.example", recipients, CONTENT, mail_params="SIZE=99", rcpt_params="NOTIFY=NEVER")
        assert (sent.mail.code, [r.code for r in sent.rcpts], sent.final.code) == (250, [250, 250], 250)
        assert (sent.mail.status, sent.final.status) == ("2.1.0", "2.0.0")
        (message,) = await sink.wait_for(1)
        assert message.sender == "a@a.example"
        assert message.sender_params == "SIZE=99"
        assert message.recipients == recipients
        assert message.recipient_params == ["NOTIFY=NEVER"] * 2
        assert message.content == CONTENT
        assert message.size == len(CONTENT)
        assert not message.chunked
        assert not message.has_bare_cr_or_lf
        assert not message.is_8bit
        assert message.longest_line == 11
        assert message.parsed["Subject"] == "hi"
        assert message.connection.helo == "tests.example"
        assert message.connection.peer_address == "127.0.0.1"
        assert message.connection.violations == []
        assert (await client.quit()).code == 221
        await sink.wait_until(lambda: sink.counts.open == 0)
    assert (sink.counts.messages, sink.counts.recipients, sink.counts.connections) == (1, 2, 1)


@pytest.mark.parametrize("content", [b"", b".", b"..", b".\r\n", b"\r\n", b"x", b"\n.\n\r\n", b"\r.\r\r\n", b"a\r\n.\r\n.\r\nb\r\n"])
@pytest.mark.parametrize("keep", ["memory", "nothing"])
async def test_framing_by_data(content: bytes, keep: str) -> None:
    async with SinkServer(keep=keep) as sink, await greeted(sink) as client:  # type: ignore[arg-type]
        for _ in range(2):
            sent = await client.send("a@a.example", ["b@b.example"], content)
            assert sent.final.code == 250
        whole = content if not content or content.endswith(b"\r\n") else content + b"\r\n"
        assert [m.content for m in sink.messages] == ([whole] * 2 if keep == "memory" else [])
        assert sink.counts.messages == 2


async def test_bare_line_ends_do_not_end_content_and_are_noticed() -> None:
    async with SinkServer() as sink, await greeted(sink) as client:
        sent = await client.send("a@a.example", ["b@b.example"], b"x\n.\nMAIL FROM:<evil@x>\r\n\r.\r\nend\r\n")
        assert sent.final.code == 250
        assert len(sink.messages) == 1
        assert sink.messages[0].has_bare_cr_or_lf


async def test_octet_by_octet() -> None:
    async with SinkServer() as sink, await greeted(sink) as client:
        stream = b"MAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example>\r\nDATA\r\n"
        for octet in stream:
            await client.send_raw(bytes([octet]))
        assert [(await client.read_reply()).code for _ in range(3)] == [250, 250, 354]
        for octet in b"a\r\n..\r\n.\r\n":
            await client.send_raw(bytes([octet]))
        assert (await client.read_reply()).code == 250
        assert sink.messages[0].content == b"a\r\n.\r\n"


async def test_pipelined_transactions_behind_one_another() -> None:
    async with SinkServer() as sink, await greeted(sink) as client:
        envelope = b"MAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example>\r\nDATA\r\n"
        await client.send_raw(envelope)
        for _ in range(3):
            await client.send_raw(b"body\r\n.\r\n" + envelope)
            assert [(await client.read_reply()).code for _ in range(4)] == [250, 250, 354, 250]
        assert [(await client.read_reply()).code for _ in range(3)] == [250, 250, 354]
        assert sink.counts.violations == 0


async def test_chunks() -> None:
    async with SinkServer() as sink, await greeted(sink) as client:
        for chunk in (1, 7, 1000):
            sent = await client.send("a@a.example", ["b@b.example"], CONTENT, chunk=chunk)
            assert sent.final.code == 250
        assert [m.content for m in sink.messages] == [CONTENT] * 3
        assert all(m.chunked for m in sink.messages)
        # Pipelined, as a relay sends it.
        await client.send_raw(b"MAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example>\r\nBDAT 3\r\na\r\nBDAT 0 LAST\r\nNOOP\r\n")
        assert [(await client.read_reply()).code for _ in range(5)] == [250, 250, 250, 250, 250]
        assert sink.messages[-1].content == b"a\r\n"
        assert (await client.bdat(b"xy", last=True)).code == 503
        assert (await client.command("BDAT x")).code == 501
        await client.read_eof()


async def test_a_refused_chunk_takes_its_transaction_with_it() -> None:
    async with SinkServer(["data first=1 451 4.3.0 later"]) as sink, await greeted(sink) as client:
        await client.send_raw(b"MAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example>\r\nBDAT 3\r\nabcBDAT 3 LAST\r\nabc")
        assert [(await client.read_reply()).code for _ in range(4)] == [250, 250, 451, 503]
        assert sink.counts.messages == 0


VERDICTS = {
    "connect 554 5.7.1 go away": ("banner", 554),
    "ehlo 421 4.3.2 closing": ("ehlo", 421),
    "mail:a@* 451 4.7.1 greylisted": ("mail", 451),
    "rcpt:*.example 550 5.1.1 unknown": ("rcpt", 550),
    "data 451 4.3.0 no": ("data", 451),
    "eod 554 5.6.0 spam": ("eod", 554),
}


@pytest.mark.parametrize("rule", VERDICTS)
async def test_replies_by_rule(rule: str) -> None:
    stage, code = VERDICTS[rule]
    async with SinkServer([rule]) as sink, await SourceClient.connect("127.0.0.1", sink.port) as client:
        got = {"banner": client.banner.code}
        if stage != "banner":
            got["ehlo"] = (await client.ehlo()).code
        if stage not in {"banner", "ehlo"}:
            sent = await client.send("a@a.example", ["b@b.example"], CONTENT)
            got |= {"mail": sent.mail.code, "rcpt": sent.final.code, "data": sent.final.code, "eod": sent.final.code}
        assert got[stage] == code
        assert sink.counts.messages == 0
        assert sum(sink.counts.refusals.values()) == 1
        if code == 421:
            assert await client.read_eof() == b""


async def everything(port: int, stage: str) -> None:
    async with await SourceClient.connect("127.0.0.1", port) as client:
        await client.ehlo()
        if stage in {"rset", "noop", "vrfy", "quit"}:
            await client.command(stage.upper())
        await client.send("a@a.example", ["b@b.example"], CONTENT)


@pytest.mark.parametrize("stage", ["connect", "ehlo", "mail", "rcpt", "data", "body", "eod", "rset", "noop", "vrfy", "quit"])
@pytest.mark.parametrize("action", ["drop", "reset"])
async def test_drops_at_every_stage(stage: str, action: str) -> None:
    async with SinkServer([f"{stage} {action}"]) as sink:
        with pytest.raises(EOFError):
            await everything(sink.port, stage)
        assert sink.counts.messages == 0
        assert sink.counts.acts[stage, action] == 1


async def test_take_drop_keeps_what_it_does_not_acknowledge() -> None:
    async with SinkServer(["eod first=1 take-drop"]) as sink:
        with pytest.raises(EOFError):
            async with await greeted(sink) as client:
                await client.send("a@a.example", ["b@b.example"], CONTENT)
        assert sink.counts.messages == 1


@pytest.mark.parametrize("chunk", [0, 400])
async def test_body_rules_count_octets_of_content(chunk: int) -> None:
    async with SinkServer(["body:b@* at=1000 drop"]) as sink, await greeted(sink) as client:
        assert (await client.send("a@a.example", ["b@b.example"], b"x" * 900, chunk=chunk)).final.code == 250
        assert (await client.send("a@a.example", ["c@b.example"], b"x" * 2000, chunk=chunk)).final.code == 250
        with pytest.raises(EOFError):
            await client.send("a@a.example", ["b@b.example"], b"x" * 2000, chunk=chunk)


async def test_delays_keep_the_order_and_other_connections_go_on() -> None:
    async with SinkServer(["rcpt:slow@* delay=0.05"]) as sink, await greeted(sink) as slow, await greeted(sink) as quick:
        await slow.send_raw(b"MAIL FROM:<a@a.example>\r\nRCPT TO:<slow@b.example>\r\nRCPT TO:<b@b.example>\r\nDATA\r\n")
        assert (await slow.read_reply()).status == "2.1.0"
        assert (await quick.send("a@a.example", ["b@b.example"], CONTENT)).final.code == 250
        assert sink.counts.messages == 1
        assert [(await slow.read_reply()).code for _ in range(3)] == [250, 250, 354]


async def test_hang() -> None:
    async with SinkServer(["mail hang"]) as sink, await greeted(sink) as client:
        await client.send_raw(b"MAIL FROM:<a@a.example>\r\n")
        await sink.wait_until(lambda: sink.counts.acts["mail", "hang"] == 1)
        with pytest.raises(TimeoutError):
            await client.read_reply(timeout=0.05)


async def test_rules_can_be_changed_while_it_runs() -> None:
    async with SinkServer(["mail 451 later"]) as sink, await greeted(sink) as client:
        assert (await client.send("a@a.example", ["b@b.example"], CONTENT)).final.code == 451
        with pytest.raises(RuleError):
            sink.set_rules(["nonsense"])
        sink.set_rules([])
        assert (await client.send("a@a.example", ["b@b.example"], CONTENT)).final.code == 250


async def test_extensions_are_offered_as_told() -> None:
    nothing = Extensions(
        pipelining=False, eightbitmime=False, chunking=False, dsn=False, smtputf8=False, enhanced_status_codes=False, size=None
    )
    async with SinkServer(extensions=nothing) as sink, await greeted(sink) as client:
        assert client.capabilities == {}
        for params in ("SIZE=5", "BODY=8BITMIME", "SMTPUTF8", "RET=FULL", "AUTH=<>", "NONSENSE"):
            assert (await client.command(f"MAIL FROM:<a@a.example> {params}")).code == 555
        await client.command("MAIL FROM:<a@a.example>")
        assert (await client.command("RCPT TO:<b@b.example> NOTIFY=NEVER")).code == 555
        reply = await client.command("RCPT TO:<b@b.example>")
        assert (reply.code, reply.status) == (250, "")
        assert (await client.command("BDAT 0 LAST")).code == 502
        assert sink.counts.violations == 8
        assert [r.code for r in await client.pipeline(["RSET", "NOOP"])] == [250, 250]
        assert sink.counts.violations == 9
    everything = Extensions(binarymime=True, size=50)
    async with SinkServer(extensions=everything, users={"u": "p"}) as sink, await greeted(sink) as client:
        assert set(client.capabilities) == {
            "SIZE", "PIPELINING", "8BITMIME", "CHUNKING", "BINARYMIME", "DSN", "SMTPUTF8", "ENHANCEDSTATUSCODES", "AUTH"
        }  # fmt: skip
        assert (await client.command("MAIL FROM:<a@a.example> SIZE=51")).code == 552
        assert (await client.send("a@a.example", ["b@b.example"], b"x" * 60)).final.code == 552
        params = "SIZE=5 BODY=BINARYMIME AUTH=<>"
        assert (await client.send("a@a.example", ["b@b.example"], b"x", mail_params=params, chunk=9)).final.code == 250
    async with SinkServer(extensions=Extensions(ehlo=False)) as sink, await SourceClient.connect("127.0.0.1", sink.port) as client:
        assert (await client.ehlo()).code == 502
        assert (await client.command("HELO x.example")).code == 250


async def test_breaches_are_noted() -> None:
    async with SinkServer() as sink, await SourceClient.connect("127.0.0.1", sink.port) as client:
        said = {
            "MAIL FROM:<a@a.example>": 503,
            "EHLO": 501,
            "EHLO x": 250,
            "MAIL FROM: <a@a.example>": 501,
            "MAIL FROM:<a@a.example": 501,
            'MAIL FROM:<"a@a.example>': 501,
            "MAIL FROM:<a@a.example>SIZE=1": 501,
            "MAIL FROM:<ü@a.example>": 553,
            "STARTTLS": 502,
            "AUTH PLAIN": 502,
            "XYZZY": 502,
        }
        for line, code in said.items():
            assert (await client.command(line)).code == code, line
        assert len(sink.connections[0].violations) == sink.counts.violations == len(said) - 1
        assert (await client.command("RCPT TO:<b@b.example>")).code == 503
        assert (await client.command("DATA")).code == 503
        assert (await client.command("MAIL FROM:<ü@a.example> SMTPUTF8")).code == 250
        assert (await client.command("MAIL FROM:<>")).code == 503
        assert (await client.command("RCPT TO:<>")).code == 501
        assert (await client.command("DATA")).code == 554
        before = sink.counts.violations
        assert [r.code for r in await client.pipeline(["VRFY x", "RSET"])] == [252, 250]
        assert sink.counts.violations == before + 1
        await client.pipeline(["MAIL FROM:<>", "RCPT TO:<b@b.example>"])
        await client.bdat(b"x")
        assert (await client.command("DATA")).code == 503
        await client.send_raw(b"x" * 70_000)
        assert (await client.read_reply()).code == 500
        await client.read_eof()


async def test_only_quit_follows_a_banner_that_refuses() -> None:
    async with SinkServer(["connect 554 no"]) as sink, await SourceClient.connect("127.0.0.1", sink.port) as client:
        assert (await client.ehlo()).code == 503
        assert (await client.quit()).code == 221
        assert sink.counts.violations == 1


async def test_starttls(tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    async with SinkServer(tls=tls[0], require_tls=True) as sink, await greeted(sink) as client:
        assert "STARTTLS" in client.capabilities
        assert (await client.command("MAIL FROM:<a@a.example>")).code == 530
        assert (await client.starttls(tls[1])).code == 220
        assert (await client.command("MAIL FROM:<a@a.example>")).code == 503  # EHLO was forgotten
        await client.ehlo("again.example")
        assert "STARTTLS" not in client.capabilities
        assert (await client.command("STARTTLS")).code == 502
        assert (await client.send("a@a.example", ["b@b.example"], CONTENT)).final.code == 250
        connection = sink.connections[0]
        assert connection.tls == client.tls_version == "TLSv1.3"
        assert connection.cipher.startswith("TLS_")
        assert sink.counts.tls == 1
        assert (await client.quit()).code == 221


async def test_octets_behind_starttls_are_thrown_away(tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    async with SinkServer(tls=tls[0]) as sink, await greeted(sink) as client:
        await client.send_raw(b"STARTTLS\r\nNOOP\r\n")
        assert (await client.read_reply()).code == 220
        await client.handshake(tls[1])
        assert (await client.ehlo()).code == 250
        assert sink.counts.violations == 1


async def test_starttls_refused_and_failed(tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    async with SinkServer(["starttls first=1 454 4.7.0 not now", "starttls first=1 drop"], tls=tls[0]) as sink:
        async with await greeted(sink) as client:
            assert (await client.starttls(tls[1])).code == 454
            with pytest.raises(EOFError):
                await client.starttls(tls[1])
        async with await greeted(sink) as client:
            assert (await client.command("STARTTLS")).code == 220
            await client.send_raw(b"EHLO this is no handshake\r\n")
            await client.read_eof()
        await sink.wait_until(lambda: any("handshake" in v for c in sink.connections for v in c.violations))


async def test_implicit_tls(tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    async with SinkServer(tls=tls[0], implicit_tls=True) as sink:
        async with await greeted(sink, tls=tls[1], server_hostname="localhost") as client:
            assert "STARTTLS" not in client.capabilities
            assert sink.connections[0].tls == "TLSv1.3"
    with pytest.raises(ValueError):
        SinkServer(implicit_tls=True)


async def test_auth() -> None:
    async with SinkServer(users={"u": "pässword"}, require_auth=True, transcript=True) as sink:
        async with await greeted(sink) as client:
            assert (await client.command("MAIL FROM:<a@a.example>")).code == 530
            assert (await client.auth_plain("u", "wrong")).code == 535
            assert (await client.auth_plain("x", "pässword")).code == 535
            assert (await client.command("AUTH NTLM")).code == 504
            assert (await client.command("AUTH LOGIN")).code == 334
            assert (await client.command("*")).code == 501
            assert (await client.command("AUTH PLAIN !!!")).code == 535
            assert (await client.auth_plain("u", "pässword")).code == 235
            assert (await client.auth_plain("u", "pässword")).code == 503
            assert (await client.send("a@a.example", ["b@b.example"], CONTENT)).final.code == 250
            assert sink.messages[0].connection.user == "u"
        logins = [
            lambda c: c.auth_plain("u", "pässword", initial=False),
            lambda c: c.auth_login("u", "pässword"),
            lambda c: c.auth_login("u", "pässword", initial=True),
            lambda c: c.auth_cram_md5("u", "pässword"),
        ]
        for login in logins:
            async with await greeted(sink) as client:
                assert (await login(client)).code == 235
        said = "\n".join(line for c in sink.connections for line in c.transcript)
        assert "C: <credentials>" in said
        assert "AHUAcMOkc3N3b3Jk" not in said
    async with SinkServer(["auth 454 4.7.0 later"], users={"u": "p"}) as sink, await greeted(sink) as client:
        assert (await client.auth_plain("u", "p")).code == 454
        assert (await client.auth_login("x", "p")).code == 535


async def test_saves_to_a_folder(tmp_path: Path) -> None:
    seen: list[SinkMessage] = []
    async with SinkServer(keep=tmp_path, on_message=seen.append) as sink, await greeted(sink) as client:
        await client.send("a@a.example", ["b@b.example"], CONTENT)
        assert sink.messages == []
    assert (tmp_path / "00000001.eml").read_bytes() == CONTENT
    envelope = json.loads((tmp_path / "00000001.json").read_text())
    assert envelope["mail_from"] == "a@a.example"
    assert envelope["rcpt_to"] == [{"address": "b@b.example", "params": ""}]
    assert len(seen) == 1
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".eml", ".json"]


async def test_forgets_great_content_it_does_not_keep() -> None:
    async with SinkServer(keep="nothing") as sink, await greeted(sink) as client:
        content = b"y" * 998 + b"\r\n"
        sent = await client.send("a@a.example", ["b@b.example"], content * 5000)
        assert sent.final.code == 250
        assert sink.counts.octets == 5_000_000
        assert sink.connections == []


async def test_waiting_tells_what_there_was() -> None:
    async with SinkServer() as sink:
        with pytest.raises(TimeoutError, match=r"3 messages.*'messages': 0"):
            await sink.wait_for(3, timeout=0.01)


async def test_transcript_of_a_connection() -> None:
    async with SinkServer(transcript=True) as sink, await greeted(sink) as client:
        await client.send("a@a.example", ["b@b.example"], b"x\r\n")
        await client.quit()
        said = sink.connections[0].transcript
        assert said[0] == "S: 220 sink.example ESMTP a sink"
        assert "C: <3 octets>" in said
        assert said[-2:] == ["C: QUIT", "S: 221 2.0.0 bye"]


async def test_smtplib_agrees() -> None:
    def session(port: int) -> dict[str, tuple[int, bytes]]:
        with smtplib.SMTP("127.0.0.1", port, "tests.example", timeout=10) as client:
            return client.sendmail("a@a.example", ["b@b.example", "no@c.example"], CONTENT)

    async with SinkServer(["rcpt:no@* 550 5.1.1 no"]) as sink:
        refused = await asyncio.to_thread(session, sink.port)
        assert refused == {"no@c.example": (550, b"5.1.1 no")}
        assert sink.messages[0].recipients == ["b@b.example"]


@pytest.mark.parametrize("end", ["by-the-client", "by-stop"])
async def test_a_connection_that_ends_inside_the_handshake_is_gone(end: str, tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    async with SinkServer(tls=tls[0]) as sink:
        client = await SourceClient.connect(*sink.address)
        await client.ehlo()
        assert (await client.command("STARTTLS")).code == 220
        if end == "by-the-client":
            client.abort()
            await sink.wait_until(lambda: not sink.sessions)
            assert sink.counts.open == 0
    assert not sink.sessions
    client.abort()


async def test_a_client_quicker_than_our_own_loop_may_say_hello(tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    """Its ClientHello may be there in the very turn in which the 220 has left: it belongs to TLS, whenever that takes over."""

    def shake_hands(port: int) -> None:
        with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
            client.starttls(context=trusting)

    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    async with SinkServer(tls=tls[0]) as sink:
        await asyncio.gather(*[asyncio.to_thread(shake_hands, sink.port) for _ in range(40)])
        assert sink.counts.tls == 40


@pytest.mark.parametrize("content", [b"", b"Subject: x\r\n\r\nhello\r\n"])
async def test_content_after_a_late_354(content: bytes) -> None:
    async with SinkServer(["data delay=0.01"]) as sink, await SourceClient.connect(*sink.address) as client:
        await client.ehlo()
        for _ in range(2):
            assert (await client.send("a@a.example", ["b@b.example"], content)).final.code == 250
        assert [message.content for message in sink.messages] == [content] * 2
        assert sink.counts.violations == 0
