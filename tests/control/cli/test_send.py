"""`postwright send` against servers that behave and servers that do not: what arrives, what the person is told, and with which status."""

from __future__ import annotations

import asyncio
import email
import email.policy
import json
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from msgspec import Struct
from tests.control.cli.peers import PASSWORD, Authority, greet_late, run, scripted

from postwright.control.cli.main import main
from postwright.engine.troubles import TROUBLES, Exit
from postwright.testing.certificate import self_signed_pem
from postwright.testing.relay_process import RelayProcess, plain_config
from postwright.testing.scripted_peer import CLOSE, SILENT
from postwright.testing.sink import Extensions, SinkServer
from postwright.testing.sockets import free_port

USERS = {"joe": PASSWORD}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


async def send(port: int, *options: str, server: str = "localhost", security: str = "none", **more: Any) -> Result:
    basic = ["--server", server, "--port", str(port), "--security", security, "--from", "joe@shop.example"]
    to = [] if "--to" in options else ["--to", "ann@far.example"]
    return await run("send", *basic, *to, "--timeout", "10", "--helo", "cms.example", *options, **more)


# what arrives ----------------------------------------------------------------------------------------------------------


async def test_a_message_with_everything(tmp_path: Path, authority: Authority) -> None:
    note = tmp_path / "prices.csv"
    note.write_text("a,1\n")
    async with SinkServer(tls=authority.server(), users=USERS, require_auth=True) as sink:
        done = await send(
            *(sink.port, "--user", "joe", "--ca-file", authority.ca_file, "--from-name", "Joe’s shop", "--to", "ann@far.example"),
            *("--to", "bob@far.example", "--subject", "Prüfung", "--text", "grüß dich\n.\nend", "--html", "<p>hi</p>"),
            *("--attach", str(note), "--header", "X-Job: trial", "--dsn", "failure", "--dsn", "delay"),
            security="starttls",
        )  # fmt: skip
        assert done.exit_code == 0, done.output
        [message] = sink.messages
        [connection] = sink.connections
    assert message.sender == "joe@shop.example"
    assert message.recipients == ["ann@far.example", "bob@far.example"]
    assert all("FAILURE,DELAY" in str(params) for params in message.recipient_params)
    read = email.message_from_bytes(message.content, policy=email.policy.default)
    assert read["From"].addresses[0].display_name == "Joe’s shop"
    assert (read["Subject"], read["X-Job"], read["To"]) == ("Prüfung", "trial", "ann@far.example, bob@far.example")
    body = read.get_body(("plain",))
    assert body is not None
    assert body.get_content().splitlines() == ["grüß dich", ".", "end"]
    assert [part.get_filename() for part in read.iter_attachments()] == ["prices.csv"]
    assert message.content.isascii()
    assert read["Message-ID"] in done.stdout
    assert connection.violations == []
    assert "took the message for 2 recipients" in done.stdout


async def test_the_dialogue_has_no_secret(authority: Authority) -> None:
    for mechanism in ("PLAIN", "LOGIN", "CRAM-MD5"):
        async with SinkServer(tls=authority.server(), users=USERS, require_auth=True) as sink:
            done = await send(sink.port, "-v", "-u", "joe", "-m", mechanism, "--ca-file", authority.ca_file, security="starttls")
        assert done.exit_code == 0, done.output
        assert f"C: AUTH {mechanism}" in done.stdout
        assert "C: ****" in done.stdout or "AUTH PLAIN ****" in done.stdout
        assert "S: 220 2.0.0 go ahead" in done.stdout
        for hidden in (PASSWORD, "Y29ycmVjdCBob3JzZQ", "AGpvZQBjb3JyZWN0IGhvcnNl"):
            assert hidden not in done.output


RELAY = """
smtp-server-tls-certificate BOTH
<smtp-user joe>
    password "correct horse"
</smtp-user>
<source 0/0>
    allow-starttls yes
    require-starttls-before-auth yes
    always-allow-relaying no
</source>
<source {auth}>
    always-allow-relaying yes
</source>
<domain *>
    smtp-hosts [127.0.0.1]:SINK
    use-starttls no
</domain>
"""


MECHANISMS = ("", "PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS")


async def test_through_a_real_relay(tmp_path: Path) -> None:
    certificate, key = self_signed_pem(["localhost"])
    both = tmp_path / "both.pem"
    both.touch(mode=0o600)
    both.write_bytes(certificate + key)
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(certificate)
    port = free_port()
    async with SinkServer() as sink:
        async with RelayProcess(tmp_path, plain_config(port) + RELAY.replace("SINK", str(sink.port)).replace("BOTH", str(both))) as relay:
            options = ("-u", "joe", "--ca-file", str(trusted), "--json", "-v")
            for mechanism in MECHANISMS:
                wish = ("-m", mechanism) if mechanism else ()
                told = json.loads((done := await send(port, *options, *wish, security="starttls")).stdout)
                assert done.exit_code == 0, told
                assert told["mechanism"] == (mechanism or "SCRAM-SHA-256-PLUS")
                assert PASSWORD not in done.stdout
                assert told["tls"].startswith("TLSv1.")
            wrong = await send(port, "-u", "joe", "--ca-file", str(trusted), security="starttls", env={"POSTWRIGHT_SMTP_PASSWORD": "no"})
            assert (wrong.exit_code, "does not accept user name and password" in wrong.stdout) == (4, True)
            bare = await send(port, "-u", "joe", security="none")
            assert bare.exit_code == 4
            assert "no login before the connection is encrypted" in bare.stdout
            stranger = await send(port, "--ca-file", str(trusted), security="starttls")
            assert (stranger.exit_code, "relaying denied" in stranger.stdout) == (1, True)
            await relay.wait_for_records("d", len(MECHANISMS))
        assert {message.recipients[0] for message in sink.messages} == {"ann@far.example"}


# what goes wrong -------------------------------------------------------------------------------------------------------


class Case(Struct):
    """A scripted server and the options that meet it. `words` must be told, in this order or another."""

    answers: Mapping[str, Any] = {}
    offers: Sequence[str] = ("AUTH PLAIN LOGIN",)
    options: Sequence[str] = ()
    words: Sequence[str] = ()


LOGIN = ("-u", "joe")

CASES: dict[str, list[Case]] = {
    "turned-away": [Case({"BANNER": b"!554 5.7.1 your address is on a list"}, words=["your address is on a list", "block list"])],
    "busy": [Case({"BANNER": b"!421 4.3.2 too busy"}, words=["421 4.3.2 too busy", "Try again"])],
    "not-smtp": [Case({"BANNER": b"SSH-2.0-OpenSSH_9.2"}, words=["is no mail server"])],
    "hung-up": [
        Case({"BANNER": CLOSE}, words=["closed the connection (at banner)"]),
        Case({"RCPT": CLOSE}, words=["closed the connection (at rcpt)"]),
    ],
    "no-starttls": [Case(options=["--security", "starttls"], words=["offers no STARTTLS", "port 465"])],
    "starttls-refused": [Case({"STARTTLS": b"454 4.7.0 no TLS now"}, ["STARTTLS"], ["--security", "starttls"], ["454 4.7.0 no TLS now"])],
    "injected": [Case({"STARTTLS": b"220 go\r\n250 injected"}, ["STARTTLS"], ["--security", "starttls"], ["in the clear behind"])],
    "auth-not-offered": [Case({}, ["SIZE 1000"], LOGIN, ["offers no login on port", "--no-auth"])],
    "auth-needs-tls": [
        Case({}, ["STARTTLS"], LOGIN, ["before the connection is encrypted", "--security starttls"]),
        Case({"AUTH": b"538 5.7.11 encryption needed"}, options=LOGIN, words=["538 5.7.11"]),
        Case({"AUTH": b"530 5.7.0 Must issue a STARTTLS command first"}, options=LOGIN),
    ],
    "mechanism-not-offered": [
        Case(options=[*LOGIN, "-m", "SCRAM-SHA-256"], words=["does not offer SCRAM-SHA-256; it offers PLAIN, LOGIN"]),
        Case({}, ["AUTH NTLM"], LOGIN, ["it offers NTLM"]),
        Case({"AUTH": b"504 5.5.4 unknown"}, options=LOGIN),
    ],
    "wrong-password": [
        Case(
            {"AUTH": b"535 5.7.8 Error: authentication failed"},
            options=LOGIN,
            words=["535 5.7.8 Error", "user name and password", "here: joe"],
        ),
    ],
    "app-password": [Case({"AUTH": b"534 5.7.9 Application-specific password required"}, options=LOGIN, words=["Make an app password"])],
    "smtp-auth-disabled": [
        Case({"AUTH": b"535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant."}, options=LOGIN),
    ],
    "token-refused": [
        Case({"AUTH": b"535 5.7.8 bad token"}, ["AUTH XOAUTH2"], [*LOGIN, "--token"], ["does not accept the token", "auth decode"]),
    ],
    "auth-busy": [Case({"AUTH": b"454 4.7.0 Temporary authentication failure"}, options=LOGIN, words=["cannot check logins just now"])],
    "auth-failed": [Case({"AUTH": b"501 5.5.2 what?"}, options=LOGIN, words=["501 5.5.2 what?"])],
    "need-tls": [Case({"MAIL": b"530 5.7.0 Must issue a STARTTLS command first"}, words=["Set the security to STARTTLS"])],
    "need-login": [
        Case({"MAIL": b"530 5.7.0 Authentication required"}, words=["Turn authentication on"]),
        Case({"RCPT": b"550 5.7.1 please authenticate first"}, words=["Turn authentication on"]),
    ],
    "sender-refused": [
        Case(
            {"MAIL": b"553 5.7.1 Sender address rejected: not owned by user joe"},
            options=LOGIN,
            words=["belongs to the account (here: joe)"],
        )
    ],
    "relaying-denied": [
        Case({"RCPT": b"554 5.7.1 <ann@far.example>: Relay access denied"}, words=["Relay access denied", "Log in (--auth)"]),
        Case({"RCPT": b"550 we do not relay"}, options=LOGIN, words=["may not send there"]),
    ],
    "no-such-recipient": [Case({"RCPT": b"550 5.1.1 no such user"}, words=["does not exist there"])],
    "mailbox-full": [Case({"RCPT": b"452 4.2.2 over quota"}, words=["mailbox of the recipient is full"])],
    "greylisted": [
        Case({"RCPT": b"450 4.2.0 Greylisted, see you in 300 seconds"}, words=["Greylisted, see you in 300 seconds", "five minutes"])
    ],
    "rate-limited": [Case({"MAIL": b"451 4.7.1 too many messages from you"}, words=["too many messages from you", "send less"])],
    "too-large": [
        Case({}, ["SIZE 100"], [], ["too large"]),
        Case({"MAIL": b"552 5.3.4 message too big"}, words=["552 5.3.4"]),
    ],
    "needs-utf8": [Case(options=["--to", "jürgen@far.example"], words=["no SMTPUTF8"])],
    "content-refused": [Case({"END": b"550 5.7.26 this mail is unauthenticated (DMARC)"}, words=["DMARC", "after it had read it"])],
    "temporary": [Case({"END": b"451 4.3.0 disk trouble"}, words=["451 4.3.0 disk trouble"])],
    "permanent": [Case({"DATA": b"554 5.5.1 no valid recipients"}, words=["554 5.5.1"])],
    "silent": [Case({"EHLO": SILENT}, options=["--timeout", "0.3"], words=["stopped answering (at ehlo)"])],
    "no-banner": [Case({"BANNER": SILENT}, options=["--timeout", "0.3"], words=["then said nothing"])],
    "not-understood": [Case({"MAIL": b"what is this"}, words=["something that is not SMTP (at mail)"])],
}


@pytest.mark.parametrize(("trouble", "at"), [(trouble, at) for trouble, cases in CASES.items() for at in range(len(cases))])
async def test_troubles(trouble: str, at: int) -> None:
    case = CASES[trouble][at]
    async with scripted(case.answers, offers=case.offers) as server:
        options = ("--security", "none", *case.options)
        done = await send(server.port, *options, env={"POSTWRIGHT_SMTP_TOKEN": "tok"})
        told = json.loads((await send(server.port, *options, "--json", env={"POSTWRIGHT_SMTP_TOKEN": "tok"})).stdout)
    assert told["trouble"] == trouble, done.output
    assert done.exit_code == TROUBLES[trouble][0]
    assert done.stdout.startswith("Not sent. ")
    for words in case.words:
        assert words in done.stdout
    assert "{" not in done.stdout
    assert PASSWORD not in done.output


TLS_CASES: dict[str, tuple[str, Sequence[str]]] = {
    "cert-self-signed": ("nobodys", ["self-signed", "--ca-file with its certificate"]),
    "cert-unknown-ca": ("server", ["does not know (", "intermediate"]),
    "cert-expired": ("expired", ["has expired"]),
    "cert-name": ("others", ["it is for mail.other.example, 127.0.0.9", "Use as server the name"]),
}


def context_of(authority: Authority, kind: str) -> ssl.SSLContext:
    if kind == "others":
        return authority.server("mail.other.example", "127.0.0.9")
    made: ssl.SSLContext = getattr(authority, kind)()
    return made


@pytest.mark.parametrize("security", ["starttls", "ssl"])
@pytest.mark.parametrize("trouble", TLS_CASES)
async def test_troubles_of_tls(trouble: str, security: str, authority: Authority) -> None:
    kind, words = TLS_CASES[trouble]
    trust = () if trouble in ("cert-self-signed", "cert-unknown-ca") else ("--ca-file", authority.ca_file)
    async with SinkServer(tls=context_of(authority, kind), implicit_tls=security == "ssl") as sink:
        done = await send(sink.port, *trust, security=security)
        told = json.loads((await send(sink.port, *trust, "--json", security=security)).stdout)
        if trouble:
            anyway = await send(sink.port, "--insecure", security=security)
            assert anyway.exit_code == 0
            assert "certificate not checked" in anyway.stdout
    assert told["trouble"] == trouble, done.output
    assert done.exit_code == Exit.TLS
    for part in words:
        assert part in done.stdout


async def test_ssl_where_starttls_is_spoken_and_the_reverse(authority: Authority) -> None:
    async with SinkServer(tls=authority.server()) as plain, SinkServer(tls=authority.server(), implicit_tls=True) as secure:
        wrong = await send(plain.port, "--ca-file", authority.ca_file, security="ssl")
        assert (wrong.exit_code, "does not speak TLS from the first byte" in wrong.stdout) == (3, True)
        assert "--security starttls" in wrong.stdout
        for security in ("starttls", "none"):
            reverse = await send(secure.port, "--timeout", "0.5", security=security)
            assert (reverse.exit_code, "speaks TLS from the first byte, and" in reverse.stdout) == (3, True), reverse.output
            assert "--security ssl" in reverse.stdout


async def test_nobody_there() -> None:
    closed = await send(free_port())
    assert (closed.exit_code, "the connection was refused" in closed.stdout) == (2, True)
    nowhere = await send(587, server="nonesuch.invalid")
    assert (nowhere.exit_code, "cannot be found" in nowhere.stdout) == (2, True)


async def test_a_client_certificate(tmp_path: Path, authority: Authority) -> None:
    certificate, key = authority.client_files(tmp_path, "joe.example")
    async with scripted(offers=["AUTH EXTERNAL PLAIN"], tls=authority.wanting_a_certificate(), implicit=True) as server:
        files = ("--certificate", certificate, "--key", key, "--ca-file", authority.ca_file)
        done = await send(server.port, *files, "--auth", "-m", "EXTERNAL", security="ssl")
        assert done.exit_code == 0, done.output
        assert "AUTH EXTERNAL =" in server.peers[0].lines


async def test_some_recipients_only() -> None:
    async with SinkServer(["rcpt:bob@far.example 550 5.1.1 no such user"]) as sink:
        done = await send(sink.port, "--to", "ann@far.example", "--to", "bob@far.example")
        assert [message.recipients for message in sink.messages] == [["ann@far.example"]]
    assert done.exit_code == 1
    assert done.stdout.startswith("Sent to some only. ")
    assert "bob@far.example: 550 5.1.1 no such user" in done.stdout


async def test_a_server_without_ehlo() -> None:
    async with scripted({"EHLO": b"502 5.5.1 what?"}) as server:
        done = await send(server.port)
        assert done.exit_code == 0, done.output
        assert server.peers[0].verbs[:2] == ["EHLO", "HELO"]


async def test_a_server_that_greets_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postwright.engine.trial.LOOK_PATIENCE", 0.2)
    async with scripted({"BANNER": [SILENT, SILENT]}) as server:
        done, _ = await asyncio.gather(send(server.port), greet_late(server))
        assert done.exit_code == 0, done.output
        assert server.peers[0].verbs[-1] == "QUIT"


async def test_the_best_mechanism_and_no_password_in_the_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postwright.engine.trial_login.may_be_clear", lambda talk, insecure: insecure)
    async with scripted(offers=["AUTH PLAIN LOGIN"]) as server:
        done = await send(server.port, "-u", "joe")
        assert (done.exit_code, "it was not sent" in done.stdout) == (4, True)
        assert "AUTH" not in server.peers[0].verbs
        assert (await send(server.port, "-u", "joe", "--insecure")).exit_code == 0
    async with SinkServer(users=USERS, extensions=Extensions()) as sink:
        safe = await send(sink.port, "-u", "joe", "-v")
        assert (safe.exit_code, "AUTH CRAM-MD5" in safe.stdout) == (0, True)


async def test_a_token_that_is_refused_tells_why() -> None:
    said = "334 eyJzdGF0dXMiOiI0MDAifQ=="  # {"status":"400"}
    async with scripted({"AUTH": said.encode(), "": b"535 5.7.8 no"}, offers=["AUTH XOAUTH2"]) as server:
        env = {"POSTWRIGHT_SMTP_TOKEN": "tok"}
        told = json.loads((await send(server.port, "-u", "joe", "--token", "--json", env=env)).stdout)
    assert (told["trouble"], told["detail"]) == ("token-refused", '{"status":"400"}')


async def test_a_server_that_only_pretends_to_know_the_password() -> None:
    async with scripted({"AUTH": b"235 2.7.0 come in"}, offers=["AUTH SCRAM-SHA-256"]) as server:
        told = json.loads((await send(server.port, "-u", "joe", "--json")).stdout)
        assert "MAIL" not in server.peers[0].verbs
    assert told["trouble"] == "auth-unproved"


WRONG = {
    "a password on the command line": (["--password", "x"], "No such option"),
    "no address": (["--to", "nobody@"], "nobody@"),
    "no user": (["--auth"], "a login needs a --user"),
    "external without certificate": (["-u", "joe", "-m", "EXTERNAL"], "EXTERNAL needs a --certificate"),
    "a URL": (["--server", "smtp://mail.example"], "without smtp://"),
    "a port behind the name": (["--server", "mail.example:587"], "--port 587"),
    "standard input twice": (["-u", "joe", "--password-stdin", "--text-file", "-"], "not both"),
    "text twice": (["--text", "a", "--text-file", "-"], "not both"),
    "a header that is none": (["--header", "no colon"], "NAME: VALUE"),
    "a header of ours": (["--header", "Date: now"], "cannot be given by --header"),
    "a line end in a field": (["--subject", "a\r\nBcc: x@y.example"], "the message cannot be written"),
    "never and more": (["--dsn", "never", "--dsn", "delay"], "never stands alone"),
    "a CA file that is none": (["--security", "ssl", "--ca-file", __file__], "--ca-file"),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG)
async def test_wrong_command_lines(case: tuple[list[str], str]) -> None:
    options, words = case
    done = await send(1, *options)
    assert done.exit_code == 64, done.output
    assert words in done.stderr


async def test_a_password_is_never_guessed() -> None:
    done = await send(1, "-u", "joe", env={"POSTWRIGHT_SMTP_PASSWORD": ""})
    assert (done.exit_code, "POSTWRIGHT_SMTP_PASSWORD" in done.stderr) == (64, True)


async def test_the_password_from_standard_input() -> None:
    async with SinkServer(users=USERS, require_auth=True) as sink:
        done = await send(sink.port, "-u", "joe", "--password-stdin", text=f"{PASSWORD}\n", env={"POSTWRIGHT_SMTP_PASSWORD": "wrong"})
    assert done.exit_code == 0, done.output


def test_every_trouble_is_met_by_a_test() -> None:
    elsewhere = {
        *("refused", "no-such-name", "tls-at-once", "not-tls", "clear-password", "auth-unproved"),  # in tests of their own, above
        # tests/engine/test_trial_advice.py
        *("time-out", "time-out-25", "unreachable", "tls-timeout", "tls-failed", "tls-old", "tls-wants-certificate"),
        *("cert-other", "cert-not-yet"),
    }  # fmt: skip
    assert set(TROUBLES) == {*CASES, *TLS_CASES, *elsewhere}


def test_help_has_an_example() -> None:
    told = CliRunner().invoke(main, ["send", "--help"]).output
    assert "Example: postwright send --server" in told
    assert "Exit status:" in told


def test_the_guide_has_the_whole_table() -> None:
    page = (Path(__file__).parents[3] / "docs" / "guides" / "testing-a-server.md").read_text("utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `") and line.count("|") == 4]
    table = [f"| `{name}` | {int(status)} | {headline} |" for name, (status, headline, _) in TROUBLES.items()]
    assert [row for row in rows if row.split("`")[1] in TROUBLES] == table
