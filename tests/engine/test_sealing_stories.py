"""Stories of mail that is sealed on its way out (ARC), as dkimpy sees it where it arrived."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.content.test_arc import MESSAGE, hops
from tests.engine.merge_talk import merge, talk
from tests.engine.test_signing_stories import TEXT, YOU, Keys

from postwright.content.dkim_canon import header_fields
from postwright.content.dkim_key import SigningKey
from postwright.content.dkim_tags import tags
from postwright.engine.signatures import Signatures
from postwright.policy.settings import DomainKey
from postwright.testing.world import World
from postwright.testing.world_settings import ANYBODY, domain, relay, source, vmta

CASE, CHAIN = hops(2)
RELAY = "relay.example"
SETS = (b"arc-seal", b"arc-message-signature", b"arc-authentication-results")


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path)


def checking(**more: Any) -> Any:
    return source(ANYBODY, always_allow_relaying=True, check_arc_inbound=True, process_x_virtual_mta=True, **more)


def town(world: World) -> None:
    world.domain("example.com")
    world.zone.update({name: {"TXT": ['"' + " ".join(record.decode().split()) + '"']} for name, record in CASE.zone.items()})


def sent(settings: Any, content: str | bytes, **more: Any) -> bytes:
    with World(settings) as world:
        town(world)
        assert world.submit("me@sender.example", [YOU], content, **more).accepted
        world.run_until_empty()
        return world.messages()[-1].content


def verified(keys: Keys, content: bytes) -> str:
    zone = {**CASE.zone, **keys.zone}
    found, _, _ = dkim.arc_verify(content, dnsfunc=lambda name, timeout=5: zone.get(name.decode().rstrip(".")))
    return str(found.decode())


def newest(content: bytes) -> tuple[int, dict[str, bytes], dict[str, bytes], str]:
    """How many sets; of the newest one seal and message signature as tags, and the results."""
    fields = [field for field in header_fields(content.partition(b"\r\n\r\n")[0]) if field.name in SETS]
    assert [field.name for field in fields[:3]] == list(SETS), "the set stands together, at the top"
    values = [field.raw.partition(b":")[2] for field in fields]
    return len(fields) // 3, tags(values[0]), tags(values[1]), " ".join(values[2].decode().split())


@pytest.mark.directive("arc-seal", "check-arc-inbound", "domain-key")
def test_mail_that_came_with_a_chain_goes_on_with_one_more_set(keys: Keys) -> None:
    settings = relay(domain("*", arc_seal=True), checking(), domain_keys=(keys.line("s", RELAY),))
    content = sent(settings, CHAIN)
    count, seal, signature, results = newest(content)
    assert (count, seal["cv"], seal["d"], seal["s"], seal["i"]) == (3, b"pass", b"relay.example", b"s", b"3")
    assert results == "i=3; relay.example; arc=pass"
    assert b"authentication-results" not in signature["h"].lower()
    assert verified(keys, content) == "pass"
    assert verified(keys, content.replace(b"Hey gang", b"Hey crowd")) == "fail"
    unsealed = sent(relay(domain("*"), checking(), domain_keys=settings.domain_keys), CHAIN)
    assert newest(unsealed.partition(b"\r\nARC-")[1][2:] + unsealed.partition(b"\r\nARC-")[2])[0] == 2, "only where it is asked for"


@pytest.mark.directive("arc-seal")
def test_a_first_set_repeats_what_we_found_and_signs_our_own_signature_too(keys: Keys) -> None:
    lines = (keys.line("s", RELAY), keys.line("d", "sender.example"))
    settings = relay(domain("*", arc_seal=True, dkim_sign="yes"), checking(check_spf_inbound=True), domain_keys=lines)
    content = sent(settings, TEXT)
    count, seal, signature, results = newest(content)
    assert (count, seal["cv"]) == (1, b"none")
    assert results == "i=1; relay.example; spf=none smtp.mailfrom=me@sender.example; arc=none"
    assert b"dkim-signature" in signature["h"]
    assert verified(keys, content) == "pass"
    assert keys.verified(content)[0]["d"] == b"sender.example"


@pytest.mark.directive("arc-seal")
def test_only_what_was_judged_when_it_came_and_only_in_our_words(keys: Keys) -> None:
    line = keys.line("s", RELAY)
    forged = f"Authentication-Results: {RELAY}; arc=pass; dkim=pass header.d=bank.example\r\n" + TEXT
    free = source(ANYBODY, always_allow_relaying=True)
    assert b"ARC-" not in sent(relay(domain("*", arc_seal=True), free, domain_keys=(line,)), forged), "nobody judged it"
    assert newest(sent(relay(domain("*", arc_seal=True), checking(), domain_keys=(line,)), forged))[3] == "i=1; relay.example; arc=none"
    merges = checking(allow_mailmerge=True)
    with World(relay(domain("*", arc_seal=True), merges, domain_keys=(line,))) as world:
        town(world)
        talk(world, merge({YOU: {"us": RELAY}}, "Authentication-Results: [us]; arc=pass\nFrom: me@sender.example\n\nhello\n"))
        world.run_until_empty()
        assert b"ARC-" not in world.messages()[0].content, "a template could say what it likes in our name"


@pytest.mark.directive("arc-seal", "host-name")
def test_what_was_judged_under_another_name_is_sealed_under_that(keys: Keys) -> None:
    lines = (keys.line("s", RELAY), keys.line("n", "new.example"))
    settings = relay(domain("*", arc_seal=True), checking(), domain_keys=lines)
    renamed = relay(domain("*", arc_seal=True), checking(), domain_keys=lines, general={"host_name": ("new.example",)})
    with World(settings) as world:
        world.domain("example.com", rules=["rcpt first=1 450 4.2.0 later"])
        forged = "Authentication-Results: new.example; dkim=pass header.d=bank.example\r\n" + TEXT
        assert world.submit("me@sender.example", [YOU], forged).accepted
        world.advance(5.0)
        assert not world.messages()
        world.reload(renamed)
        world.run_until_empty()
        _, seal, _, results = newest(world.messages()[-1].content)
    assert (seal["d"], results) == (b"relay.example", "i=1; relay.example; arc=none")


@pytest.mark.directive("arc-seal")
def test_a_chain_that_had_failed_is_told_once_and_not_again(keys: Keys) -> None:
    settings = relay(domain("*", arc_seal=True), checking(), domain_keys=(keys.line("s", RELAY),))
    content = sent(settings, CHAIN.replace(b"Hey gang", b"Hey crowd"))
    count, seal, _, results = newest(content)
    assert (count, seal["cv"]) == (3, b"fail")
    assert results == "i=3; relay.example; arc=fail (message signature of set 2: body hash did not verify)"
    again = sent(settings, content)
    assert again.count(b"ARC-Seal:") == 3


@pytest.mark.directive("arc-seal")
def test_name_servers_that_sleep_break_no_chain_for_ever(keys: Keys) -> None:
    settings = relay(domain("*", arc_seal=True), checking(), domain_keys=(keys.line("s", RELAY),))
    with World(settings) as world:
        world.domain("example.com")
        world.failing.update(CASE.zone)
        assert world.submit("me@sender.example", [YOU], CHAIN).accepted
        world.run_until_empty()
        content = world.messages()[0].content
    assert b"arc=fail" in content.partition(b"ARC-")[0]
    assert content.count(b"ARC-Seal:") == 2


@pytest.mark.directive("arc-seal", "arc-seal-identity", "domain-key")
def test_in_whose_name(keys: Keys) -> None:
    lines = (keys.line("e", "other.example", "ed25519"), keys.line("o", "other.example"), keys.line("p", "example"))
    own = vmta("m1", "192.0.2.7", domain_keys=(keys.line("own", RELAY),))
    settings = relay(domain("*", arc_seal=True), own, checking(), domain_keys=lines)
    assert newest(sent(settings, TEXT))[1]["d"] == b"example", "the key of a domain above ours signs as that"
    assert newest(sent(settings, TEXT, headers={"x-virtual-mta": "m1"}))[1]["s"] == b"own"
    named = relay(domain("*", arc_seal=True, arc_seal_identity="@other.example"), checking(), domain_keys=lines)
    assert newest(sent(named, TEXT))[1]["s"] == b"o", "RSA only"
    assert b"ARC-" not in sent(relay(domain("*", arc_seal=True), checking()), TEXT)


@pytest.mark.directive("arc-seal")
def test_mail_whose_key_is_broken_waits(keys: Keys) -> None:
    line = keys.line("s", RELAY)
    good = Path(line.file).read_bytes()
    Path(line.file).write_bytes(b"nothing")
    settings = relay(domain("*", arc_seal=True, retry_after=(600.0,)), checking(), domain_keys=(line,))
    with World(settings) as world:
        town(world)
        assert world.submit("me@sender.example", [YOU], TEXT).accepted
        world.advance(30.0)
        assert not world.messages()
        assert "4.7.5" in str(world.of("t")[-1])
        Path(line.file).write_bytes(good)
        world.reload(settings)
        world.restart()
        world.run_until_empty()
        assert verified(keys, world.messages()[0].content) == "pass", "what was found is remembered over a restart"


@pytest.mark.directive("arc-seal")
def test_one_message_to_many_domains_is_signed_and_sealed_once(keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = SigningKey(rsa.generate_private_key(65537, 2048))
    (tmp_path / "dear.pem").write_bytes(key.pem())
    keys.zone[f"s._domainkey.{RELAY}"] = key.record().encode()
    line = DomainKey("s", RELAY, str(tmp_path / "dear.pem"))
    made, one = [], Signatures._one

    def noted(self: Signatures, work: Any) -> bytes:
        made.append(work.octets)
        return one(self, work)

    monkeypatch.setattr(Signatures, "_one", noted)
    settings = relay(domain("*", arc_seal=True, dkim_sign="yes", dkim_identity=f"@{RELAY}"), checking(), domain_keys=(line,))
    with World(settings) as world:
        town(world)
        world.domain("far.example", rules=["rcpt first=1 450 4.2.0 later"])
        assert world.submit("me@sender.example", [YOU, "a@far.example"], CHAIN).accepted
        world.run_until_empty()
        contents = [message.content for message in world.messages()]
    assert len(contents) == 2
    assert {verified(keys, content) for content in contents} == {"pass"}
    assert len(made) == 3, "however many domains it goes to, and however often it is tried"


@pytest.mark.directive("arc-seal")
def test_a_queue_that_takes_the_chain_away(keys: Keys) -> None:
    gone = ("ARC-Seal", "ARC-Message-Signature", "ARC-Authentication-Results")
    settings = relay(domain("*", arc_seal=True, remove_header=gone), checking(), domain_keys=(keys.line("s", RELAY),))
    content = sent(settings, CHAIN)
    assert newest(content)[:2][0] == 1
    assert verified(keys, content) == "pass", "one of our own begins"
    torn = relay(domain("*", arc_seal=True, remove_header=gone[:1]), checking(), domain_keys=settings.domain_keys)
    assert b"ARC-Seal" not in sent(torn, CHAIN)


def test_the_message_itself_is_untouched(keys: Keys) -> None:
    settings = relay(domain("*", arc_seal=True), checking(add_received_header=False), domain_keys=(keys.line("s", RELAY),))
    content = sent(settings, MESSAGE)
    assert content.endswith(MESSAGE)
