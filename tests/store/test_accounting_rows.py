"""What a row of an accounting file looks like: PowerMTA's columns, names, order and value forms (powermta.md section 5)."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postwright.model.columns import LONG_NAMES, columns, union
from postwright.model.privacy import Privacy
from postwright.model.record import Record, Remote
from postwright.store.accounting_rows import HeaderMap, RowForm, RowMaker, quoted

DELIVERY = (
    "type,timeLogged,timeQueued,orig,rcpt,orcpt,dsnAction,dsnStatus,dsnDiag,dsnMta,bounceCat,srcType,srcMta,dlvType,dlvSourceIp,"
    "dlvDestinationIp,dlvEsmtpAvailable,dlvSize,vmta,jobId,envId,queue,vmtaPool"
)
SECOND = 1549662845  # 2019-02-08 21:54:05 UTC


def delivery(**more: Any) -> Record:
    fields: dict[str, Any] = {
        "type": "d", "time_logged": SECOND + 0.9, "time_queued": SECOND - 3.2, "orig": "s@src.example", "rcpt": "r@dest.example",
        "orcpt": "rfc822;r@dest.example", "dsn_action": "relayed", "dsn_status": "2.0.0", "dsn_diag": "smtp;250 ok",
        "dsn_mta": "mx.dest.example (192.0.2.9)", "src_type": "smtp", "src_mta": "c.example (192.0.2.7)", "dlv_type": "smtp",
        "dlv_source_ip": "192.0.2.1", "dlv_destination_ip": "192.0.2.9", "dlv_esmtp_available": "PIPELINING,8BITMIME", "dlv_size": 4096,
        "vmta": "v1", "job_id": "j1", "env_id": "e1", "queue": "dest.example/v1", "vmta_pool": "p1",
    }  # fmt: skip
    return Record(**(fields | more))


def row_maker(
    kinds: tuple[str, ...],
    fields: dict[str, tuple[str, ...]],
    iso: bool = True,
    user_string: str = "",
    header_map: HeaderMap = (),
    privacy: Privacy | None = None,
) -> RowMaker:
    return RowMaker(RowForm(kinds, fields, iso, user_string, header_map, privacy.fingerprint if privacy else ""), privacy)


def parsed(maker: RowMaker, *records: Record) -> list[dict[str, str]]:
    """The rows as a reader of CSV has them."""
    data = maker.header_line + b"".join([maker.row(record) for record in records])
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


@pytest.mark.parametrize(
    ("kinds", "header"),
    [
        (("d",), DELIVERY),
        (("b",), DELIVERY),
        (("t",), DELIVERY),
        (("d", "b", "t"), DELIVERY),
        (("tq",), "type,timeLogged,dsnStatus,dsnDiag,dsnMta,dlvType,dlvSourceIp,dlvDestinationIp,vmta,queue"),
        (("r",), "type,timeLogged,orig,rcpt,orcpt,srcType,srcMta,rcvSourceIp,rcvDestinationIp,vmta,jobId,envId,vmtaPool"),
        (("r", "d", "b"), DELIVERY + ",rcvSourceIp,rcvDestinationIp"),
        (("rb", "d"), DELIVERY + ",dsnReportingMta,format"),
    ],
)
def test_default_columns(kinds: tuple[str, ...], header: str) -> None:
    assert row_maker(kinds, {}).header_line == header.encode() + b"\r\n"


def test_a_delivery_row_to_the_octet() -> None:
    assert row_maker(("d",), {}).row(delivery()) == (
        b"d,2019-02-08 21:54:05+0000,2019-02-08 21:54:01+0000,s@src.example,r@dest.example,rfc822;r@dest.example,relayed,2.0.0 (success),"
        b'smtp;250 ok,mx.dest.example (192.0.2.9),,smtp,c.example (192.0.2.7),smtp,192.0.2.1,192.0.2.9,"PIPELINING,8BITMIME",4096,v1,j1,e1,'
        b"dest.example/v1,p1\r\n"
    )


def test_value_forms() -> None:
    (row,) = parsed(row_maker(("b",), {}), delivery(type="b", dsn_status="5.1.1", dlv_size=-1, time_queued=0.0, bounce_cat="bad-mailbox"))
    assert row["dsnStatus"] == "5.1.1 (bad destination mailbox address)"
    assert row["dlvSize"] == row["timeQueued"] == ""
    assert row["bounceCat"] == "bad-mailbox"
    assert row["dlvEsmtpAvailable"] == "PIPELINING,8BITMIME"


def test_unix_times_when_iso_times_is_no() -> None:
    (row,) = parsed(row_maker(("d",), {}, iso=False), delivery())
    assert (row["timeLogged"], row["timeQueued"]) == ("1549662845", "1549662841")


def test_foreign_columns_stay_empty() -> None:
    maker = row_maker(("d", "r"), {})
    sent, received = parsed(maker, delivery(rcv_source_ip="192.0.2.50"), delivery(type="r", rcv_source_ip="192.0.2.50"))
    assert sent["rcvSourceIp"] == ""
    assert received["rcvSourceIp"] == "192.0.2.50"
    assert received["dsnStatus"] == received["queue"] == received["timeQueued"] == received["dlvSize"] == ""
    assert received["rcpt"] == "r@dest.example"


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        (None, DELIVERY),
        ((), DELIVERY),
        (("*",), DELIVERY),
        (("rcpt", "timeLogged"), "type,rcpt,timeLogged"),
        (("RCPT", "TYPE", "TimeLogged"), "type,rcpt,timeLogged"),
        (("*", "dlvTlsProtocol", "dlvTlsCipher"), DELIVERY + ",dlvTlsProtocol,dlvTlsCipher"),
        (("*", "!dsndiag", "!VMTAPOOL", "!unknown"), DELIVERY.replace("dsnDiag,", "").replace(",vmtaPool", "")),
        (("!rcpt", "rcpt"), "type,rcpt"),
        (("rcpt", "HEADER_X-Thing", "header_Subject"), "type,rcpt,header_X-Thing,header_Subject"),
        (("!type", "rcpt"), "type,rcpt"),
    ],
)
def test_record_fields(wish: tuple[str, ...] | None, expected: str) -> None:
    assert ",".join(columns("d", wish)) == expected


def test_columns_on_request() -> None:
    fields = {"d": ("rcpt", "dlvTlsProtocol", "dlvTlsCipher", "rcvSmtpUser", "totalSecondsQueued", "timeFirstAttempt", "userString")}
    record = delivery(
        dlv_tls_protocol="TLSv1.3", dlv_tls_cipher="AES", rcv_smtp_user="joe", time_first_attempt=SECOND - 1.0, time_queued=SECOND - 60.0
    )
    (row,) = parsed(row_maker(("d",), fields, user_string="site 1"), record)
    assert list(row.values()) == ["d", "r@dest.example", "TLSv1.3", "AES", "joe", "60", "2019-02-08 21:54:04+0000", "site 1"]


def test_each_type_has_its_own_wish() -> None:
    maker = row_maker(("d", "b"), {"d": ("rcpt", "vmta"), "b": ("rcpt", "dsnDiag")})
    assert maker.header == ("type", "rcpt", "vmta", "dsnDiag")
    sent, bounced = parsed(maker, delivery(), delivery(type="b"))
    assert sent == {"type": "d", "rcpt": "r@dest.example", "vmta": "v1", "dsnDiag": ""}
    assert bounced == {"type": "b", "rcpt": "r@dest.example", "vmta": "", "dsnDiag": "smtp;250 ok"}


def test_every_type_has_a_long_name_and_a_place_in_the_union() -> None:
    for short in LONG_NAMES.values():
        assert set(columns(short, None)) <= set(union(LONG_NAMES.values(), {}))


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("plain", "plain"),
        ("a,b", '"a,b"'),
        ('say "x"', '"say ""x"""'),
        ("two\r\nlines\nand\rmore", "two  lines and more"),
        ("a\0b", "a b"),
        ('"\r\n,\0', '"""  , "'),
        ("  blanks ", "  blanks "),
        ("=HYPERLINK(1)", "=HYPERLINK(1)"),
    ],
)
def test_quoting(text: str, field: str) -> None:
    assert quoted(text) == field


@pytest.mark.parametrize("evil", ["\r\nd,forged", '","', '"', "\0", "a\nb", "\r", "é\ud800\x85\u2028x", ",,,,", ""])
def test_a_peer_cannot_make_a_row_of_its_own(evil: str) -> None:
    maker = row_maker(("d", "r"), {})
    octets = maker.row(delivery(dsn_diag=f"smtp;550 {evil}", orcpt=evil, env_id=evil))
    assert octets.count(b"\n") == octets.count(b"\r") == 1
    assert octets.endswith(b"\r\n")
    assert b"\0" not in octets
    (row,) = parsed(maker, delivery(dsn_diag=f"smtp;550 {evil}", orcpt=evil, env_id=evil))
    tamed = evil.replace("\r", " ").replace("\n", " ").replace("\0", " ").replace("\ud800", "\\ud800")
    assert (row["dsnDiag"], row["orcpt"], row["envId"]) == (f"smtp;550 {tamed}", tamed, tamed)
    assert row["vmtaPool"] == "p1"


@pytest.mark.parametrize(
    ("kinds", "fields", "header"),
    [
        (
            ("f",),
            {},
            "type,timeLogged,repSourceIp,feedbackType,format,userAgent,envId,orig,rcpt,reportingMta,dlvSourceIp,reportedDomain,"
            "header_From,header_Return-Path,header_X-job,header_Subject",
        ),
        # as a live file of several types has them: d, b, t; their header fields; what only f has; what only r has; what only rb has
        (
            ("r", "rb", "f", "t", "b", "d"),
            {"d": ("*", "header_X-Id"), "b": ("*", "header_X-Id")},
            f"{DELIVERY},header_X-Id,repSourceIp,feedbackType,format,userAgent,reportingMta,reportedDomain,header_From,"
            "header_Return-Path,header_X-job,header_Subject,rcvSourceIp,rcvDestinationIp,dsnReportingMta",
        ),
        (("d", "b"), {"d": ("header_A", "rcpt"), "b": ("rcpt", "header_B", "vmta")}, "type,rcpt,vmta,header_A,header_B"),
        # the example of the vendor's guide
        (
            ("d", "b"),
            {"d": ("timeLogged", "orig", "rcpt", "dlvSourceIp"), "b": ("timeLogged", "orig", "rcpt", "bounceCat")},
            "type,timeLogged,orig,rcpt,dlvSourceIp,bounceCat",
        ),
        (("f",), {"f": ("*", "!header_from", "!header_return-path", "arf_Source-Ip", "header_x-a", "HEADER_X-Job")},
            "type,timeLogged,repSourceIp,feedbackType,format,userAgent,envId,orig,rcpt,reportingMta,dlvSourceIp,reportedDomain,"
            "header_X-job,header_Subject,arf_Source-Ip,header_x-a,header_X-Job"),
    ],
)  # fmt: skip
def test_order_of_several_types(kinds: tuple[str, ...], fields: dict[str, tuple[str, ...]], header: str) -> None:
    assert ",".join(row_maker(kinds, fields).header) == header


def test_a_feedback_report_to_the_octet() -> None:
    remote = Remote("arf", "", "192.0.2.5", "abuse", "AOL SComp", "mail1.example", "src.example", {"source-ip": "192.0.2.7"})
    record = Record("f", SECOND, env_id="e", orig="o@src.example", rcpt="r@aol.example", headers={"subject": "hi"}, remote=remote)
    maker = row_maker(("f",), {"f": ("*", "arf_Source-IP", "arf_None")})
    assert maker.row(record) == (
        b"f,2019-02-08 21:54:05+0000,192.0.2.5,abuse,arf,AOL SComp,e,o@src.example,r@aol.example,mail1.example,,src.example,,,,hi,"
        b"192.0.2.7,\r\n"
    )


def test_a_remote_bounce_to_the_octet() -> None:
    remote = Remote("dsn", "us.example")
    common = {"orig": "o@s.example", "rcpt": "r@d.example", "dsn_status": "5.1.1", "bounce_cat": "bad-mailbox", "remote": remote}
    maker = row_maker(("rb", "rs"), {})
    assert maker.header_line == (
        b"type,timeLogged,orig,rcpt,orcpt,dsnStatus,dsnDiag,dsnMta,dsnReportingMta,bounceCat,srcType,srcMta,envId,format,dsnAction\r\n"
    )
    bounce = Record("rb", SECOND, dsn_action="failed", dsn_diag="smtp;550 no", src_type="smtp", src_mta="m (192.0.2.1)", **common)
    assert maker.row(bounce) == (
        b"rb,2019-02-08 21:54:05+0000,o@s.example,r@d.example,,5.1.1 (bad destination mailbox address),smtp;550 no,,us.example,bad-mailbox,"
        b"smtp,m (192.0.2.1),,dsn,\r\n"
    )
    status = Record("rs", SECOND, dsn_action="delayed", **common)
    assert parsed(maker, status)[0]["dsnAction"] == "delayed"


def test_the_first_header_that_is_there_stands_in_the_column() -> None:
    maps = (("d", "header_A", "RCPT"), ("d", "header_b", "rcpt"), ("b", "header_b", "orig"), ("d", "header_b", "queue"))
    maker = row_maker(("d", "b"), {"d": ("rcpt", "orig"), "b": ("rcpt", "orig")}, header_map=maps)
    first, second, bounced, bare = parsed(
        maker, delivery(headers={"a": "A", "b": "B"}), delivery(headers={"b": "B"}), delivery(type="b", headers={"b": "B"}), delivery()
    )
    assert [(row["rcpt"], row["orig"]) for row in (first, second, bounced, bare)] == [
        ("A", "s@src.example"), ("B", "s@src.example"), ("r@dest.example", "B"), ("r@dest.example", "s@src.example")
    ]  # fmt: skip


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(st.lists(words, min_size=8, max_size=8), st.dictionaries(st.sampled_from(["x-a", "subject"]), words), st.integers(1, 2**31))
def test_any_record_is_read_back_as_it_was(texts: list[str], headers: dict[str, str], second: int) -> None:
    orig, rcpt, orcpt, diag, job, env, user, esmtp = texts
    wish = ("*", "header_X-A", "header_Subject", "rcvSmtpUser")
    maker = row_maker(("d", "b"), {"d": wish, "b": wish}, iso=False)
    record = delivery(
        time_logged=float(second), orig=orig, rcpt=rcpt, orcpt=orcpt, dsn_diag=diag, job_id=job, env_id=env, rcv_smtp_user=user,
        dlv_esmtp_available=esmtp, headers=headers,
    )  # fmt: skip
    octets = maker.row(record)
    assert octets.count(b"\n") == 1
    (row,) = parsed(maker, record)
    names = ("orig", "rcpt", "orcpt", "dsnDiag", "jobId", "envId", "rcvSmtpUser", "dlvEsmtpAvailable")
    blank = str.maketrans("\r\n\0", "   ")
    assert [row[name] for name in names] == [text.translate(blank) for text in texts]
    assert [row["header_X-A"], row["header_Subject"]] == [headers.get(name, "").translate(blank) for name in ("x-a", "subject")]
    assert row["timeLogged"] == str(second)
