"""Figures, times and sizes as a page shows them."""

from __future__ import annotations

import pytest

from postwright.control.monitor import words


@pytest.mark.parametrize(
    ("shown", "wanted"),
    [
        (words.count(1234567), "1,234,567"),
        (words.rate(0), "0"),
        (words.rate(0.44), "0.4"),
        (words.rate(12.34), "12.3"),
        (words.rate(4711.6), "4,712"),
        (words.size(0), "0 B"),
        (words.size(1023), "1023 B"),
        (words.size(1536), "1.5 KB"),
        (words.size(3 * 1024**3), "3.0 GB"),
        (words.size(5000 * 1024**4), "5,000.0 TB"),
        (words.duration(0), "0 s"),
        (words.duration(59.9), "59 s"),
        (words.duration(200), "3 min 20 s"),
        (words.duration(7200), "2 h"),
        (words.duration(3 * 86400 + 4 * 3600 + 59), "3 d 4 h"),
        (words.duration(-5), "0 s"),
        (words.moment(1_760_000_000), "2025-10-09 08:53:20"),
        (words.moment(0), "-"),
        (words.moment(1e30), "-"),
        (words.until(1000, 900), "in 1 min 40 s"),
        (words.until(900, 1000), "now"),
        (words.until(0, 1000), "-"),
        (words.ago(900, 1000), "1 min 40 s ago"),
        (words.ago(0, 1000), "-"),
    ],
)
def test_as_a_person_reads_it(shown: str, wanted: str) -> None:
    assert shown == wanted


def test_a_picture_has_a_line_for_each_stretch_without_a_gap() -> None:
    assert words.spark([0.0, 2.0, None, 1.0], width=30, height=22) == ["0.0,21.0 10.0,1.0", "30.0,11.0"]
    assert words.spark([]) == []
    assert words.spark([None, None]) == []
    assert words.spark([0.0, 0.0], width=10, height=12) == ["0.0,11.0 10.0,11.0"]
