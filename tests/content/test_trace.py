"""Received, Date and Message-ID: their form, and that nothing of a peer gets out of its place."""

from __future__ import annotations

import email
import email.utils
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postwright.content import trace
from postwright.model.message import Arrival

NOW = 1_795_515_476.7
WHEN = "Tue, 24 Nov 2026 10:17:56 +0000"
ID = "0abcdefghjkmn"
TLS = Arrival(peer="192.0.2.1", peer_name="client.example", protocol="ESMTPSA", user="foo", tls="TLSv1.3", cipher="TLS_AES_256_GCM_SHA384")


def field(arrival: Arrival, rcpt: str = "", hide: bool = False, host: str = "mail.example") -> bytes:
    return trace.received(arrival, host, ID, rcpt, NOW, hide)


def unfolded(octets: bytes) -> str:
    return re.sub(r"\r\n[ \t]+", " ", octets.decode("ascii")).removesuffix("\r\n")


@pytest.mark.parametrize(("rcpt", "before"), [("bob@example.com", "for <bob@example.com>"), ("", f"id {ID}")])
def test_a_priority_stands_among_the_clauses_behind_all_others(rcpt: str, before: str) -> None:
    said = unfolded(trace.received(TLS, "mail.example", ID, rcpt, NOW, False, -3))
    assert said.endswith(f" {before} PRIORITY -3; {WHEN}")


@pytest.mark.parametrize(
    ("arrival", "rcpt", "hide", "says"),
    [
        (
            TLS,
            "bob@example.com",
            False,
            f"Received: from client.example ([192.0.2.1]) by mail.example with ESMTPSA "
            f"(version=TLSv1.3, cipher=TLS_AES_256_GCM_SHA384) id {ID} for <bob@example.com>; {WHEN}",
        ),
        (TLS, "", True, f"Received: by mail.example with ESMTPSA (version=TLSv1.3, cipher=TLS_AES_256_GCM_SHA384) id {ID}; {WHEN}"),
        (
            Arrival(peer="2001:db8::1", peer_name="[IPv6:2001:db8::1]"),
            "",
            False,
            f"Received: from [IPv6:2001:db8::1] ([IPv6:2001:db8::1]) by mail.example with SMTP id {ID}; {WHEN}",
        ),
        (
            Arrival(peer="192.0.2.1", peer_name="evil) by bank.example ("),
            "",
            False,
            f"Received: from [192.0.2.1] ([192.0.2.1]) by mail.example with SMTP id {ID}; {WHEN}",
        ),
        (Arrival(peer_name="only_a_name"), "", False, f"Received: from only_a_name by mail.example with SMTP id {ID}; {WHEN}"),
        (Arrival(), "", False, f"Received: by mail.example with SMTP id {ID}; {WHEN}"),
        (Arrival(kind="pickup"), "", False, f"Received: by mail.example (pickup) id {ID}; {WHEN}"),
        (Arrival(kind="a b", protocol="\r\n"), "", False, f"Received: by mail.example id {ID}; {WHEN}"),
        (Arrival(protocol="x y"), "", False, f"Received: by mail.example id {ID}; {WHEN}"),
        (Arrival(tls="TLSv1.2", cipher="()"), "", False, f"Received: by mail.example with SMTP (version=TLSv1.2) id {ID}; {WHEN}"),
        (
            Arrival(tls="TLSv1.3", cipher="TLS_X", tls_client="Anna Smith"),
            "",
            False,
            f"Received: by mail.example with SMTP (version=TLSv1.3, cipher=TLS_X) (client certificate Anna_Smith) id {ID}; {WHEN}",
        ),
        (Arrival(tls_client="anna"), "", True, f"Received: by mail.example with SMTP id {ID}; {WHEN}"),
        (Arrival(tls_client="a) by b ("), "", False, f"Received: by mail.example with SMTP id {ID}; {WHEN}"),
        (Arrival(peer="nonsense"), "", False, f"Received: by mail.example with SMTP id {ID}; {WHEN}"),
        (Arrival(), '"quoted one"@example.com', False, f"Received: by mail.example with SMTP id {ID}; {WHEN}"),
        (Arrival(), "d\u00f6ner@example.com", False, f"Received: by mail.example with SMTP id {ID}; {WHEN}"),
        (Arrival(), "a@[192.0.2.9]", False, f"Received: by mail.example with SMTP id {ID} for <a@[192.0.2.9]>; {WHEN}"),
    ],
)
def test_received_says(arrival: Arrival, rcpt: str, hide: bool, says: str) -> None:
    assert unfolded(field(arrival, rcpt, hide)) == says


def test_lines_are_short() -> None:
    for host in ("mail.example", "a-rather-long-name-of-a-mail-relay.some-where.sender1.example"):
        for line in field(TLS, "somebody-with-a-long-name@a-long-domain-name.example.com", host=host).split(b"\r\n"):
            assert len(line) < 78


HOSTILE = st.text(st.characters(codec="utf-8"), max_size=40) | st.text('a.\r\n\t ;()<>\\"@:[]\0', max_size=40)


@given(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, st.booleans())
def test_no_peer_injects(name: str, peer: str, protocol: str, tls: str, cipher: str, client: str, rcpt: str, hide: bool) -> None:
    made = field(Arrival(peer=peer, peer_name=name, protocol=protocol, tls=tls, cipher=cipher, tls_client=client), rcpt, hide)
    assert made.endswith(b"\r\n")
    assert made.isascii()
    lines = made.removesuffix(b"\r\n").split(b"\r\n")
    assert all(line.startswith(b"\t") and line.strip() for line in lines[1:])
    assert not re.search(rb"[\r\n\0]", b"".join(lines))
    message = email.message_from_bytes(made + b"\r\n")
    assert message.keys() == ["Received"]
    assert not message.defects
    said = message["Received"]
    assert said.count(";") == 1
    assert said.count(" id ") + said.count("\tid ") == 1
    assert said.count("(") == said.count(")")
    assert email.utils.parsedate_to_datetime(said.partition(";")[2]).timestamp() == int(NOW)


@given(st.integers(0, 253_402_300_799))
def test_date_is_what_python_reads(second: int) -> None:
    assert email.utils.parsedate_to_datetime(trace.date(second + 0.5)).timestamp() == second


def test_dates_out_of_range_are_written_all_the_same() -> None:
    assert trace.date(-5).startswith("Thu, 1 Jan 1970")
    assert trace.date(1e15).startswith("Fri, 31 Dec 9999")


def test_fields_to_add() -> None:
    assert trace.date_header(NOW) == f"Date: {WHEN}\r\n".encode()
    assert trace.message_id_header(ID, "mail.example") == f"Message-ID: <{ID}@mail.example>\r\n".encode()
