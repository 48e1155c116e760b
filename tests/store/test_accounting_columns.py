"""What a row of an accounting file looks like: PowerMTA's columns, names, order and value forms (powermta.md section 5)."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from postwright.model.record import Record
from postwright.store.accounting_columns import LONG_NAMES, RowMaker, columns, quoted, union

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
    assert RowMaker(kinds, {}).header_line == header.encode() + b"\r\n"


def test_a_delivery_row_to_the_octet() -> None:
    assert RowMaker(("d",), {}).row(delivery()) == (
        b"d,2019-02-08 21:54:05+0000,2019-02-08 21:54:01+0000,s@src.example,r@dest.example,rfc822;r@dest.example,relayed,2.0.0 (success),"
        b'smtp;250 ok,mx.dest.example (192.0.2.9),,smtp,c.example (192.0.2.7),smtp,192.0.2.1,192.0.2.9,"PIPELINING,8BITMIME",4096,v1,j1,e1,'
        b"dest.example/v1,p1\r\n"
    )


def test_value_forms() -> None:
    (row,) = parsed(RowMaker(("b",), {}), delivery(type="b", dsn_status="5.1.1", dlv_size=-1, time_queued=0.0, bounce_cat="bad-mailbox"))
    assert row["dsnStatus"] == "5.1.1 (bad destination mailbox address)"
    assert row["dlvSize"] == row["timeQueued"] == ""
    assert row["bounceCat"] == "bad-mailbox"
    assert row["dlvEsmtpAvailable"] == "PIPELINING,8BITMIME"


def test_unix_times_when_iso_times_is_no() -> None:
    (row,) = parsed(RowMaker(("d",), {}, iso=False), delivery())
    assert (row["timeLogged"], row["timeQueued"]) == ("1549662845", "1549662841")


def test_foreign_columns_stay_empty() -> None:
    maker = RowMaker(("d", "r"), {})
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
    (row,) = parsed(RowMaker(("d",), fields, user_string="site 1"), record)
    assert list(row.values()) == ["d", "r@dest.example", "TLSv1.3", "AES", "joe", "60", "2019-02-08 21:54:04+0000", "site 1"]


def test_each_type_has_its_own_wish() -> None:
    maker = RowMaker(("d", "b"), {"d": ("rcpt", "vmta"), "b": ("rcpt", "dsnDiag")})
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
    maker = RowMaker(("d", "r"), {})
    octets = maker.row(delivery(dsn_diag=f"smtp;550 {evil}", orcpt=evil, env_id=evil))
    assert octets.count(b"\n") == octets.count(b"\r") == 1
    assert octets.endswith(b"\r\n")
    assert b"\0" not in octets
    (row,) = parsed(maker, delivery(dsn_diag=f"smtp;550 {evil}", orcpt=evil, env_id=evil))
    tamed = evil.replace("\r", " ").replace("\n", " ").replace("\0", " ").replace("\ud800", "\\ud800")
    assert (row["dsnDiag"], row["orcpt"], row["envId"]) == (f"smtp;550 {tamed}", tamed, tamed)
    assert row["vmtaPool"] == "p1"
