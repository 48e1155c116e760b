"""ARC: the public suite of chains, and what it leaves out."""

from __future__ import annotations

from tests.content.arc_suite import VALIDATION, Case, cases
from tests.content.test_dkim_verify import mail_of

from postwright.content.arc import ArcVerdict, judge, read
from postwright.content.dkim_verify import Answer


def verdict(case: Case) -> ArcVerdict:
    mail = mail_of(case.message)
    chain = read(mail)
    names = chain.key_names if chain is not None else []
    return judge(mail, chain, {name: Answer((case.zone[name],) if name in case.zone else ()) for name in names})


def test_the_public_suite_of_chains() -> None:
    wrong = []
    for case in cases("validation"):
        found = verdict(case)
        # "": the newest seal says itself that the chain had failed, which is where the suite's authors stop
        wanted = str(case.test["cv"]).lower() or "fail"
        if found.state != wanted:
            wrong.append((case.name, wanted, found.state, found.reason, case.test.get("description")))
    assert wrong == []
    assert len(cases("validation")) == VALIDATION
