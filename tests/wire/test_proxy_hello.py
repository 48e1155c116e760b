"""What we say to a proxy: headers that our own reader reads, and dialogues with a SOCKS5 server by table."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postwright.model.outcome import Fault
from postwright.wire.proxy_hello import Socks5, header
from postwright.wire.proxy_line import ProxyHeader, ProxyReader

PORTS = st.integers(0, 65535)


@given(st.sampled_from([1, 2]), st.booleans(), st.binary(min_size=32, max_size=32), PORTS, PORTS)
def test_a_header_is_read_as_it_was_meant(version: int, four: bool, ends: bytes, here: int, there: int) -> None:
    size = 4 if four else 16
    source, destination = (str(ipaddress.ip_address(ends[at : at + size])) for at in (0, size))
    reader = ProxyReader()
    made = header(version, (source, here), (destination, there))
    assert reader.feed(made + b"EHLO") == len(made)
    assert reader.result == ProxyHeader(False, plain(source), here, plain(destination), there)


def plain(address: str) -> str:
    """A mapped address is read as what it stands for."""
    mapped = ipaddress.IPv6Address(address).ipv4_mapped if ":" in address else None
    return str(mapped or address)


def test_the_forms() -> None:
    ends = ("203.0.113.9", 0), ("192.0.2.1", 25)
    assert header(1, *ends) == b"PROXY TCP4 203.0.113.9 192.0.2.1 0 25\r\n"
    assert header(2, *ends) == b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x09\xc0\0\x02\x01\0\0\0\x19"
    with pytest.raises(ValueError, match="different address families"):
        header(2, ("203.0.113.9", 0), ("2001:db8::1", 25))


def talk(*heard: bytes, address: str = "192.0.2.1", user: str = "", password: str = "", cut: int = 1000) -> tuple[bytes, Socks5]:
    """All that is sent while this is heard, and the dialogue afterwards."""
    socks = Socks5(address, 25, user, password)
    sent = socks.data_to_send()
    for whole in heard:
        for at in range(0, len(whole), cut):
            socks.receive(whole[at : at + cut])
            sent += socks.data_to_send()
    return sent, socks


V4 = b"\5\1\0\1\xc0\0\2\1\0\x19"
BOUND = b"\5\0\0\1\x0a\0\0\1\x12\x34"


@pytest.mark.parametrize("cut", [1, 1000])
@pytest.mark.parametrize(
    ("user", "heard", "sent"),
    [
        ("", [b"\5\0", BOUND], b"\5\1\0" + V4),
        ("joe", [b"\5\0", BOUND], b"\5\2\0\2" + V4),
        ("joe", [b"\5\2", b"\1\0", BOUND], b"\5\2\0\2" + b"\1\3joe\6secret" + V4),
        ("", [b"\5\0", b"\5\0\0\3\5proxy\0\0"], b"\5\1\0" + V4),
        ("", [b"\5\0", b"\5\0\0\4" + bytes(18)], b"\5\1\0" + V4),
    ],
)
def test_ways_through(user: str, heard: list[bytes], sent: bytes, cut: int) -> None:
    said, socks = talk(*heard, user=user, password="secret", cut=cut)
    assert said == sent
    assert socks.done
    assert socks.refused is None
    assert socks.rest == b""


def test_what_comes_behind_is_the_hosts() -> None:
    _, socks = talk(b"\5\0", BOUND + b"220 hi\r\n", address="2001:db8::1")
    assert socks.rest == b"220 hi\r\n"


@pytest.mark.parametrize(
    ("heard", "fault"),
    [
        ([b"\4\0"], Fault.PROXY),
        ([b"HTTP/1.1 400"], Fault.PROXY),
        ([b"\5\xff"], Fault.PROXY),
        ([b"\5\2"], Fault.PROXY),
        ([b"\5\1"], Fault.PROXY),
        ([b"\5\0", b"\5\1\0\1"], Fault.PROXY),
        ([b"\5\0", b"\5\2\0\1"], Fault.PROXY),
        ([b"\5\0", b"\5\3\0\1"], Fault.UNREACHABLE),
        ([b"\5\0", b"\5\4\0\1"], Fault.UNREACHABLE),
        ([b"\5\0", b"\5\5\0\1"], Fault.REFUSED),
        ([b"\5\0", b"\5\6\0\1"], Fault.TIMEOUT),
        ([b"\5\0", b"\5\x63\0\1"], Fault.PROXY),
        ([b"\5\0", b"\5\0\0\7a"], Fault.PROXY),
        ([b"\5\0", b"\4\x5a\0\0"], Fault.PROXY),
    ],
)
def test_no_way_through(heard: list[bytes], fault: Fault) -> None:
    _, socks = talk(*heard)
    assert socks.refused is not None
    assert socks.refused.fault is fault
    assert not socks.done


def test_a_login_that_is_refused_or_too_long() -> None:
    _, socks = talk(b"\5\2", b"\1\1", user="joe", password="wrong")
    assert socks.refused is not None
    assert "refused the login" in socks.refused.detail
    with pytest.raises(ValueError, match="255"):
        Socks5("192.0.2.1", 25, "joe", "x" * 256)


@given(st.lists(st.binary(max_size=40), max_size=6), st.booleans())
def test_whatever_a_proxy_says(heard: list[bytes], login: bool) -> None:
    _, whole = talk(b"".join(heard), user="joe" if login else "", password="x")
    _, cut = talk(b"".join(heard), user="joe" if login else "", password="x", cut=1)
    assert (whole.done, whole.refused) == (cut.done, cut.refused)
