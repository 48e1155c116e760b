"""Stories of a door that is kept: rates by network, memory, patience with junk, drips and sessions that bring nothing."""

from __future__ import annotations

import asyncio
from typing import Any

from postwright.engine.admission import ListenerDoor, limits
from postwright.net.door import Terms
from postwright.net.session import ServerSession
from postwright.net.session_book import SessionBook
from postwright.net.visit import PeerFacts, spoken_for
from postwright.policy.settings import ListenerSettings, Rate, SourceGroup, UserSettings
from postwright.testing.memory_transport import join
from postwright.testing.world import World
from postwright.testing.world_settings import ANYBODY, relay, source
from postwright.wire.events import XClient

ME, YOU = "me@sender.example", "you@example.com"
TOO_MANY = "421 4.7.0 too many messages in a short time, try again later"


def world_of(**directives: Any) -> World:
    return World(relay(source(ANYBODY, always_allow_relaying=True, **directives)))


class Talk(asyncio.Protocol):
    """A client on simulated wire, with a book that sweeps once a simulated second."""

    def __init__(self, world: World, peer: str = "192.0.2.77") -> None:
        self.world = world
        self.heard = b""
        self.over = False
        self.began = world.now
        world.run(self._begin(peer))

    async def _begin(self, peer: str) -> None:
        loop = self.world.loop
        self.book = SessionBook(loop.time)
        facts = PeerFacts(peer, 40000, "192.0.2.1", 25)
        visitor = self.world.node.intake.factory(self.world.settings.listeners[0])(facts)
        session = ServerSession(visitor, facts, self.book, loop)
        self.book.enter(peer)
        self.book.joined(session)
        self.book.start(loop)
        self.wire = join(self, session)[0]

    def data_received(self, data: bytes) -> None:
        self.heard += data

    def connection_lost(self, error: Exception | None) -> None:
        self.over = True
        self.lasted = self.world.now - self.began
        self.book.stop()

    def say(self, octets: bytes, wait: float = 0.0) -> bytes:
        """Says it, lets so many seconds pass, and gives what has been heard since."""
        self.heard = b""
        if not self.over:
            self.wire.write(octets)
        self.world.advance(wait + 0.01)
        return self.heard

    def begin(self) -> None:
        self.say(b"HELO client.example\r\nMAIL FROM:<me@sender.example>\r\nRCPT TO:<you@example.com>\r\nDATA\r\n")
        assert self.heard.endswith(b"354 send message\r\n")


# rates ---------------------------------------------------------------------------------------------------------------


def test_messages_of_a_network_are_counted_over_its_connections() -> None:
    with world_of(max_message_rate_in=Rate(3, 60.0)) as world:
        world.domain("example.com")
        assert [world.submit(ME, [YOU]).accepted for _ in range(3)] == [True] * 3
        talk = Talk(world)
        assert talk.say(b"HELO client.example\r\nMAIL FROM:<>\r\n").endswith(TOO_MANY.encode() + b"\r\n")
        assert talk.over
        assert world.submit(ME, [YOU], peer="192.0.2.78").accepted
        world.advance(20.1)
        assert world.submit(ME, [YOU]).accepted
        assert not world.submit(ME, [YOU]).accepted


def test_one_customer_with_many_ipv6_addresses_is_one() -> None:
    with world_of(max_message_rate_in=Rate(2, 60.0)) as world:
        world.settings = relay(source("::/0", always_allow_relaying=True, max_message_rate_in=Rate(2, 60.0)))
        world.reload(world.settings)
        peers = [f"2001:db8:1:2::{number}" for number in range(1, 4)]
        assert [world.submit(ME, [YOU], peer=peer).accepted for peer in peers] == [True, True, False]
        assert world.submit(ME, [YOU], peer="2001:db8:1:3::1").accepted


def test_recipients_of_a_network() -> None:
    with world_of(max_rcpt_rate_in=Rate(5, 60.0)) as world:
        talk = Talk(world)
        said = talk.say(b"HELO client.example\r\nMAIL FROM:<>\r\n" + b"RCPT TO:<you@example.com>\r\n" * 6)
        assert said.count(b"250 2.1.5") == 5
        assert said.endswith(b"421 4.7.0 too many recipients in a short time, try again later\r\n")


def test_connections_of_a_network_and_the_terms_of_a_door() -> None:
    with world_of(max_connect_rate_in=Rate(2, 60.0), source_group="Gold", early_talker_delay=2.0) as world:
        door = ListenerDoor(world.node.intake, ListenerSettings("192.0.2.1", await_slot=True))
        assert door.terms("192.0.2.77") == Terms("gold", True, 2.0, True)
        assert door.terms("192.0.2.77") is door.terms("192.0.2.78")
        assert [door.hurried("192.0.2.77") for _ in range(3)] == [False, False, True]
        world.reload(relay(source(ANYBODY, always_allow_relaying=True)))
        assert door.terms("192.0.2.77") == Terms("", True, 0.0, False)


def test_the_listener_s_source_has_a_group_too() -> None:
    settings = relay(source(ANYBODY), source("{inside}", source_group="gold"))
    with World(settings) as world:
        assert ListenerDoor(world.node.intake, ListenerSettings("192.0.2.1", source="{inside}")).terms("192.0.2.77").group == "gold"
        assert ListenerDoor(world.node.intake, ListenerSettings("192.0.2.1")).terms("192.0.2.77").group == ""


def test_whose_word_counts_about_a_client() -> None:
    with World() as world:
        door = ListenerDoor(world.node.intake, ListenerSettings("192.0.2.1", proxy_protocol_from=("198.51.100.0/24", "2001:db8::/32")))
        peers = ["198.51.100.7", "198.51.101.7", "2001:db8::7", "2001:db9::7"]
        assert [door.proxied(peer) for peer in peers] == [True, False, True, False]
        assert not ListenerDoor(world.node.intake, ListenerSettings("192.0.2.1")).proxied("198.51.100.7")


def test_groups_are_in_the_limits_of_a_process() -> None:
    settings = relay(general={"total_max_smtp_in": 3}, source_groups={"gold": SourceGroup("Gold", None, 2)})
    book = SessionBook(lambda: 0.0, limits(settings))
    rooms = [book.enter("192.0.2.1", group).name for group in ("", "", "gold", "gold", "gold")]
    assert rooms == ["YES", "NO_SLOT", "YES", "YES", "NO_SLOT"]
    assert limits(relay(general={"total_max_smtp_in": None})).rule is None


# memory --------------------------------------------------------------------------------------------------------------


def test_without_memory_mail_is_put_off_in_powermta_s_words() -> None:
    with World() as world:
        world.node.intake.admission.memory.exhausted = True
        talk = Talk(world)
        said = talk.say(b"HELO client.example\r\nMAIL FROM:<me@sender.example>\r\n")
        assert said.endswith(b"452 4.3.2 Server resources temporarily exhausted\r\n")
        world.node.intake.admission.memory.exhausted = False
        assert talk.say(b"MAIL FROM:<me@sender.example>\r\n").startswith(b"250")


# junk and errors -----------------------------------------------------------------------------------------------------


def test_commands_that_bring_nothing_come_to_an_end() -> None:
    with world_of(max_junk_commands=5) as world:
        said = Talk(world).say(b"HELO client.example\r\n" + b"NOOP\r\nRSET\r\nVRFY x\r\n" * 3)
        assert said.count(b"\r\n") == 1 + 4 + 1
        assert said.endswith(b"421 4.7.0 too many errors\r\n")


def test_and_so_do_mistakes() -> None:
    with world_of(max_smtp_errors=3) as world:
        said = Talk(world).say(b"FOO\r\n" * 10)
        assert said.count(b"500 5.5.2") == 3
        assert said.endswith(b"421 4.7.0 too many errors\r\n")


def test_unlimited_means_it() -> None:
    with world_of(max_smtp_errors=None, max_junk_commands=None) as world:
        talk = Talk(world)
        assert talk.say(b"FOO\r\n" * 500 + b"NOOP\r\n" * 500).count(b"\r\n") == 1000
        assert not talk.over


# patience ------------------------------------------------------------------------------------------------------------


def drip(talk: Talk, octets: bytes, every: float, most: int) -> None:
    """The same octets again and again, until the session is over."""
    for _ in range(most):
        if talk.over:
            return
        talk.say(octets, every)


def test_a_content_that_drips_is_given_up() -> None:
    """An octet every five minutes never breaks smtp-data-timeout; a hundred a second on average are asked for after that."""
    with world_of(min_data_rate=100) as world:
        talk = Talk(world)
        talk.begin()
        drip(talk, b"x", 300.0, 20)
        assert talk.over
        assert 600 <= talk.lasted <= 620
        assert talk.heard.startswith(b"421 4.4.2")


def test_so_is_one_that_is_too_large_and_drips() -> None:
    with world_of(min_data_rate=100, max_message_size=1000) as world:
        talk = Talk(world)
        talk.begin()
        talk.say(b"x" * 70 + b"\r\n", 1.0)
        talk.say((b"x" * 70 + b"\r\n") * 100, 1.0)
        drip(talk, b"x", 300.0, 20)
        assert 660 <= talk.lasted <= 700  # 7,272 octets have earned it 73 s


def test_a_slow_line_that_does_its_best_is_waited_for() -> None:
    with world_of(min_data_rate=100) as world:
        talk = Talk(world)
        talk.begin()
        drip(talk, b"x" * 70 + b"\r\n", 0.6, 3000)  # 120 octets a second for half an hour
        assert talk.say(b".\r\n", 1.0).startswith(b"250 2.6.0")
        assert world.now - talk.began > 1800


def test_without_a_least_rate_only_silence_counts() -> None:
    with world_of(min_data_rate=None) as world:
        talk = Talk(world)
        talk.begin()
        drip(talk, b"x", 590.0, 5)
        assert talk.say(b"\r\n.\r\n", 1.0).startswith(b"250 2.6.0")


def test_chunks_that_drip_are_given_up_too() -> None:
    with world_of(min_data_rate=100) as world:
        talk = Talk(world)
        talk.say(b"EHLO client.example\r\nMAIL FROM:<>\r\nRCPT TO:<you@example.com>\r\nBDAT 1000000\r\n")
        drip(talk, b"x", 300.0, 20)
        assert 600 <= talk.lasted <= 620


def test_a_session_that_brings_nothing_ends() -> None:
    """It is never silent for long, and never says anything wrong."""
    with world_of(smtp_message_timeout=3600.0, max_junk_commands=None) as world:
        talk = Talk(world)
        talk.say(b"HELO client.example\r\n")
        drip(talk, b"NOOP\r\n", 500.0, 20)
        assert 3600 <= talk.lasted <= 3605
        assert b"421 4.4.2" in talk.heard


def test_nor_do_recipients_without_end_or_chunks_of_one_octet_help_it() -> None:
    for octets, answer in ((b"RCPT TO:<you@example.com>\r\n", b"250 2.1.5"), (b"BDAT 1\r\nx", b"250 2.6.0")):
        with world_of(smtp_message_timeout=3600.0) as world:
            talk = Talk(world)
            talk.say(b"EHLO client.example\r\nMAIL FROM:<>\r\nRCPT TO:<you@example.com>\r\n")
            assert talk.say(octets, 1.0).startswith(answer)
            drip(talk, octets, 500.0, 20)
            assert 3600 <= talk.lasted <= 3605


def test_a_message_begins_the_time_anew() -> None:
    with world_of(smtp_message_timeout=3600.0, max_junk_commands=None) as world:
        talk = Talk(world)
        talk.begin()
        talk.say(b"x\r\n", 590.0)
        talk.say(b".\r\n", 590.0)
        drip(talk, b"NOOP\r\n", 500.0, 20)
        assert 590 + 3600 <= talk.lasted <= 590 + 3610


# XCLIENT -------------------------------------------------------------------------------------------------------------

PROXY = "192.0.2.200"


def behind_proxy(**more: Any) -> World:
    sources = (
        source(f"{PROXY}/32", allow_xclient=True, always_allow_relaying=True),
        source("203.0.113.0/25", always_allow_relaying=True, **more),
        source("203.0.113.128/25", smtp_service=False),
    )
    return World(relay(source(ANYBODY), *sources, users={"anna": UserSettings("anna", "secret")}))


def test_rules_and_records_are_those_of_whom_a_proxy_speaks_for() -> None:
    with behind_proxy() as world:
        world.domain("example.com")
        talk = Talk(world, PROXY)
        assert b"250-XCLIENT NAME ADDR PORT" in talk.say(b"EHLO proxy.example\r\n")
        assert talk.say(b"XCLIENT ADDR=203.0.113.9 PORT=4711 NAME=client.example\r\n").startswith(b"220 relay.example ")
        talk.say(b"EHLO client.example\r\n")
        talk.begin()
        assert talk.say(b"Subject: x\r\n\r\nx\r\n.\r\n", 1.0).startswith(b"250 2.6.0")
        world.run_until_empty()
        assert [record.rcv_source_ip for record in world.of("r")] == ["203.0.113.9"]


def test_a_proxy_gains_nothing_for_a_stranger_nor_for_whom_it_does_not_serve() -> None:
    with behind_proxy() as world:
        talk = Talk(world, PROXY)
        talk.say(b"XCLIENT ADDR=198.51.100.9\r\n")
        said = talk.say(b"EHLO client.example\r\nMAIL FROM:<>\r\nRCPT TO:<you@example.com>\r\nRSET\r\n")
        assert b"550 5.7.1" in said
    with behind_proxy() as world:
        talk = Talk(world, PROXY)
        assert talk.say(b"XCLIENT ADDR=203.0.113.200\r\n").startswith(b"521 ")
        assert talk.over


def test_whom_a_proxy_speaks_for_cannot_speak_for_others() -> None:
    """nginx passes on what its client says; that one shall not name himself anew, nor log himself in."""
    for claim in (b"ADDR=198.51.100.9", b"ADDR=198.51.100.9 LOGIN=anna", b"LOGIN=anna"):
        with behind_proxy() as world:
            talk = Talk(world, PROXY)
            talk.say(b"XCLIENT " + claim + b"\r\n")
            assert b"XCLIENT" not in talk.say(b"EHLO client.example\r\n")
            assert talk.say(b"XCLIENT ADDR=203.0.113.9 LOGIN=anna\r\n").startswith(b"500 5.5.2")


def test_proxies_behind_one_another_and_claims_in_pieces() -> None:
    with behind_proxy() as world:
        talk = Talk(world, PROXY)
        talk.say(b"XCLIENT NAME=client.example PORT=4711\r\n")
        assert talk.say(f"XCLIENT ADDR={PROXY}\r\n".encode()).startswith(b"220 ")
        assert talk.say(b"XCLIENT ADDR=198.51.100.9\r\n").startswith(b"220 ")


def test_the_certificate_of_a_proxy_is_not_that_of_its_client() -> None:
    proxy = PeerFacts(PROXY, 4711, "192.0.2.1", 25, "TLSv1.3", "TLS_AES_128_GCM_SHA256", b"the proxy's", ("tls-exporter",))
    client = spoken_for(proxy, XClient("198.51.100.9"))
    assert (client.peer, client.certificate, client.channel, client.tls) == ("198.51.100.9", b"", (), "TLSv1.3")


def test_a_login_at_the_proxy_counts_if_we_know_the_user() -> None:
    for name, answer in ((b"anna", b"250 2.1.5"), (b"berta", b"550 5.7.1")):
        with behind_proxy() as world:
            talk = Talk(world, PROXY)
            talk.say(b"XCLIENT ADDR=198.51.100.9 LOGIN=" + name + b"\r\n")
            assert answer in talk.say(b"EHLO client.example\r\nMAIL FROM:<>\r\nRCPT TO:<you@example.com>\r\n")


def test_connections_that_a_proxy_brings_have_their_rate() -> None:
    with behind_proxy(max_connect_rate_in=Rate(1, 60.0)) as world:
        assert Talk(world, PROXY).say(b"XCLIENT ADDR=203.0.113.9\r\n").startswith(b"220 ")
        assert Talk(world, PROXY).say(b"XCLIENT ADDR=203.0.113.9\r\n").startswith(b"421 4.7.0 too many connections")


def test_who_is_not_trusted_is_heard_as_if_there_were_no_such_command() -> None:
    with behind_proxy() as world:
        said = Talk(world, "203.0.113.9").say(b"EHLO client.example\r\nXCLIENT ADDR=192.0.2.200\r\n")
        assert b"XCLIENT" not in said
        assert said.endswith(b"500 5.5.2 command not recognized\r\n")
