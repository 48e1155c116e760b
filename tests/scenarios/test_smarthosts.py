"""The recipes of docs/guides/smarthosts.md against receivers that behave like the providers: the relay runs the very files of examples/.

Changed is only what must differ: where names lead (a name server of the test's own), the ports, and whose certificates are trusted. The
names in the certificates, the logins, the mechanisms and the paths of the token endpoints are the recipes'. Takes about 20 seconds.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType

import pytest
import trustme
from aiohttp import web
from tests.scenarios.clients import client, send
from tests.scenarios.provider import CPANEL, DISABLED, GMAIL, MAILGUN, OFFICE365, SES, THROTTLED, UNVERIFIED, Manner, Provider

from postwright.testing.dns_server import DnsServer
from postwright.testing.relay_process import RelayProcess
from postwright.testing.sockets import free_port

RECIPES = Path(__file__).parents[2] / "examples" / "smarthosts"


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


def certified(ca: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(*names).configure_cert(context)
    return context


class TokenServer:
    """An authorisation server's token endpoint (RFC 6749 section 3.2), over HTTPS. It gives `tokens` in turn, or a `failure`; `forms` is
    what it was asked."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self.forms: list[dict[str, str]] = []
        self.tokens: list[str] = []
        self.failure: tuple[int, dict[str, str]] | None = None
        self.lasts: object = 3599
        self._tls = tls
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def __aenter__(self) -> TokenServer:
        app = web.Application()
        app.add_routes([web.post("/{path:.*}", self._answer)])
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        self.forms.append({name: str(value) for name, value in (await request.post()).items()} | {"path": request.path})
        if self.failure is not None:
            return web.json_response(self.failure[1], status=self.failure[0])
        token = self.tokens[min(len(self.forms), len(self.tokens)) - 1]
        return web.json_response({"token_type": "Bearer", "access_token": token, "expires_in": self.lasts})


class Office(RelayProcess):
    """A recipe in force. `port` is where programs of this machine hand in their mail."""

    def __init__(self, folder: Path, recipe: str, provider: Provider, dns: DnsServer, ca_file: Path, tokens: TokenServer | None) -> None:
        self.port = free_port()
        super().__init__(folder, adapted(recipe, self.port, provider, dns, ca_file, tokens))

    async def send(self, *recipients: str) -> None:
        async with client(self.port) as session:
            await send(session, *recipients)

    def told(self) -> str:
        """Why the queues wait, as `postwright status` says it."""
        return " ".join(queue.last_error for shard in self.status().shards for queue in shard.top_queues)


def adapted(recipe: str, port: int, provider: Provider, dns: DnsServer, ca_file: Path, tokens: TokenServer | None) -> str:
    """The recipe's text as it can run in a test."""
    text = (RECIPES / f"{recipe}.conf").read_text("utf-8")
    assert text.count("127.0.0.1:2525") == 1
    text = text.replace("127.0.0.1:2525", f"127.0.0.1:{port}")
    text, count = re.subn(rf"{re.escape(provider.manner.host)}:(587|465)", lambda m: _hosts(m, provider), text)
    assert count == 1
    if tokens is not None:
        text, count = re.subn(r"token-url( +)https://[^/\s]+/", rf"token-url\1https://localhost:{tokens.port}/", text)
        assert count == 1
        text = text.replace("</oauth-client>", f"    ca-file {ca_file}\n</oauth-client>")
    at_once = "    smtp-implicit-tls yes\n" if f":{provider.smtps_port}" in text else ""
    there = f"    smtp-tls-ca-file {ca_file}\n    auth-verify-tls yes\n    retry-after 1s\n{at_once}"
    return f"{text}name-server {dns.address}\nrun-as-root yes\n<domain *>\n{there}</domain>\n"


def _hosts(found: re.Match[str], provider: Provider) -> str:
    return f"{provider.manner.host}:{provider.port if found[1] == '587' else provider.smtps_port}"


class Place:
    """A provider, its token endpoint, and a relay that runs the recipe."""

    def __init__(self, office: Office, provider: Provider, tokens: TokenServer) -> None:
        self.office = office
        self.provider = provider
        self.tokens = tokens

    async def arrived(self, count: int = 1) -> None:
        await self.office.until(lambda: len(self.provider.mail) >= count, "mail at the provider")


@asynccontextmanager
async def in_force(
    folder: Path, ca: trustme.CA, recipe: str, manner: Manner, *, names: tuple[str, ...] = (), oauth: bool = False, **logins: str
) -> AsyncIterator[Place]:
    ca_file = folder / "ca.pem"
    ca.cert_pem.write_to_path(str(ca_file))
    zone = {manner.host: {"A": ["127.0.0.1"]}}
    tls = certified(ca, *(names or (manner.host,)))
    async with (
        Provider(manner, tls, dict(logins)) as provider,
        TokenServer(certified(ca, "localhost")) as tokens,
        DnsServer(zone) as dns,
        Office(folder, recipe, provider, dns, ca_file, tokens if oauth else None) as office,
    ):
        assert isinstance(office, Office)
        yield Place(office, provider, tokens)


def written(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """All that the relay has written, but for its spool (mail as it was given) and its configuration."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix in (".log", ".csv", ".out"):
            yield path, path.read_bytes()


# -- passwords --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recipe", "manner", "user", "password", "mechanism"),
    [
        ("gmail", GMAIL, "somebody@gmail.com", "abcd efgh ijkl mnop", "PLAIN"),
        ("mailgun", MAILGUN, "postmaster@mg.example.com", "change-me", "PLAIN"),
        ("ses", SES, "AKIAEXAMPLE0EXAMPLE0", "change-me", "PLAIN"),
        ("cpanel", CPANEL, "website@example.com", "change-me", "PLAIN"),
    ],
)
@pytest.mark.directive("auth-username", "auth-password", "smtp-hosts")
async def test_a_password_is_enough(
    ca: trustme.CA, tmp_path: Path, recipe: str, manner: Manner, user: str, password: str, mechanism: str
) -> None:
    async with in_force(tmp_path, ca, recipe, manner, **{user: password}) as place:
        await place.office.send("ann@far.example")
        await place.arrived()
        [mail] = place.provider.mail
        assert (mail.user, mail.mechanism, mail.recipients, mail.tls) == (user, mechanism, ["ann@far.example"], "TLSv1.3")
        [record] = await place.office.wait_for_records("d", 1)
        assert record["dsnMta"].startswith(manner.host)


async def test_a_wrong_password_bounces_nothing_and_says_why(ca: trustme.CA, tmp_path: Path) -> None:
    async with in_force(tmp_path, ca, "gmail", GMAIL, **{"somebody@gmail.com": "another"}) as place:
        await place.office.send("ann@far.example")
        await place.office.until(lambda: "was refused" in place.office.told(), "the reason in status")
        assert "535 5.7.8 Username and Password not accepted" in place.office.told()
        assert place.office.records("b") == []
        place.provider.passwords["somebody@gmail.com"] = "abcd efgh ijkl mnop"
        await place.arrived()
    for path, octets in written(tmp_path):
        assert b"efgh" not in octets, path


async def test_the_password_is_for_nobody_who_only_says_that_he_is_the_host(ca: trustme.CA, tmp_path: Path) -> None:
    async with in_force(tmp_path, ca, "mailgun", MAILGUN, names=("evil.example",), **{"postmaster@mg.example.com": "change-me"}) as place:
        await place.office.send("ann@far.example")
        await place.office.until(lambda: "certificate not accepted" in place.office.told(), "the reason in status")
        assert place.provider.mail == place.provider.refusals == []
        assert place.office.records("b") == []


@pytest.mark.directive("max-rcpt-per-message")
async def test_amazon_takes_fifty_recipients_at_a_time(ca: trustme.CA, tmp_path: Path) -> None:
    async with in_force(tmp_path, ca, "ses", SES, AKIAEXAMPLE0EXAMPLE0="change-me") as place:
        await place.office.send(*[f"{number}@far.example" for number in range(120)])
        await place.office.wait_for_records("d", 120)
        assert sorted(len(mail.recipients) for mail in place.provider.mail) == [20, 50, 50]
        place.provider.answers["END"] = UNVERIFIED
        await place.office.send("ann@far.example")
        await place.office.wait_for_records("b", 1)
        bounced = {row["rcpt"]: row["dsnDiag"] for row in place.office.records("b")}
        assert "Email address is not verified" in bounced["ann@far.example"]


# -- tokens -----------------------------------------------------------------------------------------


async def test_gmail_by_refresh_token(ca: trustme.CA, tmp_path: Path) -> None:
    async with in_force(tmp_path, ca, "gmail-oauth", GMAIL, oauth=True) as place:
        place.tokens.tokens = ["ya29.first", "ya29.second"]
        place.provider.tokens = {"ya29.first"}
        await place.office.send("ann@far.example")
        await place.arrived()
        place.provider.tokens = {"ya29.second"}  # the first was taken back before its time
        await place.office.send("bob@near.example")
        await place.arrived(2)
        assert [(mail.user, mail.mechanism) for mail in place.provider.mail] == [("somebody@gmail.com", "XOAUTH2")] * 2
        assert place.provider.refusals == [("XOAUTH2", "somebody@gmail.com")], "once, and then with a new token"
        assert [form["grant_type"] for form in place.tokens.forms] == ["refresh_token"] * 2
        assert (place.tokens.forms[0]["refresh_token"], place.tokens.forms[0]["client_secret"]) == ("1//change-me", "GOCSPX-change-me")
        assert place.office.records("t", "b") == []
    for path, octets in written(tmp_path):
        for secret in (b"ya29", b"GOCSPX-change-me", b"1//change-me"):
            assert secret not in octets, path


async def test_a_token_that_never_works_is_not_fetched_over_and_over(ca: trustme.CA, tmp_path: Path) -> None:
    async with in_force(tmp_path, ca, "gmail-oauth", GMAIL, oauth=True) as place:
        place.tokens.tokens = ["ya29.no-good"]
        await place.office.send("ann@far.example")
        await place.office.until(lambda: len(place.provider.refusals) >= 2, "two refusals")
        assert len(place.tokens.forms) == 1
        assert "535 5.7.8" in place.office.told()
        assert "status" in place.office.told(), "what was said inside the dialogue (RFC 7628 section 3.2.2)"
        assert place.office.records("b") == []


@pytest.mark.directive("auth-oauth-client")
async def test_office_365_by_client_credentials(ca: trustme.CA, tmp_path: Path) -> None:
    async with in_force(tmp_path, ca, "office365", OFFICE365, oauth=True) as place:
        place.tokens.tokens, place.tokens.lasts = ["eyJ0.eyJh.c2ln"], "3599"
        place.provider.tokens = {"eyJ0.eyJh.c2ln"}
        place.provider.answers["AUTH"] = DISABLED
        await place.office.send("ann@far.example")
        await place.office.until(lambda: "5.7.139" in place.office.told(), "Microsoft's reason in status")
        del place.provider.answers["AUTH"]
        place.provider.answers["END"] = THROTTLED
        [throttled] = await place.office.wait_for_records("t", 1)
        assert throttled["dsnStatus"].startswith("4.3.2")
        del place.provider.answers["END"]
        await place.arrived()
        [mail] = place.provider.mail
        assert (mail.user, mail.mechanism) == ("mailer@example.com", "XOAUTH2")
        [form] = place.tokens.forms
        assert (form["grant_type"], form["scope"]) == ("client_credentials", "https://outlook.office365.com/.default")
        assert form["path"].endswith("/oauth2/v2.0/token")
        assert place.office.records("b") == []


async def test_a_token_endpoint_that_refuses_is_told_once_and_mail_waits(ca: trustme.CA, tmp_path: Path) -> None:
    async with in_force(tmp_path, ca, "office365", OFFICE365, oauth=True) as place:
        prose = "AADSTS7000215: Invalid client secret provided: 'change~me'."
        place.tokens.failure = (401, {"error": "invalid_client", "error_description": prose})
        await place.office.send("ann@far.example")
        await place.office.until(lambda: "AADSTS7000215" in place.office.told(), "the reason in status")
        assert "invalid_client (AADSTS7000215): client-id or client-secret is wrong" in place.office.told()
        assert place.provider.sessions == 0, "nobody is called while there is nothing to say"
        await place.office.send("ann@far.example", "bob@near.example", "cy@other.example")
        await place.office.until(lambda: place.office.told().count("AADSTS7000215") == 3, "three queues that wait")
        assert len(place.tokens.forms) == 1, "and for half a minute nobody asks again"
        assert len([event for event in place.office.log() if event["event"] == "no token to log in with"]) == 1
        assert place.office.records("b") == []
    for path, octets in written(tmp_path):
        assert b"change~me" not in octets, path


def test_the_guide_shows_the_recipes() -> None:
    guide = (RECIPES.parents[1] / "docs" / "guides" / "smarthosts.md").read_text("utf-8")
    for recipe in RECIPES.glob("*.conf"):
        assert f"examples/smarthosts/{recipe.name}" in guide
    assert {path.stem for path in RECIPES.glob("*.conf")} == {"cpanel", "gmail", "gmail-oauth", "mailgun", "office365", "ses"}
