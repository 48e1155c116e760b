"""Real clients, each told to log in in one way and to send one message: CLIENTS.

A driver is a coroutine function: it takes the office, the programs and the tries of its client, and gives what the client said of each that
it failed at. That is never how a try is judged. Libraries of other languages do all of their tries in one process.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import smtplib
import ssl
import subprocess
from collections.abc import Awaitable, Callable, Sequence
from email.message import EmailMessage
from importlib.metadata import version
from pathlib import Path
from platform import python_version

import aiosmtplib
from msgspec import Struct
from tests.interop.client_office import REALM, Office
from tests.interop.peers import CONTENT, Needs, run

SENDER = "anne@client.example"
SCRIPTS = Path(__file__).parent / "clients"
TIMEOUT = 20
PASSWORDS = ("PLAIN", "LOGIN", "CRAM-MD5")
SCRAM = ("SCRAM-SHA-1", "SCRAM-SHA-256")
PLUS = ("SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS")
PORTS = ("25", "587", "2525", "465")
BEARER = ("XOAUTH2", "OAUTHBEARER")


class Try(Struct):
    """One message. `mechanism` "" for no login; `security` starttls or ssl; `name` is the recipient's local part."""

    name: str
    port: int
    security: str
    mechanism: str
    user: str
    secret: str
    recipient: str


Said = dict[str, str]  # what a client said of the tries that it failed at
Driver = Callable[[Office, Needs, Sequence[Try]], Awaitable[Said]]


class Client(Struct):
    """`program` is what has to be there, for `needs`. `roles`: the ports it can use. `old`: what it speaks in a form that we refuse."""

    name: str
    program: str
    mechanisms: tuple[str, ...]
    drive: Driver
    version: Callable[[Needs], Awaitable[str]]
    roles: tuple[str, ...] = PORTS
    sends: bool = True
    old: tuple[str, ...] = ()


def one_by_one(command: Callable[[Office, Needs, Try], tuple[list[str | Path], bytes]]) -> Driver:
    """A program that is called once for each try: its words, and what it is given on standard input."""

    async def drive(office: Office, needs: Needs, tries: Sequence[Try]) -> Said:
        said: Said = {}
        for attempt in tries:
            words, stdin = command(office, needs, attempt)
            done = await run(*words, stdin=stdin, check=False, env=office.environment)
            if done.returncode:
                said[attempt.name] = done.stdout.decode(errors="replace")
        return said

    return drive


# -- command lines ----------------------------------------------------------------------------


def swaks(office: Office, needs: Needs, attempt: Try) -> tuple[list[str | Path], bytes]:
    secured = ["--tlsc" if attempt.security == "ssl" else "--tls", "--tls-verify", "--tls-ca-path", str(office.ca)]
    login = ["-a", attempt.mechanism, "-au", attempt.user, "-ap", attempt.secret] if attempt.mechanism else []
    server = ["--server", "127.0.0.1", "--port", str(attempt.port), "-f", SENDER, "-t", attempt.recipient]
    return [needs("swaks-ntlm"), *server, *secured, *login], b""


def curl(office: Office, needs: Needs, attempt: Try) -> tuple[list[str | Path], bytes]:
    scheme = "smtps" if attempt.security == "ssl" else "smtp"
    where = [f"{scheme}://localhost:{attempt.port}/client.example", "--mail-from", SENDER, "--mail-rcpt", attempt.recipient]
    login = ["--login-options", f"AUTH={attempt.mechanism}"] if attempt.mechanism else []
    if attempt.mechanism in BEARER:
        login += ["--user", attempt.user, "--oauth2-bearer", attempt.secret]
    elif attempt.mechanism == "EXTERNAL":
        login += ["--user", f"{attempt.user}:", "--cert", str(office.robot)]
    elif attempt.mechanism == "GSSAPI":
        login += ["--user", f"{attempt.user}@{REALM}:"]  # without a realm curl does not offer it
    elif attempt.mechanism:
        login += ["--user", f"{attempt.user}:{attempt.secret}"]
    return [needs("curl"), "-4sS", "--ssl-reqd", "--cacert", office.ca, *where, *login, "-T", "-"], CONTENT


def msmtp(office: Office, needs: Needs, attempt: Try) -> tuple[list[str | Path], bytes]:
    secured = ["--tls=on", f"--tls-trust-file={office.ca}", f"--tls-starttls={'off' if attempt.security == 'ssl' else 'on'}"]
    login = [f"--auth={attempt.mechanism.lower()}", f"--user={attempt.user}"] if attempt.mechanism else ["--auth=off"]
    if attempt.mechanism == "EXTERNAL":
        login += [f"--tls-cert-file={office.robot}", f"--tls-key-file={office.robot}"]
    elif attempt.mechanism not in {"", "GSSAPI"}:
        login += [f"--passwordeval=echo '{attempt.secret}'"]
    server = ["--file=/dev/null", "--host=localhost", f"--port={attempt.port}", f"--from={SENDER}"]
    return [needs("msmtp"), *server, *secured, *login, "--", attempt.recipient], CONTENT.replace(b"\r\n", b"\n")


def gsasl(office: Office, needs: Needs, attempt: Try) -> tuple[list[str | Path], bytes]:
    """It logs in, and sends no mail: of what it is given it passes on one line. A sender of its own makes it known in our log."""
    known = [f"--authentication-id={attempt.user}", f"--password={attempt.secret}"]
    if attempt.mechanism == "GSSAPI":
        known = ["--authentication-id=", "--service=smtp"]
    elif attempt.mechanism == "EXTERNAL":
        known = [f"--x509-cert-file={office.robot}", f"--x509-key-file={office.robot}"]
    words = ["--smtp", "--starttls", f"--x509-ca-file={office.ca}", f"--mechanism={attempt.mechanism}", "--authorization-id=", *known]
    words += [] if attempt.mechanism in PLUS else ["--no-cb"]
    words += ["--hostname=localhost", f"--connect=127.0.0.1:{attempt.port}"]
    return [needs("gsasl"), *words], f"MAIL FROM:<{attempt.recipient}>\n".encode()


# -- libraries --------------------------------------------------------------------------------


async def python_smtplib(office: Office, _: Needs, tries: Sequence[Try]) -> Said:
    context = ssl.create_default_context(cafile=str(office.ca))

    def send(attempt: Try) -> None:
        if attempt.security == "ssl":
            client: smtplib.SMTP = smtplib.SMTP_SSL("localhost", attempt.port, timeout=TIMEOUT, context=context)
        else:
            client = smtplib.SMTP("localhost", attempt.port, timeout=TIMEOUT)
        with client:
            if attempt.security == "starttls":
                client.starttls(context=context)
            client.ehlo()
            if attempt.mechanism:
                client.user, client.password = attempt.user, attempt.secret
                client.auth(attempt.mechanism, _python_login(client, attempt))
            client.sendmail(SENDER, [attempt.recipient], CONTENT)

    return await _each(tries, lambda attempt: asyncio.to_thread(send, attempt))


def _python_login(client: smtplib.SMTP, attempt: Try) -> Callable[..., str]:
    if attempt.mechanism == "XOAUTH2":
        return lambda challenge=None: "" if challenge else f"user={attempt.user}\1auth=Bearer {attempt.secret}\1\1"
    method: Callable[..., str] = getattr(client, f"auth_{attempt.mechanism.lower().replace('-', '_')}")
    return method


async def python_aiosmtplib(office: Office, _: Needs, tries: Sequence[Try]) -> Said:
    context = ssl.create_default_context(cafile=str(office.ca))

    async def send(attempt: Try) -> None:
        at_once = attempt.security == "ssl"
        client = aiosmtplib.SMTP(
            hostname="localhost", port=attempt.port, timeout=TIMEOUT, use_tls=at_once, start_tls=not at_once, tls_context=context
        )
        async with client:
            await client.ehlo()
            if attempt.mechanism == "XOAUTH2":
                await client.auth_xoauth2(attempt.user, attempt.secret)
            elif attempt.mechanism:
                await getattr(client, f"auth_{attempt.mechanism.lower().replace('-', '')}")(attempt.user, attempt.secret)
            message = EmailMessage()
            message["From"], message["To"], message["Subject"] = SENDER, attempt.recipient, "a test"
            message.set_content("Thank you.\n.\nBye.\n")
            await client.send_message(message)

    return await _each(tries, send)


async def _each(tries: Sequence[Try], send: Callable[[Try], Awaitable[None]]) -> Said:
    said: Said = {}
    for attempt in tries:
        try:
            await send(attempt)
        except (smtplib.SMTPException, aiosmtplib.SMTPException, OSError) as error:
            said[attempt.name] = str(error)
    return said


def panel(office: Office, attempt: Try) -> dict[str, str | int]:
    """The fields of a message as the scripts of `clients/` take them."""
    return {
        "name": attempt.name, "host": "localhost", "port": attempt.port, "security": attempt.security, "mechanism": attempt.mechanism,
        "user": attempt.user, "secret": attempt.secret, "from": SENDER, "to": attempt.recipient, "ca": str(office.ca), "timeout": TIMEOUT,
    }  # fmt: skip


def by_script(program: str, script: str) -> Driver:
    """A process that does all tries."""

    async def drive(office: Office, needs: Needs, tries: Sequence[Try]) -> Said:
        panels = json.dumps([panel(office, attempt) for attempt in tries])
        return outcomes(await run(needs(program), SCRIPTS / script, stdin=panels.encode()))

    return drive


def outcomes(done: subprocess.CompletedProcess[bytes]) -> Said:
    """What a script printed."""
    lines = [json.loads(line) for line in done.stdout.decode().splitlines() if line.startswith("{")]
    return {str(line["name"]): str(line["said"]) for line in lines if not line["sent"]}


async def jakarta_mail(_: Office, needs: Needs, tries: Sequence[Try]) -> Said:
    rows = [(t.name, "localhost", t.port, t.security, t.mechanism or "-", t.user, t.secret or "-", SENDER, t.recipient) for t in tries]
    stdin = "".join(" ".join(map(str, row)) + "\n" for row in rows)
    return outcomes(await run(needs("jakarta-mail"), SCRIPTS / "JakartaMail.java", stdin=stdin.encode()))


# -- versions ---------------------------------------------------------------------------------


def told(program: str, *words: str) -> Callable[[Needs], Awaitable[str]]:
    """The first thing like a version that `program words` prints."""

    async def ask(needs: Needs) -> str:
        done = await run(needs(program), *words, check=False, stdin=b"[]" if words and words[0].endswith(("js", "php")) else b"")
        found = re.search(r"\b\d+(?:\.\d+)+", done.stdout.decode(errors="replace"))
        assert found is not None, done.stdout
        return found[0]

    return ask


def fixed(text: str) -> Callable[[Needs], Awaitable[str]]:
    async def ask(_: Needs) -> str:
        return text

    return ask


def _script(name: str) -> str:
    return os.fspath(SCRIPTS / name)


CLIENTS = (
    Client("gsasl", "gsasl", (*PASSWORDS, *SCRAM, *PLUS, "GSSAPI", "EXTERNAL"), one_by_one(gsasl), told("gsasl", "--version"),
           ("25", "587", "2525"), sends=False),
    Client("swaks", "swaks-ntlm", (*PASSWORDS, "NTLM"), one_by_one(swaks), told("swaks-ntlm", "--version"), old=("NTLM",)),
    Client("curl", "curl", (*PASSWORDS, "NTLM", "GSSAPI", "OAUTHBEARER", "EXTERNAL"), one_by_one(curl), told("curl", "--version")),
    Client("msmtp", "msmtp", (*PASSWORDS, *SCRAM, "NTLM", "GSSAPI", *BEARER, "EXTERNAL"), one_by_one(msmtp), told("msmtp", "--version"),
           old=("NTLM",)),
    Client("Python smtplib", "", (*PASSWORDS, "XOAUTH2"), python_smtplib, fixed(python_version())),
    Client("aiosmtplib", "", (*PASSWORDS, "XOAUTH2"), python_aiosmtplib, fixed(version("aiosmtplib"))),
    Client("nodemailer", "nodemailer", (*PASSWORDS, "XOAUTH2"), by_script("nodemailer", "nodemailer.js"),
           told("nodemailer", _script("nodemailer.js"))),
    Client("PHPMailer", "phpmailer", (*PASSWORDS, "XOAUTH2"), by_script("phpmailer", "phpmailer.php"),
           told("phpmailer", _script("phpmailer.php"))),
    Client("Jakarta Mail", "jakarta-mail", ("PLAIN", "LOGIN", "NTLM", "XOAUTH2"), jakarta_mail,
           told("jakarta-mail", _script("JakartaMail.java"))),
)  # fmt: skip
