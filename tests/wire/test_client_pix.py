"""A receiver behind an old PIX firewall: the end of data leaves in a segment of its own, and nothing overtakes it."""

from __future__ import annotations

import pytest
from tests.wire.test_client import BODY, TEXT, Session, ehlo, transaction

from postwright.model.route import SessionOptions, TlsLevel

STARS = b"220 " + b"*" * 40 + b"\r\n"


def session(banner: bytes, *offers: str, workaround: bool = True) -> Session:
    made = Session(SessionOptions(tls=TlsLevel.NONE, pix_workaround=workaround), opened=False)
    made.hear(banner)
    made.hear(ehlo(*offers))
    return made


def asked(found: Session) -> list[bytes]:
    """What is given out, one string for each time that it is asked for."""
    pieces = []
    while octets := found.sent():
        pieces.append(octets)
    return pieces


@pytest.mark.directive("pix-bug-workaround")
@pytest.mark.parametrize(
    ("banner", "workaround", "pieces"),
    [
        (STARS, True, [TEXT, b".\r\n"]),
        (STARS, False, [BODY]),
        (b"220 mx.example *** hi ***\r\n", True, [BODY]),
    ],
)
def test_the_end_of_data(banner: bytes, workaround: bool, pieces: list[bytes]) -> None:
    found = session(banner, workaround=workaround)
    found.begin()
    found.hear(b"250 ok\r\n")
    found.hear(b"250 ok\r\n")
    found.events += found.engine.receive_data(b"354 go\r\n")
    assert asked(found) == pieces
    found.hear(b"250 taken\r\n")
    assert found.result.final is not None
    assert found.result.pix == (banner is STARS)


@pytest.mark.directive("pix-bug-workaround")
def test_nothing_overtakes_it() -> None:
    found = session(STARS, "PIPELINING")
    found.begin()
    found.engine.begin(transaction(), 2)
    found.events += found.engine.receive_data(b"250 ok\r\n250 ok\r\n354 go\r\n")
    first = found.sent()
    assert first == TEXT
    found.engine.clear = False
    assert asked(found) == [], "the content has not left"
    found.engine.clear = True
    assert found.sent() == b".\r\n"
    assert found.sent().startswith(b"MAIL ")


def test_a_chunk_has_no_end_of_data() -> None:
    found = session(STARS, "PIPELINING", "CHUNKING")
    assert found.begin().endswith(TEXT)
    assert asked(found) == []
