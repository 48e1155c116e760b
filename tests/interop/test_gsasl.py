"""Logins of GNU SASL at a running relay of two shards: every mechanism that both have, inside TLS, and nothing secret in the log.

gsasl verifies what a server has to prove too: our signature in SCRAM, the channel binding in its -PLUS forms.
"""

from __future__ import annotations

import base64
import smtplib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from msgspec import Struct
from tests.interop.peers import Needs, Relay, run

from postwright.testing.certificate import self_signed_pem

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.needs("gsasl")]

USER, PASSWORD = "anne", "correct-horse=battery,st\u00e4ple"
PLUS = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS")
OTHERS = ("SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5", "PLAIN", "LOGIN")


def rules(certificate: Path, robot: Path) -> str:
    return f"""
smtp-server-tls-certificate {certificate}
<smtp-user {USER}>
    password "{PASSWORD}"
</smtp-user>
<smtp-user robot>
    authentication-method certificate
    tls-certificate {robot}
</smtp-user>
<source 127.0.0.1/32>
    allow-starttls yes
    require-auth yes
    require-starttls-before-auth yes
    log-connections yes
    log-commands yes
</source>
"""


class World(Struct):
    """A relay, and the certificate with which `robot` logs in there."""

    relay: Relay
    robot: Path


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(certificate: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    folder = tmp_path_factory.mktemp("gsasl")
    robot = folder / "robot.pem"
    robot.touch(mode=0o600)
    robot.write_bytes(b"".join(self_signed_pem(["robot"])))
    async with Relay(folder, rules(certificate, robot), shards=2) as relay:
        yield World(relay, robot)


async def log_in(
    world: World, needs: Needs, mechanism: str, *more: str, user: str = USER, password: str = PASSWORD, identity: str = ""
) -> str:
    """What was said; its last code is the relay's verdict."""
    done = await run(
        needs("gsasl"), "--smtp", "--starttls", "--x509-ca-file=", *([f"--mechanism={mechanism}"] if mechanism else []),
        f"--authentication-id={user}", f"--authorization-id={identity}", f"--password={password}", "--application-data", *more,
        "127.0.0.1", str(world.relay.port), check=False,
    )  # fmt: skip
    said = done.stdout.decode(errors="replace")
    assert (done.returncode == 0) == ("\n235 " in said), said
    return said


@pytest.mark.parametrize("mechanism", [*PLUS, *OTHERS])
async def test_every_mechanism(world: World, needs: Needs, mechanism: str) -> None:
    more = () if mechanism in PLUS else ("--no-cb",)
    assert "\n235 2.7.0 " in await log_in(world, needs, mechanism, *more)
    assert "\n535 5.7.8 " in await log_in(world, needs, mechanism, *more, password="wrong")


@pytest.mark.parametrize("mechanism", [*PLUS, *OTHERS])
async def test_somebody_who_does_not_exist(world: World, needs: Needs, mechanism: str) -> None:
    more = () if mechanism in PLUS else ("--no-cb",)
    assert "\n535 5.7.8 authentication failed" in await log_in(world, needs, mechanism, *more, user="nobody")


async def test_the_strongest_is_taken_where_the_client_may_choose(world: World, needs: Needs) -> None:
    said = await log_in(world, needs, "")
    assert "\n235 2.7.0 " in said
    assert "AUTH SCRAM-SHA-256-PLUS" in said


async def test_a_client_certificate(world: World, needs: Needs) -> None:
    shown = f"--x509-cert-file={world.robot}", f"--x509-key-file={world.robot}"
    assert "\n235 2.7.0 " in await log_in(world, needs, "EXTERNAL", *shown)
    assert "\n235 2.7.0 " in await log_in(world, needs, "EXTERNAL", *shown, identity="robot")
    assert "\n535 5.7.8 " in await log_in(world, needs, "EXTERNAL", *shown, identity=USER)
    assert "\n504 5.5.4 " in await log_in(world, needs, "EXTERNAL")  # and it is not announced


async def test_what_is_announced(world: World) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with smtplib.SMTP("127.0.0.1", world.relay.port, timeout=10) as smtp:
        smtp.ehlo()
        assert "auth" not in smtp.esmtp_features
        assert smtp.docmd("AUTH", "PLAIN AGEAYg==") == (530, b"5.7.0 must issue a STARTTLS command first")
        smtp.starttls(context=context)
        smtp.ehlo()
        assert tuple(smtp.esmtp_features["auth"].split()) == (*PLUS, *OTHERS)


async def test_nothing_secret_is_in_the_log(world: World, needs: Needs) -> None:
    for mechanism in OTHERS:
        await log_in(world, needs, mechanism, "--no-cb")
    log = b"".join(path.read_bytes() for path in world.relay.folder.rglob("*.log*"))
    assert log
    octets = PASSWORD.encode()
    encoded = [base64.b64encode(text).rstrip(b"=") for text in (octets, b"\0" + USER.encode() + b"\0" + octets)]
    for secret in (octets, b"correct-horse", *encoded):
        assert secret not in log
