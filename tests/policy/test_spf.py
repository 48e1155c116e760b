"""SPF: the public suite of RFC 7208 to the last case, and what it leaves out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.policy.spf_suite import CASES, cases, run

from postwright.policy.spf import MAX_LOOKUPS, Answer, Question, Spf, check, client_address


def test_the_public_suite() -> None:
    wrong = []
    for case in cases():
        found, asked = run(check(case.question), case.zone)
        explained = not case.explanation or found.explanation == ("" if case.explanation == "DEFAULT" else case.explanation)
        if found.result not in case.results or not explained or len(asked) > MAX_LOOKUPS:
            wrong.append((case.name, case.results, case.explanation, found))
    assert wrong == []
    assert len(cases()) == CASES


CLIENT = client_address("192.0.2.77")


def spf(record: str, zone: dict[str, dict[str, Answer]] | None = None, *, sender: str = "me@a.example", client: str = "192.0.2.77") -> Spf:
    """The result of one record, that of a.example."""
    whole: dict[str, dict[str, Answer]] = {"a.example": {"TXT": (record,)}, **(zone or {})}
    return run(check(Question(client_address(client), sender, "helo.a.example")), whole)[0]


@pytest.mark.parametrize(
    ("record", "result"),
    [
        ("v=spf1", "neutral"),
        ("v=spf1 ip4:192.0.2.0/24 -all", "pass"),
        ("v=spf1 ip4:192.0.2.77/33", "permerror"),
        ("v=spf1 ip4:192.0.2.077", "permerror"),
        ("v=spf1 ip6:fe80::1%eth0", "permerror"),
        ("v=spf1 a:%{d}/0999", "permerror"),
        ("v=spf1 a:%{d0}", "permerror"),
        ("v=spf1 a:%{d" + "9" * 5000 + "} -all", "fail"),
        ("v=spf1 unknown=%{d} ~all", "softfail"),
        ("v=spf1 empty= ?all", "neutral"),
        ("v=spf1\t-all", "none"),
        ("v=spf1 +ALL", "pass"),
    ],
)
def test_records(record: str, result: str) -> None:
    assert spf(record).result == result


def test_a_local_part_beyond_ascii_matches_nothing() -> None:
    """RFC 8616 section 4; and what is not asked for finds nothing in vain."""
    assert spf("v=spf1 exists:%{l}.a.example -all", sender="jürgen@a.example").result == "fail"


def test_an_mx_that_fits_decides_whatever_is_not_known_of_the_others() -> None:
    hosts: dict[str, dict[str, Answer]] = {"m2.example": {"A": ("192.0.2.77",)}, "m1.example": {"A": None}}
    both: Answer = ("m1.example", "m2.example")
    assert spf("v=spf1 mx:b.example -all", {"b.example": {"MX": both}, **hosts}).result == "pass"
    assert spf("v=spf1 mx:b.example -all", {"b.example": {"MX": both[:1]}, **hosts}).result == "temperror"


def test_a_long_explanation_is_cut_and_a_bad_one_left_out() -> None:
    record = "v=spf1 -all exp=why.example"
    assert spf(record, {"why.example": {"TXT": ("x" * 5000,)}}).explanation == "x" * 1000
    assert spf(record, {"why.example": {"TXT": ("%{x}",)}}).explanation == ""
    assert spf(record, {"why.example": {"TXT": None}}).result == "fail"


@pytest.mark.parametrize("term", ["mx", "mx:%{p}.example", "include:a.example", "a:%{p}.%{d}", "redirect=%{p}.a.example", "a ptr mx"])
def test_the_greediest_zone_has_no_more_asked_than_that(term: str) -> None:
    """Every name has every record, and every one leads on."""
    hosts = tuple([f"h{n}.example" for n in range(10)])
    everything: dict[str, Answer] = {
        "TXT": ("v=spf1 " + f"{term} " * (1 if "redirect" in term else 20) + "exp=%{p}.a.example -all",),
        "MX": hosts,
        "A": ("192.0.2.1",),
        "PTR": hosts,
    }
    asked = 0
    steps = check(Question(CLIENT, "me@a.example", "h"))
    try:
        batch = next(steps)
        while True:
            asked += len(batch)
            batch = steps.send([everything[ask.kind] for ask in batch])
    except StopIteration as end:
        result = end.value.result
    assert result in ("permerror", "fail")
    assert 10 <= asked <= MAX_LOOKUPS


WORDS = st.sampled_from(
    (
        "a", "mx", "ptr", "-all", "~all", "include:a.example", "include:b.example", "redirect=b.example", "exists:%{p}.a.example",
        "a:%{ir}.b.example/24//64", "mx:b.example", "exp=b.example", "ip4:192.0.2.0/24", "ip6:2001:db8::/32", "a:%{l1r+-}.a.example",
        "x=%{d}", "%{z}", "\x00", "ä", "ptr:b.example",
    )
)  # fmt: skip
RECORDS = st.one_of(st.none(), st.lists(st.lists(WORDS, max_size=14).map(lambda words: " ".join(["v=spf1", *words])), max_size=2))
NAMES = st.one_of(st.none(), st.lists(st.sampled_from(["a.example", "b.example", "", "x" * 70 + ".example"]), max_size=12))
ADDRESSES = st.one_of(st.none(), st.lists(st.sampled_from(["192.0.2.77", "192.0.2.1"]), max_size=3))


@given(st.data())
def test_whatever_the_zone_says_there_is_a_result_and_no_more_is_asked_than_that(data: st.DataObject) -> None:
    steps, asked = check(Question(CLIENT, "me@a.example", "helo.b.example")), 0
    kinds = {"TXT": RECORDS, "MX": NAMES, "PTR": NAMES, "A": ADDRESSES}
    found: Spf | None = None
    try:
        batch = next(steps)
        while True:
            asked += len(batch)
            answers = [data.draw(kinds[ask.kind]) for ask in batch]
            batch = steps.send([None if answer is None else tuple(answer) for answer in answers])
    except StopIteration as end:
        found = end.value
    assert found is not None
    assert found.result in ("none", "neutral", "pass", "fail", "softfail", "temperror", "permerror")
    assert asked <= MAX_LOOKUPS
