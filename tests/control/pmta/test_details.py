"""One queue, domain, job; settings; addresses out of use; precached domains: trees and texts."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from xml.etree import ElementTree

import pytest

from postwright.control.config import loads
from postwright.control.pmta import details
from postwright.control.pmta.described import described
from postwright.control.pmta.forms import written
from postwright.engine.status import DisabledAddress
from postwright.engine.views.detail_facts import (
    DisabledView,
    DomainView,
    JobView,
    Link,
    PrecachedRow,
    PrecacheView,
    QueueView,
)
from postwright.engine.views.queues import QueueRow
from postwright.engine.views.sums import Sum
from postwright.engine.why_facts import Disabled, Limit, Why

AT = 1_700_000_000.0
ROW = QueueRow("a.example/vm1", 3, 2048, 1, False, "normal", 0.0, "", "QUEUE_CONNECTIONS", "max-smtp-out is reached", 1, 1, 1, "smtp")
WHY = Why(
    "a.example/vm1", "QUEUE_CONNECTIONS", "max-smtp-out of the queue is reached", "relay.conf:7", 3, 1, 1, 1, 1, None,
    [Limit("max-smtp-out of the queue is reached", 1, 1, -1.0, "relay.conf:7")], 12.5, "at this pace",
    disabled=[Disabled("192.0.2.9", AT, "by an operator")],
)  # fmt: skip

CONFIG = """
host-name relay.example
log-file relay.log
smtp-listener 127.0.0.1:2525
<virtual-mta V1>
    smtp-source-host 192.0.2.1 one.example
    max-smtp-out 7
</virtual-mta>
<domain x.example>
    auth-username foo
    auth-password geheim
    max-msg-rate 100/h
</domain>
"""


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_a_queue() -> None:
    answer = details.queue(QueueView(ROW, WHY, [Link("mx.a.example", "192.0.2.20", "192.0.2.1", 61.4, 17, True)]), AT)
    queue = json.loads(written(answer, "json"))["data"]["queue"]
    assert (queue["name"], queue["waitOrigin"], queue["inFlight"], queue["drainSeconds"]) == ("a.example/vm1", "relay.conf:7", 1, 12.5)
    assert queue["connection"] == [
        {"host": "mx.a.example", "ip": "192.0.2.20", "source": "192.0.2.1", "seconds": 61, "msg": 17, "busy": True}
    ]
    assert queue["disabledSource"] == [{"ip": "192.0.2.9", "until": "2023-11-14 22:13:20", "because": "by an operator"}]
    root = ElementTree.fromstring(written(answer, "xml"))
    assert root.findtext("data/queue/limit/max") == "1"
    text = written(answer, "text").splitlines()
    assert text[0] == "a.example/vm1: max-smtp-out of the queue is reached"
    assert any(line.split() == ["mx.a.example", "192.0.2.20", "192.0.2.1", "17", "61", "s"] for line in text)


def test_a_domain_and_a_job() -> None:
    domain = details.domain(DomainView(Sum("a.example", 3, 2048, 1, 2), [ROW]))
    data = json.loads(written(domain, "json"))["data"]
    assert data["domain"] == {"name": "a.example", "rcp": 3, "kb": 2.0, "conn": 1}
    assert [queue["name"] for queue in data["queue"]] == ["a.example/vm1"]
    assert written(domain, "text").splitlines()[-1] == "1 of 2 matching queues."
    job = details.job(JobView("spring", 3, 2048, True, [Sum("a.example/vm1", 3, 2048)]))
    assert json.loads(written(job, "json"))["data"] == {
        "job": {"id": "spring", "rcp": 3, "kb": 2.0, "paused": True},
        "queue": [{"name": "a.example/vm1", "rcp": 3, "kb": 2.0}],
    }
    assert written(job, "text").splitlines()[0] == "Job spring: 3 recipients, 2.0 kbytes, paused"


def test_settings_of_a_queue_name_values_and_lines_and_no_secret() -> None:
    settings = loads(CONFIG).settings
    assert settings is not None
    answer = details.settings(described(settings, "queue", {"queue": "X.example/v1"}))
    data = json.loads(written(answer, "json"))["data"]
    assert (data["name"], [one["title"] for one in data["section"]]) == ("x.example/V1", ["Virtual MTA Settings", "Queue Settings"])
    rows = {row["name"]: row for one in data["section"] for row in one["setting"]}
    assert (rows["max-msg-rate"]["value"], rows["max-msg-rate"]["line"]) == ("100/h", 12)
    assert list(rows)[3:] == sorted(list(rows)[3:])
    text = written(answer, "text")
    assert "Queue Settings for x.example/V1" in text
    assert "geheim" not in text + written(answer, "json") + written(answer, "xml")


def test_settings_of_a_virtual_mta_with_its_hosts() -> None:
    settings = loads(CONFIG).settings
    assert settings is not None
    answer = details.settings(described(settings, "vmta", {"vmta": "v1"}))
    root = ElementTree.fromstring(written(answer, "xml"))
    assert root.findtext("data/name") == "V1"
    assert [(row.findtext("sourceHostIP"), row.findtext("sourceHost")) for row in root.findall("data/table/row")] == [
        ("192.0.2.1", "one.example")
    ]
    assert [line.split() for line in answer.text if line.startswith("max-smtp-out ")] == [["max-smtp-out", "7"]]
    with pytest.raises(ValueError, match="there are: V1"):
        described(settings, "vmta", {"vmta": "v2"})


def test_addresses_out_of_use() -> None:
    rows = [DisabledAddress("a.example/vm1", "192.0.2.9", AT), DisabledAddress("b.example/vm1", "", 0.0)]
    answer = details.disabled(DisabledView(7, rows))
    assert ElementTree.fromstring(written(answer, "xml")).findtext("data/source/ip") == "192.0.2.9"
    lines = written(answer, "text").splitlines()
    assert lines[2].split() == ["a.example/vm1", "192.0.2.9", "2023-11-14", "22:13:20"]
    assert lines[-1] == "2 of 7 disabled sources."


def test_precached_domains() -> None:
    answer = details.precache(PrecacheView([PrecachedRow("a.example", 2, AT), PrecachedRow("b.example", 1, AT)], 2))
    assert [one["cached"] for one in json.loads(written(answer, "json"))["data"]["domain"]] == [True, False]
    lines = written(answer, "text").splitlines()
    assert lines[3].split()[:4] == ["b.example", "1", "of", "2"]
    assert lines[-1] == "1 of 2 precached domains known."
