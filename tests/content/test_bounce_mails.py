"""The real bounces that flufl.bounce was made by: whom each is about, as its authors say, and no mail that is none is found to be one.

The mails (Apache-2.0) are no part of the project: `tests/system/install bounce-mails` takes them from the source archive.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest
from tests.conftest import skip_or_fail, system_cache

from postwright.engine.classify import sort_mail
from postwright.policy.bounce_pack import shipped

_row = re.compile(r"^    \('\w+', '(\w+\.txt)',\s*(\[[^\]]*\])", re.MULTILINE)

# Where we name somebody else, and why.
DIFFERENT = {
    "aol_01.txt": "It gives names without a domain, which flufl.bounce makes AOL's.",
    "dsn_01.txt": "Final-Recipient, as RFC 3464 section 2.3.2 has it; Original-Recipient is kept beside it.",
    "dsn_04.txt": "As dsn_01.",
    "dsn_17.txt": "As dsn_01.",
    "sendmail_01.txt": "One recipient, and the alias that it led to.",
    "simple_14.txt": "It went to one, and the reply names the mailbox that this one led to.",
    "yale_01.txt": "An advice about directories; it names nobody whom the mail did not reach.",
}


@pytest.fixture(scope="module")
def mails() -> Path:
    folder = system_cache() / "bounce-mails"
    if not (folder / "helpers.py").exists():
        skip_or_fail("real bounces are not here; to enable: tests/system/install bounce-mails")
    return folder / "data"


@pytest.fixture(scope="module")
def expected(mails: Path) -> dict[str, set[str]]:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for name, addresses in _row.findall((mails.parent / "helpers.py").read_text()):
        found[name] |= {address.decode().lower() for address in ast.literal_eval(addresses)}
    return dict(found)


def test_recipients(mails: Path, expected: dict[str, set[str]]) -> None:
    named = {name: addresses for name, addresses in expected.items() if addresses}
    assert len(named) == 109
    wrong = set()
    for name, addresses in named.items():
        found = sort_mail(shipped(), (mails / name).read_bytes())
        if {one.address.lower() for one in found.recipients} != addresses:
            wrong.add(name)
    assert wrong == DIFFERENT.keys()


def test_mails_that_report_nothing(mails: Path) -> None:
    kinds = {name: sort_mail(shipped(), (mails / name).read_bytes()).kind for name in ("groupwise_03.txt", "qmail_08.txt")}
    assert kinds == {"groupwise_03.txt": "nothing", "qmail_08.txt": "auto-reply"}
