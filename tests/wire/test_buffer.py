"""The end of data is found however the network cuts it, and dotted lines are seen on the way."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from postwright.wire.body import has_bare, scan
from postwright.wire.buffer import ChunkContent, DotContent

PIECES = st.lists(st.sampled_from([b".", b"\r\n", b"\r", b"\n", b"x", b"..", b"\r\n.", b"abc def", b"\r\n..\r\n"]), max_size=12)


def pieces(octets: bytes, cuts: list[int]) -> list[bytes]:
    at = sorted({min(cut, len(octets)) for cut in cuts} | {0, len(octets)})
    return [octets[a:b] for a, b in pairwise(at)]


@given(PIECES, st.lists(st.integers(0, 60), max_size=12))
@example([b"."], [1])
@example([b"x", b"\r\n.", b"x"], [3, 4, 5])
@example([b"\r\n.", b"\r"], [1, 2, 3, 4, 5, 6, 7])
def test_end_and_dots_do_not_depend_on_cuts(words: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(words) + b"\r\n.\r\nQUIT\r\n"
    end = (b"\r\n" + stream).index(b"\r\n.\r\n") + 3  # of the stream, which the CRLF of DATA precedes
    raw = stream[: end - 3]
    content, taken = DotContent(None), 0
    for piece in pieces(stream, cuts):
        used = content.feed(piece)
        taken += len(piece) if used < 0 else used
        if used >= 0:
            break
    assert taken == end
    assert content.dots == (raw.startswith(b".") or b"\r\n." in raw)
    assert content.raw() == raw


def test_dots_are_not_taken_for_an_end_cut_in_two() -> None:
    content = DotContent(None)
    assert content.feed(b"text\r\n.") == -1
    assert not content.dots
    assert content.feed(b"\r\n") == 2
    assert not content.dots


@pytest.mark.parametrize(
    ("octets", "bare"),
    [
        (b"", False),
        (b"a\r\nb\r\n", False),
        (b"no line end", False),
        (b"a\nb\r\n", True),
        (b"a\rb\r\n", True),
        (b"a\r\r\n", True),
        (b"a\n\r", True),
        (b"a\r\n\n", True),
        (b"ends with CR\r", True),
        (b"\xff\x80 8 bit\r\n\xe2\x80\xa8 no line end of ours\x0b\x0c\x1c\x85\r\n", False),
    ],
)
def test_bare_line_ends(octets: bytes, bare: bool) -> None:
    assert has_bare(octets) is bare
    assert scan(octets).binary is bare


@given(st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"\x85", b"x"]), max_size=20).map(b"".join))
def test_bare_as_by_taking_pairs_away(octets: bytes) -> None:
    rest = octets.replace(b"\r\n", b"")
    assert has_bare(octets) == (b"\r" in rest or b"\n" in rest)


@pytest.mark.parametrize("make", [lambda: DotContent(None), lambda: ChunkContent(None)])
def test_small_pieces_cost_little_more_than_their_octets(make: Callable[[], DotContent | ChunkContent]) -> None:
    content = make()
    sent = b"ab" * 20_000
    for at in range(0, len(sent), 2):
        content.feed(sent[at : at + 2])
    assert len(content._parts) <= len(sent) // 2048
    assert content.held == len(sent)
    if isinstance(content, DotContent):
        assert content.feed(b"\r\n.\r\n") == 5
        assert content.raw() == sent + b"\r\n"
    else:
        assert content.raw() == sent


@pytest.mark.parametrize("make", [lambda: DotContent(None), lambda: ChunkContent(None)])
def test_what_is_dropped_is_not_kept_again(make: Callable[[], DotContent | ChunkContent]) -> None:
    content = make()
    content.feed(b"text\r\n")
    content.drop()
    content.feed(b"more\r\n")
    assert (content.too_big, content.held, content._parts) == (True, 0, [])
