"""`postwright probe` before servers that are fine and servers that are odd, with a name server and a web server of its own world."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import pty
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from msgspec import Struct
from tests.control.cli.peers import PASSWORD, Authority, greet_late, run, scripted

from postwright.control.cli.main import main
from postwright.net.tls_look import public_key
from postwright.testing.certificate import self_signed_pem
from postwright.testing.dns_server import DnsServer
from postwright.testing.relay_process import RelayProcess, plain_config
from postwright.testing.scripted_peer import CLOSE, SILENT
from postwright.testing.sink import SinkServer
from postwright.testing.sockets import free_port


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


async def probe(target: str | int, *options: str) -> Result:
    where = f"localhost:{target}" if isinstance(target, int) else target
    return await run("probe", where, "--timeout", "10", "--helo", "probe.example", "-4", *options)


async def told(target: str | int, *options: str) -> dict[str, Any]:
    done = await probe(target, "--json", *options)
    found: dict[str, Any] = json.loads(done.stdout)
    assert done.exit_code == found["status"], done.output
    return found


def problems(report: Mapping[str, Any]) -> list[str]:
    return [finding["text"] for finding in report["findings"] if finding["level"] == "problem"]


# servers that are fine -------------------------------------------------------------------------------------------------


async def test_a_server_that_is_fine(authority: Authority) -> None:
    async with SinkServer(tls=authority.server()) as sink:
        report = await told(sink.port, "--no-dns", "--ca-file", authority.ca_file)
        text = await probe(sink.port, "--no-dns", "--ca-file", authority.ca_file, "-v")
        assert [connection.violations for connection in sink.connections] == [[], []]
        assert sink.counts.messages == 0
    assert problems(report) == []
    assert text.exit_code == 0
    tls = report["tls"]
    assert (tls["mode"], tls["verified"], tls["host_match"], tls["trouble"]) == ("starttls", True, True, "")
    assert tls["version"].startswith("TLSv1.")
    assert tls["chain"][0]["names"] == ["localhost", "127.0.0.1"]
    assert tls["days_left"] > 14
    assert report["pipelining"] == "works"
    assert list(report["stages"]) == ["DNS", "connect", "banner", "EHLO", "TLS", "EHLO over TLS", "pipelined MAIL, RSET, NOOP", "QUIT"]
    assert all(milliseconds >= 0 for milliseconds in report["stages"].values())
    assert "STARTTLS" in [line["keyword"] for line in report["ehlo_clear"]]
    for words in ("can encrypt the connection from here on", "by STARTTLS", "Fine: no problem found", "C: EHLO probe.example", "verified"):
        assert words in text.stdout


RELAY = """
smtp-server-tls-certificate BOTH
<smtp-user joe>
    password "correct horse"
</smtp-user>
<source 0/0>
    allow-starttls yes
    require-starttls-before-auth yes
</source>
"""


async def test_our_own_relay(tmp_path: Path) -> None:
    certificate, key = self_signed_pem(["localhost"])
    both, trusted = tmp_path / "both.pem", tmp_path / "trusted.pem"
    both.touch(mode=0o600)
    both.write_bytes(certificate + key)
    trusted.write_bytes(certificate)
    port = free_port()
    async with RelayProcess(tmp_path, plain_config(port) + RELAY.replace("BOTH", str(both))):
        report = await told(port, "--no-dns", "--ca-file", str(trusted), "--relay-test")
    assert problems(report) == []
    assert report["auth_clear"] == []
    assert {"PLAIN", "LOGIN"} <= set(report["auth_tls"])
    assert len(report["relay"]) == 5
    assert not any(line["open"] for line in report["relay"])


async def test_tls_from_the_first_byte(authority: Authority) -> None:
    async with SinkServer(tls=authority.server(), implicit_tls=True, users={"joe": PASSWORD}) as sink:
        asked = await told(sink.port, "--no-dns", "--ca-file", authority.ca_file, "--tls", "immediate")
        found = await told(sink.port, "--no-dns", "--ca-file", authority.ca_file, "--timeout", "0.4")
        wrong = await told(sink.port, "--no-dns", "--ca-file", authority.ca_file, "--timeout", "0.4", "--tls", "starttls")
    for report in (asked, found):
        assert problems(report) == []
        assert report["tls"]["mode"] == "immediate"
        assert report["auth_tls"] == ["PLAIN", "LOGIN", "CRAM-MD5"]
    assert [finding["text"] for finding in found["findings"]] == [f"port {sink.port} speaks TLS from the first byte"]
    assert problems(wrong) == [f"port {sink.port} speaks TLS from the first byte: ask with --tls immediate"]


async def test_without_tls_when_nobody_asks_for_it() -> None:
    async with SinkServer() as sink:
        report = await told(sink.port, "--no-dns", "--tls", "none")
    assert (problems(report), report["tls"]) == ([], None)


# servers that are odd --------------------------------------------------------------------------------------------------


class Odd(Struct):
    """A scripted server, and what is found to be the problem with it, in this order."""

    answers: Mapping[str, Any]
    found: Sequence[str]
    offers: Sequence[str] = ("SIZE 1000", "STARTTLS")
    options: Sequence[str] = ()


NO_TLS = ("--tls", "none")
ODD = {
    "421": Odd({"BANNER": b"!421 4.3.2 too busy"}, ["the server does not take us: 421 4.3.2 too busy"]),
    "554": Odd({"BANNER": b"!554 5.7.1 not you"}, ["the server does not take us: 554 5.7.1 not you"]),
    "closed": Odd({"BANNER": CLOSE}, ["the session ended at banner: closed by the server"]),
    "silent": Odd({"BANNER": SILENT}, ["the session ended at banner: no answer within 0.3 s"], options=["--timeout", "0.3"]),
    "ssh": Odd({"BANNER": b"SSH-2.0-OpenSSH_9.2"}, ["the session ended at banner: not a reply: 'SSH-2.0-OpenSSH_9.2'"]),
    "no EHLO": Odd({"EHLO": b"502 5.5.1 what?"}, ["the server knows no EHLO (502 5.5.1 what?)", "STARTTLS is not offered"]),
    "neither": Odd({"EHLO": b"502 no", "HELO": b"502 never"}, ["the session ended at ehlo: 502 never"]),
    "busy at EHLO": Odd({"EHLO": b"!421 4.3.2 later"}, ["the session ended at ehlo: 421 4.3.2 later"]),
    "no STARTTLS": Odd({}, ["STARTTLS is not offered: everything goes in the clear"], ("SIZE 1000",)),
    "refused STARTTLS": Odd({"STARTTLS": b"454 4.7.0 not now"}, ["STARTTLS is offered and then refused: 454 4.7.0 not now"]),
    "injection": Odd({"STARTTLS": b"220 go\r\n250 injected"}, ["something is said in the clear", "the session ended at starttls"]),
    "broken TLS": Odd({"STARTTLS": b"220 go"}, ["The TLS handshake with localhost did not end in time."], options=["--timeout", "0.2"]),
    "clear logins": Odd({}, ["logins are offered in the clear (PLAIN)"], ("AUTH PLAIN CRAM-MD5",), NO_TLS),
    "broken pipelining": Odd(
        {"RSET": SILENT},
        ["PIPELINING is offered, and several", "the session ended at mail"],
        ("PIPELINING",),
        [*NO_TLS, "--timeout", "0.3"],
    ),
    "open relay": Odd({}, ["the server would relay for this address"], (), [*NO_TLS, "--relay-test"]),
    "silent QUIT": Odd({"QUIT": CLOSE}, ["the session ended at quit: closed by the server"], (), NO_TLS),
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
async def test_odd_servers(odd: Odd) -> None:
    async with scripted(odd.answers, offers=odd.offers) as server:
        report = await told(server.port, "--no-dns", *odd.options)
        text = await probe(server.port, "--no-dns", *odd.options)
        assert not any(peer.contents for peer in server.peers)
    assert report["status"] == 1
    assert len(problems(report)) == len(odd.found), problems(report)
    for problem, beginning in zip(problems(report), odd.found, strict=True):
        assert problem.startswith(beginning)
        assert problem in text.stdout


CERTIFICATES = {
    "self-signed": ("nobodys", "cert-self-signed", "self-signed"),
    "unknown authority": ("server", "cert-unknown-ca", "does not know"),
    "expired": ("expired", "cert-expired", "has expired"),
    "ends soon": ("ending", "", "the certificate ends in 5 days"),
    "other name": ("other", "cert-name", "it is for mail.other.example"),
    "old": ("old", "tls-old", "no TLS newer than TLSv1.1"),
}


def context_of(authority: Authority, kind: str) -> ssl.SSLContext:
    if kind == "other":
        return authority.server("mail.other.example")
    if kind == "ending":
        return authority.ending(5)
    if kind == "old":
        return authority.only_tls_1_1()
    made: ssl.SSLContext = getattr(authority, kind)()
    return made


@pytest.mark.parametrize("case", CERTIFICATES.values(), ids=CERTIFICATES)
@pytest.mark.parametrize("immediate", [False, True])
async def test_certificates(case: tuple[str, str, str], immediate: bool, authority: Authority) -> None:
    kind, trouble, words = case
    options = ("--no-dns", "--tls", "immediate" if immediate else "starttls")
    trust = () if kind in ("nobodys", "server") else ("--ca-file", authority.ca_file)
    async with SinkServer(tls=context_of(authority, kind), implicit_tls=immediate) as sink:
        report = await told(sink.port, *options, *trust)
        text = await probe(sink.port, *options, *trust)
        calm = await told(sink.port, *options, "--insecure")
    [problem] = problems(report)
    assert words in problem
    assert problem in text.stdout
    tls = report["tls"]
    assert tls["trouble"] == trouble
    assert tls["chain"], "the certificate is shown although it was not accepted"
    assert tls["host_match"] is (kind != "other")
    assert problems(calm) == ([problem] if kind == "old" else [])


async def test_a_server_that_greets_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postwright.engine.probe_session.SILENCE", 0.2)
    async with scripted({"BANNER": [SILENT, SILENT]}) as server:
        report, _ = await asyncio.gather(told(server.port, "--no-dns", "--tls", "none"), greet_late(server))
    assert (problems(report), report["greeting"]) == ([], "220 at last")
    assert report["stages"]["banner"] >= 200


async def test_by_ipv6() -> None:
    sink = SinkServer(host="::1")
    try:
        await sink.start()
    except OSError:
        pytest.skip("this machine has no IPv6")
    done = await run("probe", f"[::1]:{sink.port}", "--tls", "none", "--helo", "probe.example", "--timeout", "10")
    await sink.stop()
    assert done.exit_code == 0, done.output
    assert f"::1 port {sink.port}: connected" in done.stdout


async def test_what_a_server_says_reaches_the_terminal_escaped() -> None:
    async with scripted({"BANNER": b"220 mx \x1b[31mred\xe2\x80\xae"}, offers=["X\x1b]0;title\x07"]) as server:
        for options in ((), ("-v",), ("--json",)):
            done = await probe(server.port, "--no-dns", "--tls", "none", *options)
            assert "\x1b" not in done.stdout
            assert "\u202e" not in done.stdout


# reaching it -----------------------------------------------------------------------------------------------------------


async def test_nobody_there() -> None:
    report = await told(free_port(), "--no-dns")
    assert report["status"] == 2
    assert report["addresses"][0]["detail"] == "Connection refused"
    assert problems(report)[0].startswith("Nothing answers on port")
    assert (await told("nonesuch.invalid:25"))["status"] == 2
    async with names({"here.example": {"AAAA": ["::1"]}}) as server:
        none = await told("localhost:25", "--name-server", server.address)
        six = await told("here.example:25", "--name-server", server.address)
    assert "localhost has no IPv4 address" in problems(none)[0], "a name server that is given is the only one asked"
    assert "here.example has no IPv4 address" in problems(six)[0]


@asynccontextmanager
async def names(zone: dict[str, dict[str, list[str]]]) -> AsyncIterator[DnsServer]:
    async with DnsServer(zone) as server:
        yield server


async def test_one_address_of_two() -> None:
    async with SinkServer() as sink, names({"two.example": {"A": ["127.0.0.2", "127.0.0.1"]}}) as server:
        report = await told(f"two.example:{sink.port}", "--tls", "none", "--name-server", server.address)
    assert report["address"] == "127.0.0.1"
    assert [(line["address"], line["connected"]) for line in report["addresses"]] == [("127.0.0.2", False), ("127.0.0.1", True)]
    assert problems(report) == ["not every address answers: 127.0.0.2"]


async def test_a_mail_domain() -> None:
    zone = {
        "shop.example": {"MX": ["20 mx2.shop.example.", "10 mx1.shop.example."]},
        "mx1.shop.example": {"A": ["127.0.0.1"]},
        "mx2.shop.example": {"A": ["127.0.0.3"]},
        "bare.example": {"A": ["127.0.0.1"]},
        "null.example": {"MX": ["0 ."]},
    }
    async with SinkServer() as sink, names(zone) as server:
        options = ("--tls", "none", "--name-server", server.address, "--port", str(sink.port))
        shop, bare, null = await told("shop.example", *options), await told("bare.example", *options), await told("null.example", *options)
        host = await told("mx2.shop.example", "--host", *options)
        text = await probe("shop.example", *options)
    assert (shop["status"], shop["domain"], shop["host"]) == (0, "shop.example", "mx1.shop.example")
    assert [(line["preference"], line["host"]) for line in shop["mx"]] == [(10, "mx1.shop.example"), (20, "mx2.shop.example")]
    assert shop["dane"]["state"] == "none"
    assert shop["mta_sts"]["state"] == "none"
    assert (bare["status"], bare["mx"]) == (0, [])
    assert "has no MX records" in bare["findings"][0]["text"]
    assert (null["status"], "its MX is null" in problems(null)[0]) == (2, True)
    assert (host["mx"], host["addresses"][0]["address"]) == ([], "127.0.0.3")
    assert "10 mx1.shop.example (this one)" in text.stdout


async def test_name_servers_that_fail() -> None:
    zone = {"x.example": {"MX": ["10 mx.x.example."]}, "mx.x.example": {"A": ["127.0.0.1"]}}
    async with SinkServer() as sink, DnsServer(zone, faults={"_mta-sts.x.example": "servfail"}) as server:
        server.faults[f"_{sink.port}._tcp.mx.x.example"] = "servfail"
        options = ("--tls", "none", "--name-server", server.address, "--port", str(sink.port))
        report = await told("x.example", *options)
        server.faults["x.example"] = "servfail"
        lost = await told("x.example", *options)
    assert report["status"] == 0
    assert report["dane"]["state"] == "unknown: 127.0.0.1: SERVFAIL"
    assert report["mta_sts"]["detail"] == "unknown: 127.0.0.1: SERVFAIL"
    assert lost["status"] == 2
    assert "SERVFAIL" in lost["findings"][0]["text"]


# promises in the DNS -----------------------------------------------------------------------------------------------------


class Validating(DnsServer):
    """It says of everything that DNSSEC was checked."""

    def answer(self, wire: bytes, way: str) -> bytes | None:
        reply = super().answer(wire, way)
        return reply[:3] + bytes([reply[3] | 0x20]) + reply[4:] if reply is not None else None


def digest_of(authority: Authority, context: ssl.SSLContext, port: int) -> str:
    """ "3 1 1" of the server's key, asked of the server."""
    der = ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", port)))
    return hashlib.sha256(public_key(der)).hexdigest()


@pytest.mark.parametrize("validating", [False, True])
async def test_dane(validating: bool, authority: Authority) -> None:
    context = authority.server("mx.dane.example")
    async with SinkServer(tls=context, implicit_tls=True) as sink:
        right = await asyncio.to_thread(digest_of, authority, context, sink.port)
        name = f"_{sink.port}._tcp.mx.dane.example"
        zone = {"mx.dane.example": {"A": ["127.0.0.1"]}, name: {"TLSA": [f"3 1 1 {right}", f"0 0 1 {'00' * 32}"]}}
        async with (Validating if validating else DnsServer)(zone) as server:
            options = ("--tls", "immediate", "--ca-file", authority.ca_file, "--name-server", server.address)
            good = await told(f"mx.dane.example:{sink.port}", *options)
            zone[name]["TLSA"] = [f"3 1 1 {'00' * 32}"]
            bad = await told(f"mx.dane.example:{sink.port}", *options)
            text = await probe(f"mx.dane.example:{sink.port}", *options)
    assert (good["status"], good["dane"]["matches"], good["dane"]["validated"]) == (0, True, validating)
    beginning = "validated by the name server of this machine" if validating else "not validated"
    assert good["dane"]["told"].startswith(beginning)
    assert good["dane"]["records"] == [f"3 1 1 {right[:16]}…", "0 0 1 0000000000000000…"]
    assert (bad["status"], bad["dane"]["matches"]) == (1, False)
    assert problems(bad)[0].startswith("DANE: the certificate matches none")
    assert "the certificate matches none" in text.stdout


POLICY = "version: STSv1\r\nmode: enforce\r\nmx: *.sts.example\r\nmax_age: 86400\r\n"
STS_CASES: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "good": (POLICY, {"state": "policy", "mode": "enforce", "covers": True, "id": "20260101"}, []),
    "not covered": (POLICY.replace("*.sts", "*.other"), {"state": "policy", "covers": False}, ["MTA-STS: the policy of"]),
    "testing": (POLICY.replace("enforce", "testing"), {"mode": "testing", "max_age": 86400}, []),
    "none": (POLICY.replace("enforce", "none"), {"mode": "none", "covers": None}, []),
    "no policy": ("<html>", {"state": "broken"}, ["MTA-STS of sts.example is broken: the policy does not say version"]),
    "moved": ("301", {"state": "broken"}, ["MTA-STS of sts.example is broken: the policy cannot be had: the web server answers 301"]),
    "other type": ("text/html", {"state": "broken"}, ["MTA-STS of sts.example is broken: the policy cannot be had: its type is text/html"]),
    "large": ("large", {"state": "broken"}, ["MTA-STS of sts.example is broken: the policy cannot be had: it is larger than 64 KiB"]),
}


def page(policy: str) -> bytes:
    status = "301 Moved" if policy == "301" else "200 OK"
    kind = policy if policy == "text/html" else "text/plain"
    body = "x" * 70000 if policy == "large" else policy
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()


@asynccontextmanager
async def web_server(policy: str, tls: ssl.SSLContext) -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        assert request.startswith(b"GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: mta-sts.sts.example\r\n")
        writer.write(page(policy))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


STS_ZONE = {
    "sts.example": {"MX": ["10 mx.sts.example."]},
    "mx.sts.example": {"A": ["127.0.0.1"]},
    "mta-sts.sts.example": {"A": ["127.0.0.1"]},
    "_mta-sts.sts.example": {"TXT": ['"v=STSv1; id=20260101;"', '"something else"']},
}


@pytest.mark.parametrize("case", STS_CASES.values(), ids=STS_CASES)
async def test_mta_sts(case: tuple[str, dict[str, Any], list[str]], authority: Authority) -> None:
    policy, wanted, found = case
    async with SinkServer() as sink, names(STS_ZONE) as server, web_server(policy, authority.server("mta-sts.sts.example")) as port:
        options = ("--tls", "none", "--name-server", server.address, "--port", str(sink.port), "--ca-file", authority.ca_file)
        report = await told("sts.example", *options, "--mta-sts-connect", f"127.0.0.1:{port}")
        unfetched = await told("sts.example", *options)
    assert wanted.items() <= report["mta_sts"].items()
    assert len(problems(report)) == len(found), problems(report)
    assert all(problem.startswith(beginning) for problem, beginning in zip(problems(report), found, strict=True))
    assert (unfetched["mta_sts"]["state"], unfetched["status"]) == ("record", 0)


async def test_mta_sts_whose_web_server_is_not_who_it_should_be(authority: Authority) -> None:
    async with SinkServer() as sink, names(STS_ZONE) as server, web_server(POLICY, authority.server("other.example")) as port:
        options = ("--tls", "none", "--name-server", server.address, "--port", str(sink.port), "--ca-file", authority.ca_file)
        report = await told("sts.example", *options, "--mta-sts-connect", f"127.0.0.1:{port}")
        refused = await told("sts.example", *options, "--mta-sts-connect", f"127.0.0.1:{free_port()}")
    assert "Hostname mismatch" in problems(report)[0]
    assert "Connection refused" in problems(refused)[0]


# the command ---------------------------------------------------------------------------------------------------------------

WRONG = {
    "no port": (["localhost:x"], "is no port"),
    "too large": (["localhost:70000"], "is no port"),
    "no host": (["a b"], "is not HOST[:PORT]"),
    "no bracket": (["[::1"], "is not HOST[:PORT]"),
    "no name server": (["localhost:25", "--name-server", "nowhere"], "does not appear to be an IPv4 or IPv6 address"),
    "no name": (["localhost:25", "--helo", "a\r\nMAIL"], "is no host name"),
    "no address": (["localhost:25", "--relay-to", "a@b.example>\r\nDATA"], "--relay-to"),
    "no target": ([], "Missing argument"),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG)
def test_wrong_command_lines(case: tuple[list[str], str]) -> None:
    arguments, words = case
    done = CliRunner().invoke(main, ["probe", *arguments])
    assert done.exit_code == 64
    assert words in done.stderr


def test_on_a_terminal_it_is_in_colour() -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "postwright", "probe", f"127.0.0.1:{free_port()}"]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "60"}
    environment.pop("NO_COLOR", None)
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 65536):
                shown += part
        except OSError:
            pass  # Linux: the other end of a pty is gone
        os.close(ours)
        assert process.wait(30) == 2
    assert b"\x1b[1;31m" in shown
    lines = shown.decode().split("\r\n")
    at = next(at for at, line in enumerate(lines) if "Nothing answers" in line)
    assert "refused" in "".join(lines[at + 1 : at + 3]), "a long line goes on below"


def test_help_has_an_example() -> None:
    shown = CliRunner().invoke(main, ["probe", "--help"]).output
    assert "Example: postwright probe example.com" in shown
    assert "Exit status: 0 fine" in shown
