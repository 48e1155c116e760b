"""One mistake each: the line at which it is told, strictly and tolerantly. ../shared has the same as files. Milliseconds."""

from __future__ import annotations

from pathlib import Path

import pytest

from postwright.control.config import load, loads

MINIMUM = """\
host-name mta.sender1.example
postmaster postmaster@sender1.example
log-file pmta.log
spool spool
smtp-listener 127.0.0.1:2525
<source 127.0.0.1/32>
    always-allow-relaying yes
</source>
"""

# name -> (text behind the minimum, lines of errors, words of the message or hint, still an error in tolerant mode)
CASES: dict[str, tuple[str, list[int], str, bool]] = {
    "near miss": ("<domain *>\n max-smpt-out 20\n</domain>\n", [10], "did you mean `max-smtp-out`?", False),
    "no value": ("<domain gmail.com>\n retry-after\n</domain>\n", [10], "list of up to 30 times", True),
    "bad time": ("<domain gmail.com>\n bounce-after 4days\n</domain>\n", [10], "units are w d h m s: 4d", True),
    "bad size": ("<source 10/8>\n max-message-size 20megs\n</source>\n", [10], "20m", True),
    "bad rate": ("<domain gmail.com>\n max-msg-rate 100 per hour\n</domain>\n", [10], "a rate is 100/h, without blanks", True),
    "bad network": ("<source 10.0.0.300/24>\n require-auth yes\n</source>\n", [9], "neither an address nor a network", True),
    "bad expression": ("relay-address /@foo(bar?\\.example$/\n", [9], "unterminated subpattern", True),
    "unclosed": ("<virtual-mta mta1>\n <domain *>\n </domain>\n", [9], "<virtual-mta mta1> is never closed", True),
    "misplaced": ("<domain gmail.com>\n always-allow-relaying yes\n</domain>\n", [10], "belongs in <source>, not in <domain>", False),
    "macro loop": ("domain-macro a $b, x\ndomain-macro b $a\n", [9], "in a circle", True),
    "list below": (
        "<source 192.0.2.0/24>\n pattern-list streams\n</source>\n"
        "<pattern-list streams>\n mail-from /@news\\./ virtual-mta={default}\n</pattern-list>\n",
        [10], "above its definition", False,
    ),
    "unknown member": ("<virtual-mta-pool one>\n virtual-mta mta7\n</virtual-mta-pool>\n", [10], "no virtual MTA `mta7`", False),
    "access commented away": ("http-access # 192.0.2.0/24 monitor\n", [9], "# begins a comment", True),
    "action twice": ("<smtp-pattern-list r>\n reply /421 / mode=backoff,mode=backoff\n</smtp-pattern-list>\n", [10], "twice", True),
    "exclusive actions": ("<smtp-pattern-list r>\n reply /550 / skip-mx,bounce-queue\n</smtp-pattern-list>\n", [10], "exclude", True),
    "bad port": ("smtp-listener 127.0.0.1:70000\n", [9], "70000 is no port", True),
    "open relay": ("<source 0/0>\n always-allow-relaying yes\n</source>\n", [10], "would relay for everybody", True),
    "several": ("<domain *>\n max-smtp-out many\n retry-afer 10m\n</domain>\nsmtp-listner 127.0.0.1:2526\n", [10, 11, 13], "", True),
    "damaged reply": ("<smtp-pattern-list r>\n reply /421 (/ mode=backoff\n</smtp-pattern-list>\n", [10], "does not compile", False),
    "look-around in a reply": (
        "<smtp-pattern-list r>\n reply /^421 (?!4.7.0)/ mode=backoff\n</smtp-pattern-list>\n", [10], "rule of its own above", False,
    ),
    "back-reference in a reply": ("<smtp-pattern-list r>\n reply /(.)\\1/ skip-mx\n</smtp-pattern-list>\n", [10], "RE2", False),
    "records all": ("<acct-file a.csv>\n records all\n</acct-file>\n", [10], "types are d, b", False),
    "key of four parts": ("domain-key a, b.example, c, d\n", [9], "a selector, a domain and a file", False),
    "several domains": ("<domain a.example b.example>\n</domain>\n", [9], "domain-macro for several", False),
    "relay to several": ("relay-domain a.example b.example\n", [9], "domain-macro for several", True),
    "ciphers": ("smtp-server-tls-ciphers NONE-OF-THESE\n", [9], "knows no cipher", True),
    "look-around in a category": (
        "<bounce-category-patterns>\n/user (?!known)/ bad-mailbox\n</bounce-category-patterns>\n", [10], "rule of its own above", False,
    ),
    "damaged category": (
        "<bounce-category-patterns>\n/(user|mailbox)\n(has|been)?/\n/ other\n/a/ b\n</bounce-category-patterns>\n", [10, 11, 12], "", False,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "lines", "words", "stays"), CASES.values(), ids=CASES)
def test_each_mistake_at_its_line(text: str, lines: list[int], words: str, stays: bool) -> None:
    result = loads(MINIMUM + text, "config", offline=True)
    assert result.settings is None
    assert [problem.line for problem in result.errors] == lines
    assert any(words in f"{problem.message} {problem.expected} {problem.hint}" for problem in result.errors)
    tolerant = loads(MINIMUM + text, "config", offline=True, tolerant=True)
    assert (tolerant.settings is None) == stays
    if not stays:
        assert [problem.line for problem in tolerant.problems if problem.line and problem.level == "warning"][-len(lines) :] == lines


def test_the_minimum_is_sound() -> None:
    assert not [problem for problem in loads(MINIMUM, "config", offline=True).problems if problem.line]


def _listed(readme: str) -> dict[str, set[int]]:
    """File -> lines of which one at least must be told, out of the table of the README."""
    found: dict[str, set[int]] = {}
    for row in readme.splitlines():
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        if len(cells) < 3 or not cells[0][:2].isdigit():
            continue
        lines: set[int] = set()
        for part in cells[1].replace(" or ", ",").split(","):
            first, _, last = part.strip().partition("–")
            lines |= set(range(int(first), int(last or first) + 1))
        found[cells[0]] = lines
    return found


TOLERATED = ("01", "09", "12", "15")


def test_the_shared_bad_files(shared: Path) -> None:
    folder = shared / "powermta-configs" / "bad"
    listed = _listed((folder / "README.md").read_text())
    files = sorted(folder.glob("*.conf"))
    assert [file.stem for file in files] == sorted(listed)
    for file in files:
        errors = {problem.line for problem in load(file, offline=True).errors}
        assert errors <= listed[file.stem], file
        assert errors, file
        if file.stem.startswith("21"):
            assert errors == {10, 11, 13}
        tolerant = load(file, offline=True, tolerant=True)
        assert (tolerant.settings is not None) == (file.stem[:2] in TOLERATED), file
        assert {problem.line for problem in tolerant.problems if problem.line} & listed[file.stem]
