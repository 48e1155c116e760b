"""x-schedule: the windows in which a message may be sent."""

from __future__ import annotations

from datetime import UTC, timedelta, timezone

import pytest

from postwright.content.schedule import FOREVER, MOST, opens, windows

NOON = 1896004800.0  # 2030-01-30 12:00 UTC
HOUR = 3600.0
EAST = timezone(timedelta(hours=2))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2030-01-30 12:00 / 2030-01-30 13:00", ((NOON, NOON + HOUR),)),
        ("2030-01-30T12:00:00/2030-01-30T13:00:30", ((NOON, NOON + HOUR + 30),)),
        ("2030-01-30 14:00+02:00 / 2030-01-30 13:00Z", ((NOON, NOON + HOUR),)),
        ("2030-01-30 12:00", ((NOON, FOREVER),)),
        ("2030-01-30 23:30 / 2030-01-31 00:30", ((NOON + 11.5 * HOUR, NOON + 12.5 * HOUR),)),
        ("2030-01-31 00:30+12:30 / 2030-01-30 02:00-11:00", ((NOON, NOON + HOUR),)),  # each end in a zone and on a date of its own
        (
            "2030-01-30 15:00 / 2030-01-30 16:00,\r\n\t2030-01-30 12:00 / 2030-01-30 13:00,",
            ((NOON, NOON + HOUR), (NOON + 3 * HOUR, NOON + 4 * HOUR)),
        ),
        ("2030-01-30 12:00 / 2030-01-30 13:00, 2030-01-30 13:00 / 2030-01-30 14:00", ((NOON, NOON + 2 * HOUR),)),
    ],
)
def test_windows(text: str, expected: object) -> None:
    assert windows(text, UTC) == expected


def test_local_time_is_that_of_the_zone() -> None:
    assert windows("2030-01-30 14:00 / 2030-01-30 15:00", EAST) == ((NOON, NOON + HOUR),)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " , ",
        "tomorrow",
        "2030-01-30",
        "2030-02-30 12:00",
        "2030-01-30 12:00 / ",
        "2030-01-30 12:00 / 2030-01-30 12:00",
        "2030-01-30 12:00 / 2030-01-29 12:00",
        "2030-01-30 12:00 / 2030-01-30 13:00 / 2030-01-30 14:00",
        "0000-01-30 12:00",
        "٢٠٣٠-01-30 12:00",
        ",".join(["2030-01-30 12:00"] * (MOST + 1)),
        "2030-01-30 12:00" + " " * 9000,
    ],
)
def test_what_is_no_schedule(text: str) -> None:
    with pytest.raises(ValueError, match="x-schedule"):
        windows(text, UTC)


def test_when_it_opens() -> None:
    two = ((NOON, NOON + HOUR), (NOON + 3 * HOUR, NOON + 4 * HOUR))
    assert opens((), 5.0) == 5.0
    assert [opens(two, NOON + at) for at in (-9.0, 0.0, 5.0, HOUR, 3.5 * HOUR, 4 * HOUR)] == [
        NOON,
        NOON,
        NOON + 5.0,
        NOON + 3 * HOUR,
        NOON + 3.5 * HOUR,
        None,
    ]
