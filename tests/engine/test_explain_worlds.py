"""What `explain` says is what a relay then does: random configurations and messages, each asked about and then really handed in.

The same queue, virtual MTA, refusal, and the same routes in the same order (the best hosts are down half of the time).
POSTWRIGHT_WORLDS=1000 has more of them; the seed of one that fails is in the test's name.
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from random import Random

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from postwright.engine.explain import ExplainOrder, explain
from postwright.engine.explain_values import Journey
from postwright.engine.workers import Inline
from postwright.model.address import parse_mailbox
from postwright.model.outcome import Fault
from postwright.policy.settings import (
    AddressList,
    Alias,
    DomainBlock,
    DomainKey,
    Rate,
    RewriteRule,
    RollupRule,
    Settings,
    SubmissionResult,
    SubmissionRule,
)
from postwright.testing.fake_resolver import FakeResolver
from postwright.testing.world import World
from postwright.testing.world_settings import domain, pool, relay, source, vmta

COUNT = int(os.environ.get("POSTWRIGHT_WORLDS", "40"))
NAMES = ("one.example", "two.example", "three.example")
USERS = ("joe", "no", "alias")
STREAMS = (SubmissionRule("rcpt-to", "/joe/", SubmissionResult("b")), SubmissionRule("*", "", SubmissionResult("a")))
MTAS = ("a", "b", "both", "nowhere")


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file with a private key."""
    file = tmp_path_factory.mktemp("dkim") / "key.pem"
    file.write_bytes(rsa.generate_private_key(65537, 1024).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return str(file)


def configuration(chance: Random, key: str) -> Settings:
    """Some of everything that decides where mail goes."""
    blocks: list[DomainBlock] = [domain("*", retry_after=(60.0,), max_smtp_out=chance.randint(1, 5))]
    one, other = chance.sample(NAMES, 2)
    if chance.random() < 0.3:
        blocks.append(domain(one, queue_to=other))
    if chance.random() < 0.3:
        blocks.append(domain(other, reroute_to_virtual_mta=chance.choice(("b", "both"))))
    if chance.random() < 0.2:
        blocks.append(domain(other, smtp_hosts="mx.smart.example:2525"))
    if chance.random() < 0.1:
        blocks.append(domain(one, type="discard"))
    cold = {"cold_virtual_mta": ("c",)} if chance.random() < 0.3 else {}
    warms = domain("*", max_cold_virtual_mta_msg=(Rate(7, 86400.0),))
    return relay(
        source("192.0.2.0/24", always_allow_relaying=chance.random() < 0.9, process_x_virtual_mta=chance.random() < 0.7),
        source("192.0.2.77/32", **_source(chance)),
        *blocks,
        *[domain("*", dkim_sign="yes")] * (chance.random() < 0.4),
        vmta("a", "192.0.2.10", warms, **cold),
        vmta("b", "192.0.2.11", max_smtp_out=chance.choice((None, 3))),
        vmta("c", "192.0.2.12"),
        pool("both", "a", "b"),
        aliases=(Alias("alias@one.example", ("joe@two.example", "ann@three.example")),),
        pattern_lists={"streams": STREAMS},
        rewrite_lists={"ours": (RewriteRule("mail-from", "me@sender.example", "you@sender.example"),)},
        address_lists={"gone": AddressList(("no@one.example",), name="gone")},
        domain_keys=tuple(DomainKey(name.strip("*") or "all", name, key) for name in ("sender.example", "*") if chance.random() < 0.5),
        mx_rollups=(RollupRule("mx1.big.example", "big.rollup"), RollupRule("mx2.big.example", "big.rollup")),
    )


def _source(chance: Random) -> dict[str, object]:
    choices: dict[str, object] = {
        "default_virtual_mta": chance.choice(("a", "both", "by-smtp-source-ip")),
        "pattern_list": "streams",
        "rewrite_list": "ours",
        "suppression_lists": ("gone",),
        "accept_invalid_recipients": True,
        "reject_invalid_virtual_mta": False,
        "process_x_job": True,
    }
    return {name: value for name, value in choices.items() if chance.random() < 0.4}


class Asked:
    """One message, asked about and then handed in."""

    def __init__(self, seed: int, key: str) -> None:
        self.chance = Random(seed)
        self.world = World(configuration(self.chance, key), seed=seed)
        for number in (1, 2):
            self.world.host(f"mx{number}.big.example")
        self.world.host("mx.smart.example")
        for name in ("sender.example", "relay.example"):  # where reports go
            self.world.domain(name)
        for name in NAMES:
            self.world.host(f"mx1.{name}")
            self.world.host(f"mx2.{name}")
            shared = self.chance.random() < 0.3
            self.world.mx(name, *(["mx1.big.example", "mx2.big.example"] if shared else [f"mx1.{name}", f"mx2.{name}"]))
        for receiver in self.world.receivers.values():
            receiver.down = Fault.REFUSED if self.chance.random() < 0.3 else None
        self.recipient = f"{self.chance.choice(USERS)}@{self.chance.choice(NAMES)}"
        vmta = self.chance.choice(MTAS) if self.chance.random() < 0.5 else ""
        self.headers = {"From": "<me@sender.example>", **({"x-virtual-mta": vmta} if vmta else {})}

    def explained(self) -> Journey:
        world = self.world
        header = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        content = f"{header}Subject: a test\r\n\r\nhello\r\n".encode()
        order = ExplainOrder(parse_mailbox("me@sender.example"), parse_mailbox(self.recipient), content, client="192.0.2.77")
        resolver = FakeResolver({}, clock=world.clock, own_names=("relay.example",))
        resolver.source.zone = world.zone
        with tempfile.TemporaryDirectory() as folder:
            work = explain(world.settings, order, clock=world.clock, resolver=resolver, folder=Path(folder), workers=Inline())
            journey: Journey = world.run(work)
        assert world.messages() == []
        assert not any(receiver.attempts for receiver in world.receivers.values())  # nobody was called
        return journey

    def check(self, journey: Journey) -> None:
        world = self.world
        taken = world.submit("me@sender.example", [self.recipient], headers=self.headers)
        refusals = [reply.text for reply in (taken.mail, *taken.rcpt, taken.final) if reply is not None and not reply.positive]
        assert journey.refusal.partition(" (after")[0] == (refusals[0] if refusals else "")
        world.advance(5.0)
        for receiver in world.receivers.values():
            receiver.down = None
        called = self._called()
        world.run_until_empty(within=86400.0)
        self._check_queues(journey)
        self._check_signatures(journey)
        for path in journey.paths if all(not path.others for path in journey.paths) else ():
            hops = [(hop.address, hop.source, hop.name) for hop in path.hops]
            own = [one for one in called if one in hops]
            assert own[: len(hops)] == hops[: len(own)]
            assert own or not hops

    def _check_queues(self, journey: Journey) -> None:
        world = self.world
        fates = {record.rcpt: record.queue for record in world.records if record.type in ("d", "b") and record.queue}
        for path in journey.paths:
            allowed = {path.queue, *path.others}
            for recipient in path.recipients:
                assert fates[recipient.strip("<>")] in allowed
        told = {recipient.strip("<>") for path in journey.paths for recipient in path.recipients}
        assert told == {record.rcpt for record in world.records if record.type == "r" and record.orig != ""}

    def _check_signatures(self, journey: Journey) -> None:
        """Who signed what arrived is who was said to."""
        signed = re.compile(rb"(?s)^DKIM-Signature:.*?\sd=([^;]+);.*?\ss=([^;]+);")
        for path in journey.paths:
            told = [fact.value for section in path.sections for fact in section.facts if fact.name == "domain-key"]
            for message in self.world.messages():
                if {f"<{recipient}>" for recipient in message.recipients} & set(path.recipients) and message.sender:
                    found = signed.match(message.content)
                    really = f"{found[2].decode()}._domainkey.{found[1].decode()}" if found is not None else "none fits"
                    assert [text.split(",")[0].split(":")[0] for text in told] == ([really] if told else [])
                    assert told or found is None

    def _called(self) -> list[tuple[str, str, str]]:
        """Everybody who was called, in order: (address, our address, our name)."""
        receivers = self.world.receivers.items()
        attempts = sorted((one.at, address, one.source, one.name) for address, receiver in receivers for one in receiver.attempts)
        return [attempt[1:] for attempt in attempts]


@pytest.mark.parametrize("seed", range(COUNT))
def test_what_is_explained_is_what_happens(seed: int, key: str) -> None:
    asked = Asked(seed, key)
    with asked.world:
        asked.check(asked.explained())
