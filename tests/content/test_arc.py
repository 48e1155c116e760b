"""ARC: the public suite of chains, and what it leaves out."""

from __future__ import annotations

from functools import cache

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.content.arc_suite import SIGNING, VALIDATION, Case, cases
from tests.content.test_dkim_verify import mail_of

from postwright.content.arc import ArcVerdict, judge, read
from postwright.content.arc_seal import own_results, seal, signed_names, unsealed
from postwright.content.dkim_canon import header_fields
from postwright.content.dkim_key import SigningKey, private_key
from postwright.content.dkim_sign import Style
from postwright.content.dkim_tags import tags
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


def sealed(case: Case, message: bytes | None = None) -> bytes:
    mail = mail_of(case.message if message is None else message)
    chain = read(mail)
    names = chain.key_names if chain is not None else []
    found = judge(mail, chain, {name: Answer((case.zone[name],) if name in case.zone else ()) for name in names})
    key = private_key(case.scenario["privatekey"].encode())
    signed = [name.strip().encode() for name in case.test["sig-headers"].split(":")]
    of = case.scenario["sel"], case.scenario["domain"], case.test["srv-id"]
    return seal(mail, chain, found, key, *of, signed, float(case.test["t"]))


def unfolded(text: str | bytes) -> dict[str, bytes]:
    """Tags without any blanks: signatures are folded as one likes."""
    octets = text.encode() if isinstance(text, str) else text
    return {name: b"".join(value.split()) for name, value in tags(octets).items()}


def test_the_public_suite_of_seals() -> None:
    wrong = []
    for case in cases("sign"):
        made = {field.name: field.raw.partition(b":")[2] for field in header_fields(sealed(case))}
        expected = {name: case.test[short] for name, short in ((b"arc-seal", "AS"), (b"arc-message-signature", "AMS")) if case.test[short]}
        results = b" ".join(made.get(b"arc-authentication-results", b"").split()).decode()
        if {name: unfolded(made[name]) for name in made if name in expected} != {name: unfolded(text) for name, text in expected.items()}:
            wrong.append((case.name, made, expected))
        if results != " ".join(case.test["AAR"].split()) or len(made) != (3 if expected else 0):
            wrong.append((case.name, results, case.test["AAR"]))
    assert wrong == []
    assert len(cases("sign")) == SIGNING


MESSAGE = b"""Authentication-Results: lists.example.org; spf=pass smtp.mfrom=jqd@d1.example; dmarc=pass\r
MIME-Version: 1.0\r
From: John Q Doe <jqd@d1.example>\r
To: arc@dmarc.example\r
Subject: Example 1\r
Date: Thu, 14 Jan 2015 15:00:01 -0800\r
\r
Hey gang,\r
This is a test message.\r
"""


@cache
def ours() -> Case:
    """A message, and who seals it: what holds of it is tested without the suite, too."""
    key = SigningKey(rsa.generate_private_key(65537, 1024))
    test = {"sig-headers": "from:to:date:subject:mime-version", "srv-id": "lists.example.org", "t": 12345}
    scenario = {"privatekey": key.pem().decode(), "sel": "dummy", "domain": "example.org"}
    return Case("ours", MESSAGE, {"dummy._domainkey.example.org": key.record().encode()}, test, scenario)


def hops(count: int, message: bytes = MESSAGE) -> tuple[Case, bytes]:
    """A message that went through so many relays, each sealing it."""
    case = ours()
    for _ in range(count):
        message = sealed(case, message) + message
    return case, message


def state(case: Case, message: bytes) -> str:
    mail = mail_of(message)
    chain = read(mail)
    names = chain.key_names if chain is not None else []
    return judge(mail, chain, {name: Answer((case.zone[name],)) for name in names}).state


def theirs(case: Case, message: bytes) -> str:
    """dkimpy's word; where a broken chain breaks it, too, that is no pass."""
    try:
        found, _, _ = dkim.arc_verify(message, dnsfunc=lambda key, timeout=5: case.zone.get(key.decode().rstrip(".")))
    except IndexError:
        return "fail"
    return str(found.decode())


def test_dkimpy_reads_a_chain_of_ours_and_sees_what_is_changed() -> None:
    case, message = hops(3)
    states = {"whole": message, "body": message.replace(b"Hey gang", b"Hey crowd"), "seal": message.replace(b"cv=pass", b"cv=none", 1)}
    states["results"] = message.replace(b"dmarc=pass", b"dmarc=fail", 1)
    found = {}
    for name, changed in states.items():
        found[name] = (theirs(case, changed), state(case, changed))
    assert found == {"whole": ("pass", "pass"), "body": ("fail", "fail"), "seal": ("fail", "fail"), "results": ("fail", "fail")}


def test_a_chain_that_failed_is_sealed_once_and_never_again() -> None:
    case, message = hops(1)
    broken = message.replace(b"Hey gang", b"Hey crowd")
    second = sealed(case, broken)
    assert b"cv=fail" in second
    assert sealed(case, second + broken) == b""
    torn = message.replace(b"ARC-Seal:", b"X-Seal:")
    assert state(case, torn) == "fail"
    assert sealed(case, torn) == b"", "nobody can tell which instance comes next"


def test_fifty_sets_and_no_more() -> None:
    case, message = hops(2)
    assert state(case, message.replace(b"i=2;", b"i=51;")) == "fail"
    assert state(case, message.replace(b"i=2;", b"i=0;")) == "fail"


def test_results_without_end() -> None:
    assert state(*hops(1, MESSAGE.replace(b"dmarc=pass", b"dmarc=pass (%b)" % (b"x" * 10000)))) == "pass"
    case, _ = hops(0)
    assert sealed(case, MESSAGE.replace(b"dmarc=pass", b"dmarc=pass (%b)" % (b"x" * 20000))) == b"", "nobody would read them"
    _, message = hops(1)
    chain = read(mail_of(message.replace(b"dmarc=pass", b"dmarc=pass (%b)" % (b"x" * 20000), 1)))
    assert chain is not None
    assert chain.problem == "set 1: the results are too long"


def test_lines_of_a_set_stay_short() -> None:
    """RFC 5322 section 2.1.1. Four hundred fields that are signed, and what ten signatures came to, with their look-ups."""
    results = "; ".join(f"dkim=pass {' '.join([f'(look-up {number})'] * 90)} header.d=d{number}.example" for number in range(9))
    message = MESSAGE.replace(b"spf=pass smtp.mfrom=jqd@d1.example", results.encode())
    message = b"X-Long-Name-Of-A-Field: 1\r\n" * 150 + message
    case = ours()
    names = ":".join(["from", *["x-long-name-of-a-field"] * 150])
    long = Case(case.name, message, case.zone, {**case.test, "sig-headers": names}, case.scenario)
    made = sealed(long)
    assert max(map(len, made.split(b"\r\n"))) <= 998
    assert state(case, made + message) == theirs(case, made + message) == "pass"
    assert unfolded(header_fields(made)[1].raw.partition(b":")[2])["h"].count(b":") == 150


def test_what_a_message_signature_signs() -> None:
    header = b"ARC-Seal: i=1\r\nDKIM-Signature: a\r\nFrom: a\r\nAuthentication-Results: b\r\nX-Arc: 1\r\nDKIM-Signature: c\r\n\r\n"
    style = Style(wanted=lambda name: True, never_added=(b"from", b"arc-seal"))
    assert signed_names(mail_of(header), style) == [b"from", b"x-arc", b"dkim-signature", b"dkim-signature", b"from"]


def test_a_set_that_is_made_in_steps_and_a_chain_that_came_between() -> None:
    _, message = hops(1)
    mail = mail_of(message)
    chain = read(mail)
    assert unsealed(mail, chain, "none", "rsa", "s", "a.example", "us.example", [b"from"], 1.0) is None, "we saw no chain, and there is one"
    gone = unsealed(mail_of(MESSAGE), None, "pass", "rsa", "s", "a.example", "us.example", [b"from"], 1.0)
    assert gone is not None
    assert b"cv=none" in gone.seal.raw, "it was there and has been removed: a new one begins"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (b"us.example; spf=pass (a; b) x=y;\r\n dkim=none", b"spf=pass (a; b) x=y; dkim=none"),
        (b"us.example", b"none"),
        (b"other.example; spf=pass", b"none"),
    ],
)
def test_our_own_results(value: bytes, said: bytes) -> None:
    assert own_results(mail_of(b"Authentication-Results: " + value + b"\r\n\r\n"), "us.example") == said
