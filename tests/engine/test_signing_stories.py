"""Stories of mail that is signed on its way out. Each is looked at by dkimpy, which shares nothing with us, as it came to its receiver."""

from __future__ import annotations

from email import message_from_bytes
from pathlib import Path
from typing import Any

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from tests.engine.merge_talk import merge, talk

from postwright.content.dkim_key import SigningKey
from postwright.content.dkim_tags import tags
from postwright.engine.dkim_keys import KeyFiles
from postwright.engine.sharing import LOOK_AGAIN
from postwright.engine.signatures import Signatures
from postwright.engine.signer import Signer
from postwright.policy.resolve import Resolved
from postwright.policy.settings import DomainKey
from postwright.testing.sink_records import Extensions
from postwright.testing.world import World
from postwright.testing.world_settings import ANYBODY, domain, relay, source, vmta

YOU = "you@example.com"
TEXT = "From: Me <me@sender.example>\r\nTo: you@example.com\r\nSubject: hello\r\nX-Kind: 7\r\n\r\nA body  with\tblanks \r\n\r\n\r\n"
PRIVATE = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


class Keys:
    """Key files, and the DNS that they are published in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.zone: dict[str, bytes] = {}

    def line(self, selector: str, name: str, kind: str = "rsa", *, published: str = "") -> DomainKey:
        key = rsa.generate_private_key(65537, 1024) if kind == "rsa" else ed25519.Ed25519PrivateKey.generate()
        file = self.folder / f"{selector}.{name.replace('*', 'all')}.pem"
        file.write_bytes(key.private_bytes(*PRIVATE))
        self.zone[f"{selector}._domainkey.{published or name}"] = SigningKey(key).record().encode()
        return DomainKey(selector, name, str(file))

    def verified(self, content: bytes) -> list[dict[str, bytes]]:
        """The tags of all signatures of a message; each of them verifies."""
        count = len(message_from_bytes(content).get_all("DKIM-Signature") or ())
        for number in range(count):
            assert dkim.DKIM(content).verify(idx=number, dnsfunc=lambda name, timeout=5: self.zone.get(name.decode().rstrip(".")))
        header = content.partition(b"\r\n\r\n")[0].replace(b"\r\n\t", b" ")
        return [tags(line.partition(b":")[2]) for line in header.split(b"\r\n") if line.startswith(b"DKIM-Signature:")]


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path)


def sent(settings: Any, text: str = TEXT, *, to: tuple[str, ...] = (YOU,), sender: str = "me@sender.example", **more: Any) -> bytes:
    with World(settings) as world:
        for address in to:
            world.domain(address.rpartition("@")[2])
        assert world.submit(sender, list(to), text, **more).accepted
        world.run_until_empty()
        return world.messages()[-1].content


@pytest.mark.directive("dkim-sign", "domain-key")
def test_a_message_is_signed_as_it_arrives(keys: Keys) -> None:
    settings = relay(domain("*", dkim_sign="yes"), domain_keys=(keys.line("s1", "sender.example"),))
    content = sent(settings)
    assert content.startswith(b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n")
    (signature,) = keys.verified(content)
    assert (signature["d"], signature["s"], signature["i"]) == (b"sender.example", b"s1", b"me@sender.example")
    assert signature["h"] == b"From:To:Subject"
    assert b"DKIM-Signature" not in sent(relay(domain("*"), domain_keys=settings.domain_keys)), "only where it is asked for"


@pytest.mark.directive("domain-key")
def test_the_key_of_the_virtual_mta_goes_before_the_global_one(keys: Keys) -> None:
    own, everywhere = keys.line("own", "sender.example"), keys.line("all", "*", published="sender.example")
    m1 = vmta("m1", "192.0.2.7", domain_keys=(own,))
    settings = relay(domain("*", dkim_sign="yes"), m1, domain_keys=(everywhere,))
    assert keys.verified(sent(settings, headers={"x-virtual-mta": "m1"}))[0]["s"] == b"own"
    assert keys.verified(sent(settings))[0]["s"] == b"all"


@pytest.mark.directive("domain-key")
def test_the_key_of_a_parent_domain_signs_as_the_parent(keys: Keys) -> None:
    settings = relay(domain("*", dkim_sign="yes"), domain_keys=(keys.line("s1", "sender.example"),))
    (signature,) = keys.verified(sent(settings, TEXT.replace("@sender", "@news.sender")))
    assert (signature["d"], signature["i"]) == (b"sender.example", b"me@news.sender.example")


@pytest.mark.directive("second-dkim-sign", "second-dkim-algorithm", "dkim-algorithm")
def test_two_signatures_of_two_algorithms(keys: Keys) -> None:
    both = (keys.line("r", "sender.example"), keys.line("e", "sender.example", "ed25519"))
    settings = relay(domain("*", dkim_sign="yes", second_dkim_sign="yes", second_dkim_algorithm="ed25519-sha256"), domain_keys=both)
    content = sent(settings)
    assert [signature["a"] for signature in keys.verified(content)] == [b"rsa-sha256", b"ed25519-sha256"]
    once = relay(domain("*", dkim_sign="yes", second_dkim_sign="yes"), domain_keys=both)
    assert len(keys.verified(sent(once))) == 1, "the same key in the same name signs once"


@pytest.mark.directive(
    "dkim-headers-canon", "dkim-body-canon", "second-dkim-headers-canon", "second-dkim-body-canon",
)
@pytest.mark.parametrize("header", ["simple", "relaxed"])
@pytest.mark.parametrize("body", ["simple", "relaxed"])
def test_canonical_forms(keys: Keys, header: str, body: str) -> None:
    line = keys.line("s", "sender.example", "ed25519")
    for twin in ("", "second_"):
        wanted: dict[str, Any] = {"sign": "yes", "algorithm": "ed25519-sha256", "headers_canon": header, "body_canon": body}
        settings = relay(domain("*", **{f"{twin}dkim_{name}": value for name, value in wanted.items()}), domain_keys=(line,))
        (signature,) = keys.verified(sent(settings))
        assert signature["c"] == f"{header}/{body}".encode()


@pytest.mark.directive(
    "dkim-identity", "dkim-identity-fallback", "second-dkim-identity", "second-dkim-identity-fallback",
)
@pytest.mark.parametrize(
    ("wanted", "fallback", "expected"),
    [
        ("sender-or-from", "", b"list@sender.example"),
        ("strict-from", "", b"me@other.example"),
        ("@sender.example", "", b"@sender.example"),
        ("joe=x@sub.sender.example", "", b"joe=3Dx@sub.sender.example"),
        ("@nobody.example", "@other.example", b"@other.example"),
        ("@nobody.example", "", None),
    ],
)
@pytest.mark.parametrize("twin", ["dkim_", "second_dkim_"])
def test_in_whose_name(keys: Keys, wanted: str, fallback: str, expected: bytes | None, twin: str) -> None:
    lines = tuple(keys.line("s", name, "ed25519") for name in ("sender.example", "other.example"))
    said = {"sign": "yes", "algorithm": "ed25519-sha256", "identity": wanted, "identity_fallback": fallback}
    settings = relay(domain("*", **{twin + name: value for name, value in said.items()}), domain_keys=lines)
    text = "Sender: list@sender.example\r\n" + TEXT.replace("me@sender.example", "me@other.example")
    assert [signature["i"] for signature in keys.verified(sent(settings, text))] == ([] if expected is None else [expected])


@pytest.mark.directive(
    "dkim-add-timestamp", "dkim-expire-after", "dkim-add-body-limit", "dkim-query-method", "second-dkim-add-timestamp",
    "second-dkim-expire-after", "second-dkim-add-body-limit", "second-dkim-query-method",
)
@pytest.mark.parametrize("twin", ["dkim_", "second_dkim_"])
def test_times_and_limits(keys: Keys, twin: str) -> None:
    line = keys.line("s", "sender.example", "ed25519")
    said = {"sign": "yes", "algorithm": "ed25519-sha256", "add_timestamp": True, "expire_after": 1e9, "add_body_limit": True,
            "query_method": "dns/txt"}  # fmt: skip
    settings = relay(domain("*", **{twin + name: value for name, value in said.items()}), domain_keys=(line,))
    (signature,) = keys.verified(sent(settings))
    assert int(signature["x"]) - int(signature["t"]) == 10**9
    assert (signature["l"], signature["q"]) == (str(len("A body with blanks\r\n")).encode(), b"dns/txt")


@pytest.mark.directive(
    "dkim-headers", "dkim-disallow-adding-headers", "second-dkim-headers", "second-dkim-disallow-adding-headers",
)
@pytest.mark.parametrize("twin", ["dkim_", "second_dkim_"])
def test_which_fields_are_signed(keys: Keys, twin: str) -> None:
    line = keys.line("s", "sender.example", "ed25519")
    said = {"sign": "yes", "algorithm": "ed25519-sha256", "headers": ("X-One", "/^x-k/"), "disallow_adding_headers": ("From", "X-None")}
    settings = relay(domain("*", **{twin + name: value for name, value in said.items()}), domain_keys=(line,))
    content = sent(settings, "X-Kind: 8\r\nX-Other: 1\r\n" + TEXT)
    (signature,) = keys.verified(content)
    assert signature["h"] == b"X-Kind:From:To:Subject:X-Kind:from:x-none"
    with pytest.raises(AssertionError):
        keys.verified(content.replace(b"\r\nFrom:", b"\r\nFrom: forged@evil.example\r\nFrom:"))


def test_what_a_queue_changes_is_changed_before_it_is_signed(keys: Keys) -> None:
    free = source(ANYBODY, always_allow_relaying=True, add_date_header="yes", date_header_time="delivery")
    settings = relay(domain("*", dkim_sign="yes", remove_header=("Subject",)), free, domain_keys=(keys.line("s", "sender.example"),))
    content = sent(settings)
    assert content.index(b"\r\nDate: ") < content.index(b"\r\nReceived: ")
    assert keys.verified(content)[0]["h"] == b"Date:From:To"


def test_a_message_made_7bit_for_its_receiver_is_signed_as_such(keys: Keys) -> None:
    settings = relay(domain("*", dkim_sign="yes"), domain_keys=(keys.line("s", "sender.example"),))
    with World(settings) as world:
        world.domain("example.com", extensions=Extensions(eightbitmime=False))
        assert world.submit("me@sender.example", [YOU], TEXT.replace("A body", "Ein Körper").encode(), body="8BITMIME").accepted
        world.run_until_empty()
        (message,) = world.messages()
    assert message.content.isascii()
    assert len(keys.verified(message.content)) == 1


def test_bodies_without_anything(keys: Keys) -> None:
    settings = relay(domain("*", dkim_sign="yes"), domain_keys=(keys.line("s", "sender.example"),))
    for text in ("From: me@sender.example\r\n\r\n", "From: me@sender.example\r\n\r\n\r\n\r\n", "From: me@sender.example\r\n\r\nno end"):
        assert len(keys.verified(sent(settings, text))) == 1


def test_mail_whose_key_is_broken_waits_and_does_not_go_unsigned(keys: Keys) -> None:
    line = keys.line("s", "sender.example")
    good = Path(line.file).read_bytes()
    Path(line.file).write_bytes(b"nothing")
    settings = relay(domain("*", dkim_sign="yes", retry_after=(600.0,)), domain_keys=(line, keys.line("t", "*")))
    with World(settings) as world:
        world.domain("example.com")
        assert world.submit("me@sender.example", [YOU], TEXT).accepted
        world.advance(30.0)
        assert not world.messages()
        assert "4.7.5" in str(world.of("t")[-1])
        Path(line.file).write_bytes(good)
        world.reload(settings)
        world.run_until_empty()
        assert keys.verified(world.messages()[0].content)[0]["s"] == b"s"


def test_a_key_is_made_once_and_found_again_at_a_reload(keys: Keys) -> None:
    line = keys.line("s", "sender.example")
    settings = relay(domain("*", dkim_sign="yes"), domain_keys=(line,))
    first, again = KeyFiles(settings), KeyFiles(settings)
    assert first.get(line) is again.get(line)
    assert Resolved(settings).settings.domain_keys == (line,)


def asking(*, retain: bool = False, **more: Any) -> Any:
    return source(ANYBODY, always_allow_relaying=True, process_x_dkim_options=True, retain_x_dkim_options=retain, **more)


@pytest.mark.directive("process-x-dkim-options", "retain-x-dkim-options", "dkim-sign", "domain-key-list")
def test_what_a_message_asks_for(keys: Keys) -> None:
    lines = (keys.line("s1", "sender.example", "ed25519"), keys.line("s2", "sender.example", "ed25519"))
    listed = keys.line("s3", "other.example", "ed25519")
    directives = domain("*", dkim_sign="if-x-dkim-options-present", dkim_algorithm="ed25519-sha256")
    settings = relay(directives, asking(), domain_keys=lines, domain_key_lists={"mine": (listed,)})
    assert b"DKIM-Signature" not in sent(settings), "nothing was asked for"
    content = sent(settings, "X-DKIM-Options: s=s2; q=dns/txt\r\n" + TEXT)
    (signature,) = keys.verified(content)
    assert (signature["s"], signature["q"]) == (b"s2", b"dns/txt")
    assert b"X-DKIM-Options" not in content
    (signature,) = keys.verified(sent(settings, "X-DKIM-Options: key-list=mine;\r\n d=other.example; i=@x.other.example\r\n" + TEXT))
    assert (signature["s"], signature["d"], signature["i"]) == (b"s3", b"other.example", b"@x.other.example")
    assert b"DKIM-Signature" not in sent(settings, "X-DKIM-Options: key-list=yours\r\n" + TEXT)
    kept = relay(directives, asking(retain=True), domain_keys=lines)
    assert b"X-DKIM-Options: s=s1" in sent(kept, "X-DKIM-Options: s=s1\r\n" + TEXT)
    deaf = relay(directives, domain_keys=lines)
    content = sent(deaf, "X-DKIM-Options: s=s1\r\n" + TEXT)
    assert b"DKIM-Signature" not in content
    assert b"X-DKIM-Options: s=s1" in content


@pytest.mark.directive("process-x-dkim-key", "retain-x-dkim-key")
@pytest.mark.parametrize("bare", [False, True])
def test_a_key_that_a_message_brings(keys: Keys, bare: bool) -> None:
    line = keys.line("mine", "sender.example", "ed25519")
    pem = Path(line.file).read_text().splitlines()
    text = "X-DKIM-Options: s=mine; d=sender.example\r\nX-DKIM-Key: " + "\r\n ".join(pem[1:-1] if bare else pem) + "\r\n" + TEXT
    settings = relay(domain("*", dkim_sign="yes"), asking(process_x_dkim_key=True))
    content = sent(settings, text)
    assert keys.verified(content)[0]["s"] == b"mine"
    assert pem[1].encode() not in content
    assert pem[1].encode() not in sent(relay(domain("*")), text), "unprocessed it is taken out, too"
    assert pem[1].encode() in sent(relay(domain("*"), asking(retain_x_dkim_key=True)), text)
    (signature,) = keys.verified(sent(settings, text.replace("d=sender.example", "d=sender.example; i=joe@elsewhere.example")))
    assert signature["i"] == b"@sender.example", "an identity that is not of the domain would make it invalid (RFC 6376 section 3.5)"
    broken = text.replace("mine; ", "")
    assert b"DKIM-Signature" not in sent(settings, broken), "a key without a selector"


def test_each_recipient_of_a_merge_gets_a_signature_of_its_own(keys: Keys) -> None:
    free = source(ANYBODY, always_allow_relaying=True, allow_mailmerge=True)
    settings = relay(free, domain("*", dkim_sign="yes"), domain_keys=(keys.line("s", "sender.example"),))
    with World(settings) as world:
        world.domain("example.com")
        people = {"a@example.com": {"name": "Anna"}, "b@example.com": {"name": "Bert"}}
        talk(world, merge(people, "From: me@sender.example\nSubject: Hello [name]\n\nDear [name],\n"))
        world.run_until_empty()
        first, second = [message.content for message in world.messages()]
    assert keys.verified(first)[0]["bh"] != keys.verified(second)[0]["bh"]


def test_a_defect_in_signing_holds_up_one_message_and_for_a_while(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    sign, count = Signer.sign, 0

    def broken_once(self: Signer, *order: Any) -> Any:
        nonlocal count
        count += 1
        if count == 1:
            raise RuntimeError("a defect")
        return sign(self, *order)

    monkeypatch.setattr(Signer, "sign", broken_once)
    settings = relay(domain("*", dkim_sign="yes", max_smtp_out=1), domain_keys=(keys.line("s", "sender.example"),))
    with World(settings) as world:
        mx = world.domain("example.com")
        for subject in ("first", "second"):
            world.submit("me@sender.example", [YOU], TEXT.replace("hello", subject))
        world.advance(60.0)
        assert ["Subject: second" in message.content.decode() for message in mx.messages] == [True]
        world.advance(LOOK_AGAIN)
        assert ["Subject: second" in message.content.decode() for message in mx.messages] == [True, False]
        assert all(len(keys.verified(message.content)) == 1 for message in mx.messages)


@pytest.mark.directive("signing-failure")
@pytest.mark.parametrize("signs", [{"dkim_sign": "yes"}, {"arc_seal": True, "arc_seal_identity": "@sender.example"}])
def test_what_becomes_of_mail_whose_key_is_broken(keys: Keys, signs: dict[str, Any]) -> None:
    line = keys.line("s", "sender.example")
    Path(line.file).write_bytes(b"nothing")
    found = {}
    for failing in ("defer", "refuse", "send"):
        settings = relay(domain("*", retry_after=(600.0,), signing_failure=failing, **signs), checked(), domain_keys=(line,))
        with World(settings) as world:
            world.domain("example.com")
            world.domain("sender.example")
            assert world.submit("me@sender.example", [YOU], TEXT).accepted
            world.advance(30.0)
            told = [entry.event for entry in world.log if "signing-failure" in entry.event]
            bounced = [record.dsn_status for record in world.of("b") if record.rcpt == YOU]
            arrived = [message.content.startswith(b"Authentication-Results") for message in world.messages() if YOU in message.recipients]
            found[failing] = (arrived, bounced, len(told))
    assert found == {"defer": ([], [], 0), "refuse": ([], ["5.7.5"], 0), "send": ([True], [], 1)}


def checked() -> Any:
    return source(ANYBODY, always_allow_relaying=True, check_arc_inbound=True)


def test_a_key_that_refuses_lets_its_mail_go_where_that_is_wanted(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found out only when it signs: SHA-1 where OpenSSL forbids it, say."""
    monkeypatch.setattr(Signatures, "_one", lambda signatures, work: b"")
    settings = relay(domain("*", dkim_sign="yes", signing_failure="send"), domain_keys=(keys.line("s", "sender.example"),))
    assert b"DKIM-Signature" not in sent(settings)
