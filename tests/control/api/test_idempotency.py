"""Idempotency-Key: the answer of before, on disk, for a day; one message however often and however at once it is asked for."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from postwright.control.api.idempotency import ANSWERS, Answer, Answers, Reused


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def work(*answers: bytes | Exception) -> tuple[list[int], object]:
    """Gives these answers, one a call, and counts the calls."""
    calls: list[int] = []
    left = list(answers)

    async def run() -> Answer:
        calls.append(1)
        await asyncio.sleep(0)
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return Answer(202, answer)

    return calls, run


async def test_the_same_answer_also_after_a_restart(tmp_path: Path) -> None:
    calls, run = work(b"one", b"two")
    clock = Clock()
    first = await Answers(tmp_path / ANSWERS, clock).once("key a", "k", b"body", run)  # type: ignore[arg-type]
    store = Answers(tmp_path / ANSWERS, clock)
    again = await store.once("key a", "k", b"body", run)  # type: ignore[arg-type]
    assert (first, again, len(calls)) == (Answer(202, b"one"), Answer(202, b"one", again=True), 1)
    with pytest.raises(Reused):
        await store.once("key a", "k", b"other", run)  # type: ignore[arg-type]
    assert (await store.once("key b", "k", b"other", run)).body == b"two"  # type: ignore[arg-type]  # somebody else's key
    assert (tmp_path / ANSWERS).stat().st_mode & 0o077 == 0


async def test_a_day_later_it_is_a_new_request(tmp_path: Path) -> None:
    calls, run = work(b"one", b"two")
    clock = Clock()
    store = Answers(tmp_path / ANSWERS, clock)
    await store.once("a", "k", b"body", run)  # type: ignore[arg-type]
    clock.now += 86401
    assert await store.once("a", "k", b"other", run) == Answer(202, b"two")  # type: ignore[arg-type]
    assert len(calls) == 2


async def test_what_failed_is_tried_again(tmp_path: Path) -> None:
    calls, run = work(ValueError("503"), b"two")
    store = Answers(tmp_path / ANSWERS)
    with pytest.raises(ValueError, match="503"):
        await store.once("a", "k", b"body", run)  # type: ignore[arg-type]
    assert await store.once("a", "k", b"body", run) == Answer(202, b"two")  # type: ignore[arg-type]
    assert len(calls) == 2


async def test_many_at_once_are_one(tmp_path: Path) -> None:
    calls, run = work(b"one")
    store = Answers(tmp_path / ANSWERS)
    answers = await asyncio.gather(*[store.once("a", "k", b"body", run) for _ in range(20)])  # type: ignore[arg-type]
    assert (len(calls), {answer.body for answer in answers}, [answer.again for answer in answers].count(False)) == (1, {b"one"}, 1)


async def test_a_store_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    _, run = work(b"one")
    with pytest.raises(OSError, match="missing"):
        await Answers(tmp_path / "missing" / ANSWERS).once("a", "k", b"body", run)  # type: ignore[arg-type]
