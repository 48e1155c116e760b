"""TLS reports (RFC 8460): counted by shard and day, over restarts; sent once a day by mail and by HTTPS, to who asked."""

from __future__ import annotations

import asyncio
import base64
import email
import gzip
import json
from email import policy as email_policy
from pathlib import Path
from random import Random

import pytest
import structlog
from structlog.testing import capture_logs
from tests.engine.transport_town import Authority

from postwright.engine import tls_reports
from postwright.engine.report_sender import ReportSender, Submitter
from postwright.engine.tls_reports import DAY, MOST_DOMAINS, MOST_ROWS, Counted, TlsReports
from postwright.policy.mta_sts import StsPolicy
from postwright.policy.tls_report import Row
from postwright.testing.fake_clock import FakeClock
from postwright.testing.fake_resolver import FakeResolver

START = 20_000 * DAY + 3600.0
WHO = Submitter("relay.example", "Relay Ltd", "tls@relay.example", "mailto:tls@relay.example")
BAD = Row("certificate-expired", "192.0.2.1", "mx.a.example", "198.51.100.1", "certificate has expired")


def reports(folder: Path, clock: FakeClock, shard: int = 0) -> TlsReports:
    return TlsReports(clock, shard, folder / "counts", structlog.get_logger())


def test_shards_and_restarts_add_up(tmp_path: Path) -> None:
    clock = FakeClock(START)
    first, second = reports(tmp_path, clock), reports(tmp_path, clock, 1)
    for one in (first, second):
        one.count("a.example", None, Row(""))
        one.count_as("a.example", "sts", BAD)
        one.close()
    again = reports(tmp_path, clock)
    again.count_as("a.example", "sts", BAD)
    again.learn("a.example", {}, StsPolicy("enforce", 86400, ("mx.a.example",)))
    again.close()
    day = int(START // DAY)
    assert tls_reports.days(tmp_path / "counts") == {day: [0, 1]}
    found = tls_reports.merged(tmp_path / "counts", day, [0, 1])["a.example"]
    assert found["no-policy-found"].successes == 2
    assert found["sts"].failures == [(BAD, 3)]
    assert found["sts"].hosts == ("mx.a.example",)


async def test_a_new_day_begins_at_midnight_utc(tmp_path: Path) -> None:
    clock = FakeClock(START)
    counting = reports(tmp_path, clock)
    counting.count("a.example", None, Row(""))
    await clock.advance(DAY)
    counting.count("b.example", None, Row(""))
    counting.close()
    folder, day = tmp_path / "counts", int(START // DAY)
    assert set(tls_reports.read(folder, day, 0)) == {"a.example"}
    assert set(tls_reports.read(folder, day + 1, 0)) == {"b.example"}


def test_bounds(tmp_path: Path) -> None:
    counting = reports(tmp_path, FakeClock(START))
    for number in range(MOST_DOMAINS + 5):
        counting.count(f"d{number}.example", None, Row(""))
    for number in range(MOST_ROWS + 5):
        counting.count_as("d0.example", "sts", Row("validation-failure", reason=str(number)))
    counting.close()
    found = tls_reports.read(tmp_path / "counts", int(START // DAY), 0)
    assert len(found) == MOST_DOMAINS
    assert len(found["d0.example"]["sts"].failures) == MOST_ROWS


def test_a_file_that_is_broken_counts_nothing(tmp_path: Path) -> None:
    (tmp_path / "1.0.json").write_bytes(b'{"a": 1')
    assert tls_reports.merged(tmp_path, 1, [0]) == {}


class Post:
    """Takes reports by mail and by HTTPS, in place of the relay and of a receiver's web server."""

    def __init__(self, folder: Path, records: dict[str, str]) -> None:
        self.clock = FakeClock(START)
        self.folder = folder / "counts"
        self.mails: list[tuple[str, bytes]] = []
        zone = {f"_smtp._tls.{domain}": {"TXT": [text]} for domain, text in records.items()}
        self.resolver = FakeResolver(zone, clock=self.clock)
        counting = reports(folder, self.clock)
        for domain in ("a.example", "b.example"):
            counting.count(domain, None, Row(""))
            counting.count_as(domain, "sts", BAD)
        counting.learn("a.example", {}, StsPolicy("enforce", 86400, ("mx.a.example",)))
        counting.close()

    def sender(self, ca_file: str = "") -> ReportSender:
        async def mail(to: str, content: bytes) -> None:
            self.mails.append((to, content))

        return ReportSender(self.clock, lambda: self.resolver, self.folder, structlog.get_logger(), WHO, mail, Random(1), ca_file)


@pytest.mark.directive("tlsrpt", "tlsrpt-from", "tlsrpt-contact", "tlsrpt-organization")
async def test_the_mail(tmp_path: Path) -> None:
    post = Post(tmp_path, {"a.example": "v=TLSRPTv1; rua=mailto:reports@a.example"})  # b.example asks for none
    await post.sender().send_ended()
    assert not post.mails  # the day is not over
    await post.clock.advance(DAY)
    await post.sender().send_ended()
    [(to, content)] = post.mails
    assert to == "reports@a.example"
    assert b"\n" not in content.replace(b"\r\n", b"")
    message = email.message_from_bytes(content, policy=email_policy.default)
    assert message["From"] == "tls@relay.example"
    assert message["TLS-Report-Domain"] == "a.example"
    assert message["TLS-Report-Submitter"] == "relay.example"
    assert message["TLS-Required"] == "No"
    assert message["Subject"].startswith("Report Domain: a.example Submitter: relay.example Report-ID: <")
    assert (message.get_content_type(), message.get_param("report-type")) == ("multipart/report", "tlsrpt")
    text, report = message.iter_parts()
    assert text.get_content_type() == "text/plain"
    assert report.get_content_type() == "application/tlsrpt+gzip"
    assert report.get_filename() == f"relay.example!a.example!{20_000 * DAY}!{20_001 * DAY - 1}!20000.a.example.json.gz"
    assert json.loads(gzip.decompress(base64.b64decode(report.get_payload()))) == {
        "organization-name": "Relay Ltd",
        "date-range": {"start-datetime": "2024-10-04T00:00:00Z", "end-datetime": "2024-10-04T23:59:59Z"},
        "contact-info": "mailto:tls@relay.example",
        "report-id": "20000.a.example",
        "policies": [
            {
                "policy": {"policy-type": "no-policy-found", "policy-domain": "a.example"},
                "summary": {"total-successful-session-count": 1, "total-failure-session-count": 0},
            },
            {
                "policy": {
                    "policy-type": "sts",
                    "policy-domain": "a.example",
                    "policy-string": ["version: STSv1", "mode: enforce", "mx: mx.a.example", "max_age: 86400"],
                    "mx-host": ["mx.a.example"],
                },
                "summary": {"total-successful-session-count": 0, "total-failure-session-count": 1},
                "failure-details": [
                    {
                        "result-type": "certificate-expired",
                        "sending-mta-ip": "192.0.2.1",
                        "receiving-mx-hostname": "mx.a.example",
                        "receiving-ip": "198.51.100.1",
                        "failed-session-count": 1,
                        "failure-reason-code": "certificate has expired",
                    }
                ],
            },
        ],
    }
    assert not list(post.folder.glob("*.json"))  # told once
    await post.sender().send_ended()
    assert len(post.mails) == 1


@pytest.mark.directive("tlsrpt")
async def test_by_https(tmp_path: Path) -> None:
    taken: list[tuple[str, bytes]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        size = int(next(line for line in head.lower().splitlines() if line.startswith("content-length:")).split()[1])
        taken.append((head, await reader.readexactly(size)))
        writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    authority = Authority(tmp_path)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=authority.issue("localhost").context)
    port = server.sockets[0].getsockname()[1]
    post = Post(tmp_path, {"b.example": f"v=TLSRPTv1;rua=https://localhost:{port}/v1/tlsrpt"})
    await post.clock.advance(DAY)
    with capture_logs() as logs:
        await post.sender(authority.file).send_ended()
    server.close()
    [(head, body)] = taken
    assert head.startswith("POST /v1/tlsrpt HTTP/1.1\r\n")
    assert "content-type: application/tlsrpt+gzip" in head.lower()
    assert json.loads(gzip.decompress(body))["report-id"] == "20000.b.example"
    assert [line["event"] for line in logs] == ["a TLS report was taken"]
    assert not post.mails


def test_counted_merges() -> None:
    one, other = Counted(successes=1), Counted(("x",), ("h",), 2, [(BAD, 5)])
    one.merge(other)
    assert one == Counted(("x",), ("h",), 3, [(BAD, 5)])


