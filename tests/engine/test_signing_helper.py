"""The process that signs for a shard: its signatures are the key's, its death costs nobody a signature, its wire has bounds."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import signal
import socket
import threading
from functools import partial
from pathlib import Path
from typing import Any

import dkim
import pytest
import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from postwright.content import dkim_canon
from postwright.content.dkim_key import SigningKey
from postwright.engine import signing_frames as f
from postwright.engine import signing_helper
from postwright.engine.dkim_keys import Broken
from postwright.engine.signer import LARGE, Signer
from postwright.engine.signing import Keys, Signing
from postwright.engine.signing_helper import Signed, SigningHelper
from postwright.model.address import parse_mailbox
from postwright.model.envelope import Envelope, Judged, Recipient
from postwright.model.message import Arrival, Message
from postwright.policy.resolve import Resolved
from postwright.policy.settings import DomainKey
from postwright.testing.world_settings import domain, relay
from postwright.wire.body import scan
from postwright.wire.client_states import Transaction

KEY = SigningKey(rsa.generate_private_key(65537, 2048))


def digest(text: bytes) -> bytes:
    return hashlib.sha256(text).digest()


async def test_it_signs_as_the_key_does() -> None:
    lost: list[str] = []
    helper = SigningHelper(asyncio.get_running_loop(), lambda waiting, why: lost.append(why))
    made: dict[int, bytes] = {}
    all_made = asyncio.Event()

    def came(number: int, signature: bytes) -> None:
        made[number] = signature
        if len(made) == 40:
            all_made.set()

    try:
        for number in range(40):
            assert helper.ready()
            helper.ask(KEY, digest(b"%d" % number), partial(came, number))
        async with asyncio.timeout(30):
            await all_made.wait()
    finally:
        helper.close()
    assert made == {number: KEY.sign(b"%d" % number) for number in range(40)}
    assert KEY.sign_digest(hashlib.sha1(b"x").digest()) == KEY.sign(b"x", "sha1")
    assert lost == []
    assert not helper.ready(), "closed is closed"


async def test_more_keys_than_it_keeps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing_helper, "KEYS_MOST", 2)
    keys = [SigningKey(rsa.generate_private_key(65537, 1024)) for _ in range(3)]
    lost: list[str] = []
    helper = SigningHelper(asyncio.get_running_loop(), lambda waiting, why: lost.append(why))
    orders = [keys[number] for number in (0, 1, 0, 2, 1, 0, 2)]
    signatures: list[asyncio.Future[bytes]] = [asyncio.get_running_loop().create_future() for _ in orders]
    try:
        assert helper.ready()
        for number, (key, signature) in enumerate(zip(orders, signatures, strict=True)):
            helper.ask(key, digest(b"%d" % number), signature.set_result)
        async with asyncio.timeout(30):
            assert await asyncio.gather(*signatures) == [key.sign(b"%d" % number) for number, key in enumerate(orders)]
        assert len(helper._keys) == 2
    finally:
        helper.close()
    assert lost == []


async def test_who_waits_is_told_when_it_dies() -> None:
    told: asyncio.Future[list[Signed]] = asyncio.get_running_loop().create_future()
    helper = SigningHelper(asyncio.get_running_loop(), lambda waiting, why: told.set_result(waiting))
    assert helper.ready()
    asked = [partial(print, number) for number in range(3)]
    assert helper._process is not None
    os.kill(helper._process.pid, signal.SIGSTOP)
    for one in asked:
        helper.ask(KEY, digest(b"x"), one)
    os.kill(helper._process.pid, signal.SIGKILL)
    async with asyncio.timeout(30):
        assert await told == asked
    assert not helper.ready(), "not at once again"
    helper.close()


async def test_without_a_socket_to_spare_the_shard_signs_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*of: Any) -> tuple[socket.socket, socket.socket]:
        raise OSError(errno.EMFILE, "Too many open files")

    signer = Signer(asyncio.get_running_loop(), structlog.get_logger())
    signer.signatures.apart = True
    message, transaction = mail(b"From: joe@a.example\r\n\r\nbody\r\n")
    monkeypatch.setattr(signing_helper.socket, "socketpair", none_left)
    try:
        async with asyncio.timeout(30):
            assert await signer.signed(signing_with(tmp_path), message, transaction, 0.0) is None
    finally:
        signer.close()
    assert transaction.content[0].startswith(b"DKIM-Signature:")


async def test_who_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing_helper, "PATIENCE", 0.3)
    told: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    helper = SigningHelper(asyncio.get_running_loop(), lambda waiting, why: told.set_result(f"{len(waiting)} {why}"))
    assert helper.ready()
    assert helper._process is not None
    os.kill(helper._process.pid, signal.SIGSTOP)
    helper.ask(KEY, digest(b"x"), print)
    helper.ask(KEY, digest(b"y"), print)
    async with asyncio.timeout(30):
        assert await told == "2 it does not answer"
    helper.close()


def signing_with(folder: Path, **more: Any) -> Signing:
    """Everything is signed with `KEY`."""
    path = folder / "k.pem"
    path.write_bytes(KEY.pem())
    settings = relay(domain("*", dkim_sign="yes", **more), domain_keys=(DomainKey("s", "*", str(path)),))
    resolved = Resolved(settings)
    signing = Keys(settings, structlog.get_logger()).signing(resolved, "{default}", resolved.queue("b.example", "{default}"))
    assert signing is not None
    return signing


def mail(content: bytes) -> tuple[Message, Transaction]:
    envelope = Envelope(parse_mailbox("joe@a.example"), [Recipient(parse_mailbox("b@b.example"))])
    message = Message(1, 0.0, envelope, scan(content), Arrival())
    return message, Transaction(envelope.reverse_path, envelope.recipients, (content,), scan(content))


async def test_a_shard_whose_process_dies_signs_by_itself(tmp_path: Path) -> None:
    signing = signing_with(tmp_path)
    signer = Signer(asyncio.get_running_loop(), structlog.get_logger())
    signer.signatures.apart = True
    content = b"From: joe@a.example\r\n\r\nbody\r\n"
    message, first = mail(content)
    second, third = mail(content)[1], mail(content)[1]
    envelope = message.envelope
    try:
        assert await signer.signed(signing, message, first, 0.0) is None
        done: asyncio.Future[Broken | None] = asyncio.get_running_loop().create_future()
        other = Transaction(envelope.reverse_path, envelope.recipients, (b"To: x\r\n", content), scan(b"To: x\r\n" + content))
        process = signer.signatures._helper._process
        assert process is not None
        os.kill(process.pid, signal.SIGSTOP)
        assert signer.sign(signing, message, other, 0.0, done.set_result) is False
        os.kill(process.pid, signal.SIGKILL)
        async with asyncio.timeout(30):
            assert await done is None
        assert other.content[0].startswith(b"DKIM-Signature:")
        assert signer.sign(signing, message, second, 0.0, done.set_result) is True, "it is remembered"
        assert (first.content, first.facts) == (second.content, second.facts)
        found = scan(b"".join(first.content))
        assert (first.facts.size, first.facts.header_size) == (found.size, found.header_size)
        assert third.content == (content,)
    finally:
        signer.close()


async def test_what_is_left_when_the_dear_signature_is_remembered_is_signed_at_once(tmp_path: Path) -> None:
    """A message to a queue that signs once, and in the same second to one that signs twice: of the two only the cheap one is missing."""
    ed25519_file = tmp_path / "e.pem"
    ed25519_file.write_bytes(SigningKey(ed25519.Ed25519PrivateKey.generate()).pem())
    twice: dict[str, Any] = {"second_dkim_sign": "yes", "second_dkim_algorithm": "ed25519-sha256"}
    keys = DomainKey("s", "*", str(tmp_path / "k.pem")), DomainKey("e", "*", str(ed25519_file))
    (tmp_path / "k.pem").write_bytes(KEY.pem())
    settings = relay(domain("b.example", dkim_sign="yes"), domain("c.example", dkim_sign="yes", **twice), domain_keys=keys)
    resolved, made = Resolved(settings), Keys(settings, structlog.get_logger())
    signer = Signer(asyncio.get_running_loop(), structlog.get_logger())
    signer.signatures.apart = True
    content = b"From: joe@a.example\r\n\r\nbody\r\n"
    found = []
    try:
        for name in ("b.example", "c.example"):
            signing = made.signing(resolved, "{default}", resolved.queue(name, "{default}"))
            assert signing is not None
            message, transaction = mail(content)
            async with asyncio.timeout(10):
                assert await signer.signed(signing, message, transaction, 0.0) is None
            found.append(b"".join(transaction.content))
    finally:
        signer.close()
    assert [octets.count(b"DKIM-Signature:") for octets in found] == [1, 2]
    assert found[1].startswith(found[0].removesuffix(content)), "and the dear one is the same"
    assert signer.signatures.made == 2


async def test_a_key_that_refuses_costs_its_own_message_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signing = signing_with(tmp_path)
    sign = SigningKey.sign

    def picky(key: SigningKey, octets: bytes, digest: str = "sha256") -> bytes:
        if b"bad@a.example" in octets:
            raise UnsupportedAlgorithm("not by this OpenSSL")
        return sign(key, octets, digest)

    monkeypatch.setattr(SigningKey, "sign", picky)
    signer = Signer(asyncio.get_running_loop(), structlog.get_logger())
    mails = [mail(f"From: {name}@a.example\r\n\r\nbody\r\n".encode()) for name in ("one", "bad", "two")]
    async with asyncio.timeout(30):
        found = await asyncio.gather(*[signer.signed(signing, message, transaction, 0.0) for message, transaction in mails])
    assert found == [None, Broken("the DKIM key s of a.example cannot sign (sha256)"), None]
    assert [transaction.content[0][:15] for _, transaction in mails] == [b"DKIM-Signature:", b"From: bad@a.exa", b"DKIM-Signature:"]


async def test_a_key_that_the_process_refuses_to_sign_with_costs_nobody_else_a_signature() -> None:
    helper = SigningHelper(asyncio.get_running_loop(), lambda waiting, why: pytest.fail(why))
    signatures: list[asyncio.Future[bytes]] = [asyncio.get_running_loop().create_future() for _ in range(3)]
    try:
        assert helper.ready()
        for octets, signature in zip((digest(b"1"), b"no digest", digest(b"3")), signatures, strict=True):
            helper.ask(KEY, octets, signature.set_result)
        async with asyncio.timeout(30):
            assert await asyncio.gather(*signatures) == [KEY.sign(b"1"), b"", KEY.sign(b"3")]
    finally:
        helper.close()


async def test_who_wanted_what_the_process_refused_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signer = Signer(asyncio.get_running_loop(), structlog.get_logger())
    signer.signatures.apart = True
    message, transaction = mail(b"From: joe@a.example\r\n\r\nbody\r\n")
    ask = SigningHelper.ask
    monkeypatch.setattr(SigningHelper, "ask", lambda helper, key, octets, signed: ask(helper, key, octets[:-1], signed))
    try:
        async with asyncio.timeout(30):
            found = await signer.signed(signing_with(tmp_path), message, transaction, 0.0)
        assert found == Broken("the DKIM key s of a.example cannot sign (sha256)")
        assert transaction.content[0].startswith(b"From:")
    finally:
        signer.close()


async def test_a_seal_is_made_by_the_process_too(tmp_path: Path) -> None:
    """Three signatures, each over the one before."""
    signer = Signer(asyncio.get_running_loop(), structlog.get_logger())
    signer.signatures.apart = True
    signing = signing_with(tmp_path, arc_seal=True)
    message, transaction = mail(b"Authentication-Results: us.example; arc=none\r\nFrom: joe@a.example\r\n\r\n" + b"body \r\n" * 200_000)
    message.envelope.judged = Judged("us.example", "none")
    made: list[str] = []
    one = signer.signatures._one
    signer.signatures._one = lambda work: made.append(work.name) or one(work)  # type: ignore[method-assign, func-returns-value]
    try:
        async with asyncio.timeout(30):
            assert await signer.signed(signing, message, transaction, 0.0) is None
    finally:
        signer.close()
    content = b"".join(transaction.content)
    assert content.startswith(b"ARC-Seal:")
    assert dkim.arc_verify(content, dnsfunc=lambda name, timeout=5: KEY.record().encode())[0] == b"pass"
    assert dkim.DKIM(content).verify(dnsfunc=lambda name, timeout=5: KEY.record().encode())
    found = scan(content)
    assert (transaction.facts.size, transaction.facts.header_size) == (found.size, found.header_size)
    assert made == [], "none of them by the loop"


async def test_a_large_message_is_brought_into_form_beside_the_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    brought: list[str] = []
    form = dkim_canon.body_form

    def noted(*of: Any) -> bytes:
        brought.append(threading.current_thread().name)
        return form(*of)

    monkeypatch.setattr(dkim_canon, "body_form", noted)
    signer, signing = Signer(asyncio.get_running_loop(), structlog.get_logger()), signing_with(tmp_path)
    here = threading.current_thread().name
    found = {}
    for name, size in {"small": 1000, "large": LARGE}.items():
        content = b"From: joe@a.example\r\n\r\n" + b"body " * (size // 5) + b"\r\n"
        message, transaction = mail(content)
        brought.clear()
        async with asyncio.timeout(30):
            assert await signer.signed(signing, message, transaction, 0.0) is None
        found[name] = [thread == here for thread in brought]
        assert dkim.DKIM(b"".join(transaction.content)).verify(dnsfunc=lambda name, timeout=5: KEY.record().encode())
    assert found == {"small": [True], "large": [False]}
    signer.close()


def test_ed25519_is_no_matter_of_the_process() -> None:
    with pytest.raises(ValueError):
        SigningKey(ed25519.Ed25519PrivateKey.generate()).sign_digest(bytes(32))


@given(st.lists(st.tuples(st.sampled_from([f.KEY, f.SIGN]), st.integers(0, 2**32 - 1), st.binary(max_size=40))), st.data())
def test_frames_come_out_as_they_went_in(sent: list[tuple[int, int, bytes]], data: st.DataObject) -> None:
    octets = b"".join(f.frame(*one) for one in sent)
    frames, got, at = f.Frames(), [], 0
    while at < len(octets):
        step = data.draw(st.integers(1, 30))
        got += frames.take(octets[at : at + step])
        at += step
    assert got == sent


def test_a_frame_without_end() -> None:
    with pytest.raises(ValueError):
        list(f.Frames().take(f.frame(f.SIGN, 1, b"")[:5] + b"\xff\xff\xff\xff"))
    assert f.ordered(f.order(1, 7, b"x" * 32)[9:]) == (7, b"x" * 32)
