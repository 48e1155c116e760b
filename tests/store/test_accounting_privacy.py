"""`privacy-policy`: of the recipient's local part nothing is left in a row, and all else stays."""

from __future__ import annotations

import csv
import io
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postwright.model.digest import hmac_sha256, siphash
from postwright.model.privacy import Privacy
from postwright.model.record import Record
from postwright.store.accounting_rows import HeaderMap, RowForm, RowMaker

X = Privacy("redact", "X")


def row(privacy: Privacy | None, kind: str = "b", fields: tuple[str, ...] = ("*",), maps: HeaderMap = (), **record: Any) -> dict[str, str]:
    form = RowForm((kind,), {kind: fields}, header_map=maps, privacy=privacy.fingerprint if privacy else "")
    maker = RowMaker(form, privacy)
    data = maker.header_line + maker.row(Record(kind, 1.0, **record))
    return next(csv.DictReader(io.StringIO(data.decode(), newline="")))


@pytest.mark.directive("privacy-policy")
@pytest.mark.parametrize(
    ("privacy", "stands"),
    [
        (None, "Bob.Smith"),
        (Privacy("redact"), "..."),
        (X, "X"),
        (Privacy("siphash", "", b"secret"), siphash(b"secret", "bob.smith")),
        (Privacy("hmac-sha256", "", b"secret"), hmac_sha256(b"secret", "bob.smith")),
    ],
)
def test_each_policy(privacy: Privacy | None, stands: str) -> None:
    found = row(privacy, rcpt="Bob.Smith@a.example", orcpt="rfc822;Bob.Smith@a.example", orig="news@s.example", queue="a.example/v")
    assert found["rcpt"] == f"{stands}@a.example"
    assert found["orcpt"] == f"rfc822;{stands}@a.example"
    assert (found["orig"], found["queue"]) == ("news@s.example", "a.example/v")


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("smtp;550 5.1.1 <bob@a.example>: no such user", "smtp;550 5.1.1 <X@a.example>: no such user"),
        ("smtp;550 BOB@A.EXAMPLE unknown", "smtp;550 X@A.EXAMPLE unknown"),
        ("smtp;550 5.1.1 user bob unknown, bobby is not he", "smtp;550 5.1.1 user X unknown, bobby is not he"),
        ("smtp;550 (bob) does not exist.", "smtp;550 (X) does not exist."),
        ("smtp;550 no bob.", "smtp;550 no X."),
        ("smtp;550 no such user: bob.smith a-bob bob_ rob.bob bob.", "smtp;550 no such user: bob.smith a-bob bob_ rob.bob X."),
        ("smtp;550 \u0130 bob@a.example", "smtp;550 i\u0307 X@a.example"),
        ("x-pmta;bounce-queue", "x-pmta;bounce-queue"),
    ],
)
def test_what_a_reply_repeats(said: str, shown: str) -> None:
    assert row(X, rcpt="bob@a.example", dsn_diag=said)["dsnDiag"] == shown


def test_a_local_part_that_looks_like_a_reply_code_takes_none_away() -> None:
    assert row(X, rcpt="550@a.example", dsn_diag="smtp;550 5.1.1 550 unknown")["dsnDiag"] == "smtp;550 5.1.1 X unknown"


def test_verp_envelope_ids_and_header_fields() -> None:
    found = row(
        X,
        fields=("*", "header_To", "header_X-Id"),
        rcpt="bob@a.example",
        orig="news-bob=a.example@s.example",
        env_id="7-bob@a.example",
        job_id="bob",
        headers={"to": '"Bob" <Bob@a.example>', "x-id": "q-bob=a.example"},
    )
    assert (found["orig"], found["envId"]) == ("news-X=a.example@s.example", "7-X@a.example")
    assert (found["header_To"], found["header_X-Id"]) == ('"X" <X@a.example>', "q-X=a.example")
    assert found["jobId"] == "bob"  # a job of that name names nobody


@pytest.mark.parametrize("orcpt", ['rfc822;"bob;smith"@a.example', '"bob;smith"@a.example'])
def test_a_semicolon_in_quotes_is_part_of_the_name(orcpt: str) -> None:
    found = row(X, rcpt='"bob;smith"@a.example', orcpt=orcpt)
    assert (found["rcpt"], found["orcpt"]) == ("X@a.example", orcpt.replace('"bob;smith"', "X"))


@pytest.mark.parametrize("column", ["userString", "vmta", "jobId", "orcpt"])
def test_a_header_field_in_the_place_of_any_column(column: str) -> None:
    fields = ("*", "userString")
    found = row(X, "d", fields, (("d", "header_X-To", column),), rcpt="bob@a.example", headers={"x-to": "bob@a.example"})
    assert found[column] == "X@a.example"


def test_a_record_without_a_recipient() -> None:
    assert row(X, "tq", dsn_diag="smtp;421 bob@a.example")["dsnDiag"] == "smtp;421 bob@a.example"
    assert row(X, rcpt="", dsn_diag="smtp;421 x")["rcpt"] == ""


locals_ = st.text(string.ascii_letters + string.digits + ".+-_!#{}=/", min_size=6, max_size=20).filter(lambda text: not text.isdigit())


@given(locals_, st.sampled_from(["<{}@d.example> no", "user {} unknown", "{}@D.example", "x-{}=d.example"]))
def test_nothing_of_it_is_left(local: str, said: str) -> None:
    secret = Privacy("siphash", "", b"k")
    found = row(secret, rcpt=f"{local}@d.example", orcpt=f"rfc822;{local}@d.example", dsn_diag="smtp;550 5.1.1 " + said.format(local))
    whole = ",".join(found.values())
    assert f"{local}@" not in whole
    assert f"{local}=" not in whole
    assert f" {local} " not in whole
    assert siphash(b"k", local.lower()) in found["dsnDiag"]
