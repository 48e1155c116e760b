"""Logging in at receivers, from the text of a configuration: `<oauth-client>`, logins, TLS; what is refused at its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from postwright.control.config import loads
from postwright.model.route import ClientTls, Login, MxAnswer, MxHost, MxStatus, SessionOptions, TlsLevel
from postwright.policy import mx
from postwright.policy.resolve import Resolved
from postwright.policy.settings import OauthClient

ASKED = "token-url https://id.example/token\nclient-id relay\nclient-secret sesame\n"


def block(lines: str, name: str = "corp") -> str:
    return f"<oauth-client {name}>\n{lines}</oauth-client>\n"


def domain(lines: str) -> str:
    return f"<domain *>\n{lines}</domain>\n"


def options(good: Any, text: str, *, queue: str = "far.example", vmta: str = "{default}") -> SessionOptions:
    return mx.session_options(Resolved(good(text)).queue(queue, vmta))


# -- <oauth-client> ---------------------------------------------------------------------------------


def test_what_is_written_and_what_is_not(good: Any) -> None:
    lines = ASKED + "client-authentication basic\nrefresh-token again\nscope mail.send offline\nrequest-timeout 2s\n"
    clients = good(block(lines, "Corp") + block("token one-that-lasts\n", "other")).oauth_clients
    origin = clients["corp"].origin
    assert clients["corp"] == OauthClient(
        "Corp", "https://id.example/token", "relay", "sesame", "basic", "again", "mail.send offline", "", "", 2.0, "", origin
    )
    assert clients["other"] == OauthClient("other", access_token="one-that-lasts", origin=clients["other"].origin)


def test_the_file_of_a_token_stands_beside_the_configuration_and_may_come_later(tmp_path: Path) -> None:
    result = loads(block("token-file token\n"), folder=tmp_path)
    assert result.settings is not None
    assert result.settings.oauth_clients["corp"].token_file == str(tmp_path / "token")


REFUSED = [
    ("", 1, "nothing says where its tokens come from"),
    ("client-id relay\n", 1, "nothing says where its tokens come from"),
    (ASKED + "token-file x\n", 1, "token-url and token-file are two ways to a token"),
    ("token x\ntoken-file x\n", 1, "token and token-file are two ways to a token"),
    ("token-url https://id.example/token\nclient-secret x\n", 1, "token-url without client-id"),
    ("token-url https://id.example/token\nclient-id x\n", 1, "token-url without client-secret or refresh-token"),
    ("token-url http://id.example/token\nclient-id x\nclient-secret y\n", 2, "plain HTTP"),
    ("token-url http://localhost.evil.example/token\nclient-id x\nclient-secret y\n", 2, "plain HTTP"),
    (ASKED + "client-authentication jwt\n", 5, "`jwt` is none of"),
]


@pytest.mark.parametrize(("lines", "line", "message"), REFUSED)
def test_refused(found: Any, lines: str, line: int, message: str) -> None:
    level, where, text = found(block(lines))[0]
    assert (level, where) == ("error", line)
    assert message in text


@pytest.mark.parametrize("tolerant", [False, True])
def test_a_login_by_a_client_that_there_is_not(found: Any, tolerant: bool) -> None:
    """Not even tolerant mode forgives it: the login would go on with a password, or none."""
    level, _, text = found(block(ASKED) + domain("auth-username me\nauth-oauth-client crop\n"), tolerant=tolerant)[0]
    assert (level, text) == ("error", "there is no <oauth-client> `crop`")


def test_its_secrets_are_shown_nowhere(good: Any) -> None:
    login = domain("auth-username me\nauth-password sesame\n")
    settings = good(block(ASKED + "refresh-token sesame\n") + block("token sesame\n", "b") + login)
    assert "sesame" not in repr(settings.oauth_clients) + repr(mx.session_options(Resolved(settings).queue("a.example", "{default}")))
    wrong = 'refresh-token sesame\nrefresh-token\nrefresh-tokn sesame\ntoken sesame sesame2 "\nclient-secrett sesame\n'
    result = loads(block(wrong), offline=True)
    assert result.errors
    assert "sesame" not in "\n".join(problem.render() for problem in result.problems)


# -- logins -----------------------------------------------------------------------------------------


def test_a_domain_without_a_login_has_none(good: Any) -> None:
    assert options(good, domain("auth-password x\n")).login is None
    taken_back = '<domain far.example>\nauth-username ""\n</domain>\n'
    assert options(good, domain("auth-username me\nauth-password x\n") + taken_back).login is None


@pytest.mark.parametrize(
    ("lines", "login"),
    [
        ("auth-username me\nauth-password pw\n", Login("me", "pw")),
        ("auth-username me\nauth-password pw\nauth-mechanism cram-md5\n", Login("me", "pw", "CRAM-MD5")),
        ("auth-username me\nauth-password pw\nauth-oauth-client Corp\n", Login("me", client="Corp")),
        ("auth-mechanism EXTERNAL\nsmtp-client-certificate ours.pem\n", Login(mechanism="EXTERNAL", certificate=True)),
        ("auth-username me\nuse-unencrypted-plain-auth yes\n", Login("me", unencrypted=True, verify=False)),
        ("auth-username me\nuse-unencrypted-plain-auth yes\nrequire-starttls yes\n", Login("me", unencrypted=True)),
        ("auth-username me\nuse-unencrypted-plain-auth yes\nauth-verify-tls yes\n", Login("me", unencrypted=True)),
        ("auth-username me\nauth-verify-tls no\n", Login("me", verify=False)),
    ],
)
def test_logins(good: Any, lines: str, login: Login) -> None:
    assert options(good, block(ASKED) + domain(lines)).login == login


def test_a_virtual_mta_has_a_login_of_its_own(good: Any) -> None:
    all_, own = domain("auth-username all\n"), domain("auth-username one\n")
    text = f"{all_}<virtual-mta one>\n{own}</virtual-mta>\n"
    assert options(good, text, vmta="one").login == Login("one")
    assert options(good, text).login == Login("all")


# -- TLS --------------------------------------------------------------------------------------------


@pytest.mark.directive("smtp-tls-allow-tlsv1", "smtp-tls-allow-tlsv1.1", "smtp-tls-ciphers", "smtp-tls-tlsv1.3-ciphersuites")
@pytest.mark.directive("smtp-client-certificate", "smtp-tls-ca-file")
def test_tls_as_written(good: Any) -> None:
    assert options(good, domain("use-starttls yes\n")).client_tls == ClientTls()
    ca, ours = (str(Path.cwd() / name) for name in ("ca.pem", "ours.pem"))
    lines = "smtp-tls-allow-tlsv1 yes\nsmtp-tls-allow-tlsv1.1 no\nsmtp-tls-ciphers ECDHE-RSA-AES128-GCM-SHA256\n"
    lines += "smtp-tls-tlsv1.3-ciphersuites TLS_AES_128_GCM_SHA256\nsmtp-client-certificate "
    lines += f"{ours} pw\nsmtp-tls-ca-file {ca}\n"
    found = options(good, domain(lines))
    assert found.verify, "whoever names authorities wants them asked"
    assert found.client_tls == ClientTls(
        ("TLSv1", "TLSv1.2", "TLSv1.3"), "ECDHE-RSA-AES128-GCM-SHA256", "TLS_AES_128_GCM_SHA256", ca, ours, "pw"
    )
    assert options(good, domain("smtp-tls-ciphers HIGH:!ADH:@STRENGTH\n")).client_tls.ciphers == "", "PowerMTA's default stands for ours"


@pytest.mark.parametrize(
    ("written", "port", "at_once"),
    [("", 465, True), ("", 587, False), ("smtp-implicit-tls no\n", 465, False), ("smtp-implicit-tls yes\n", 2465, True)],
)
@pytest.mark.directive("smtp-implicit-tls")
def test_port_465_is_tls_from_the_first_octet(good: Any, written: str, port: int, at_once: bool) -> None:
    found = options(good, domain(f"require-starttls yes\n{written}"))
    answer = MxAnswer(MxStatus.FOUND, (MxHost("smtp.example", 0, port, ("192.0.2.1",)),))
    [route] = mx.plan(answer, found, ()).routes
    assert (route.implicit, found.tls) == (at_once, TlsLevel.REQUIRED)
    by_default = MxAnswer(MxStatus.FOUND, (MxHost("smtp.example", 0, 0, ("192.0.2.1",)),))
    assert mx.plan(by_default, found, (), port=port).routes[0].implicit is at_once, "default-smtp-port says it as well"
