"""Lists in pages: on and back again through addresses, with the filters kept, however deep."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from postwright.control.monitor.paging import DEEPEST, LONGEST, pages


def given(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def test_on_and_back_again_with_the_filters() -> None:
    chosen, seen = {"pattern": "*/news", "mode": ""}, [""]
    back = ""
    for number in range(1, 4):
        on = given(pages("/ui/queues", chosen, seen[-1], back, f"{number}:x").next)
        assert on["pattern"] == "*/news"
        seen.append(on["after"])
        back = on["back"]
    assert seen == ["", "1:x", "2:x", "3:x"]
    for cursor in ("2:x", "1:x"):
        there = given(pages("/ui/queues", chosen, seen.pop(), back, "").previous)
        assert there["after"] == cursor
        back = there.get("back", "")
    assert pages("/ui/queues", chosen, "1:x", back, "").previous == "/ui/queues?pattern=%2A%2Fnews"


def test_the_first_page_has_none_before_and_the_last_none_behind() -> None:
    assert pages("/ui/jobs", {"pattern": ""}, "", "", "") == ("/ui/jobs", "", "")


def test_an_address_does_not_grow_without_end() -> None:
    back = ""
    for number in range(3 * DEEPEST):
        back = given(pages("/ui/jobs", {}, f"{number}", back, "on").next)["back"]
    assert len(back.split()) <= DEEPEST + 1
    long = "x" * 600
    for number in range(40):
        back = given(pages("/ui/jobs", {}, f"{number}{long}", back, "on").next)["back"]
    assert len(back) <= LONGEST + DEEPEST
