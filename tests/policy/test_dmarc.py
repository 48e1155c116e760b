"""DMARC: tables of records, of alignment, of the two ways to an organizational domain."""

from __future__ import annotations

import pytest

from postwright.policy.dmarc import QUESTIONS, Dmarc, Record, evaluate, names, record_of

REJECT = {"_dmarc.example.com": ("v=DMARC1; p=reject; sp=quarantine",)}
STRICT = {"_dmarc.example.com": ("v=DMARC1; p=none; adkim=s; aspf=s",)}


@pytest.mark.parametrize(
    ("texts", "record"),
    [
        (["v=DMARC1; p=none"], Record("none")),
        (["v=DMARC1;p=Reject;sp=NONE;adkim=s;aspf=r;pct=20"], Record("reject", "none", True, False)),
        (["v=DMARC1; p=what; rua=mailto:a@b.example"], Record("none")),
        (["v=DMARC1; p=what"], None),
        (["v=DMARC1"], None),
        (["v=DMARC2; p=none"], None),
        (["p=none; v=DMARC1"], None),
        (["v=dmarc1; p=none"], None),
        (["v=spf1 -all", " V = DMARC1 ; p = none ; psd = y "], Record("none", psd="y")),
        (["v=DMARC1; p=none", "v=DMARC1; p=reject"], None),
        ([], None),
    ],
)
def test_records(texts: list[str], record: Record | None) -> None:
    assert record_of(texts) == record


@pytest.mark.parametrize(
    ("author", "dkim", "spf", "zone", "expected"),
    [
        ("example.com", ["example.com"], "", REJECT, Dmarc("pass", "example.com", "reject")),
        ("example.com", ["mail.example.com"], "", REJECT, Dmarc("pass", "example.com", "reject")),
        ("example.com", [], "bounces.example.com", REJECT, Dmarc("pass", "example.com", "reject")),
        ("news.example.com", ["example.com"], "", REJECT, Dmarc("pass", "news.example.com", "quarantine")),
        ("example.com", ["other.example"], "other.example", REJECT, Dmarc("fail", "example.com", "reject")),
        ("example.com", ["xexample.com"], "", REJECT, Dmarc("fail", "example.com", "reject")),
        ("example.com", ["mail.example.com"], "mail.example.com", STRICT, Dmarc("fail", "example.com", "none")),
        ("example.com", [], "example.com", STRICT, Dmarc("pass", "example.com", "none")),
        ("example.org", ["example.org"], "", REJECT, Dmarc("none", "example.org", "", "no policy")),
        ("example.com", [], "", {"_dmarc.example.com": None}, Dmarc("temperror", "example.com", "", "the policy could not be looked up")),
    ],
)
@pytest.mark.parametrize("tree_walk", [False, True])
def test_alignment(
    author: str, dkim: list[str], spf: str, zone: dict[str, tuple[str, ...] | None], expected: Dmarc, tree_walk: bool
) -> None:
    assert evaluate([author], dkim, spf, zone, tree_walk) == expected


def test_one_author_of_one_domain() -> None:
    assert evaluate(["a.example", "b.example"], ["a.example"], "", {}, False).result == "permerror"
    assert evaluate([], [], "", {}, False).result == "permerror"
    assert evaluate(["example.com", "example.com"], ["example.com"], "", REJECT, False).result == "pass"


def test_public_suffixes() -> None:
    zone = {"_dmarc.co.uk": ("v=DMARC1; p=reject",), "_dmarc.b.co.uk": ("v=DMARC1; p=none",)}
    assert names(["x.a.co.uk", "ignored.example"], False) == ["_dmarc.x.a.co.uk", "_dmarc.a.co.uk"]
    assert evaluate(["a.co.uk"], ["b.co.uk"], "", zone, False).result == "none", "a suffix is nobody's organization"
    assert evaluate(["x.b.co.uk"], ["b.co.uk"], "", zone, False) == Dmarc("pass", "x.b.co.uk", "none")


def test_the_tree_walk() -> None:
    assert names(["a.b.example.com"], True) == ["_dmarc.a.b.example.com", "_dmarc.b.example.com", "_dmarc.example.com", "_dmarc.com"]
    deep = names([".".join("abcdefghijkl") + ".example.com"], True)
    assert (len(deep), deep[1]) == (QUESTIONS, "_dmarc.h.i.j.k.l.example.com"[:7] + "h.i.j.k.l.example.com")
    suffix = {"_dmarc.bank": ("v=DMARC1; p=reject; psd=y",), "_dmarc.a.bank": ("v=DMARC1; p=none",)}
    assert evaluate(["x.a.bank"], ["b.bank"], "", suffix, True) == Dmarc("fail", "x.a.bank", "none")
    assert evaluate(["x.a.bank"], ["y.a.bank"], "", suffix, True) == Dmarc("pass", "x.a.bank", "none")
    apart = {"_dmarc.unit.example.com": ("v=DMARC1; p=none; psd=n",), **REJECT}
    assert evaluate(["x.unit.example.com"], ["example.com"], "", apart, True).result == "fail", "psd=n is an organization of its own"
