"""PowerMTA's trees and tables: the paths that its consumers look at, and texts as they are printed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from xml.etree import ElementTree

import pytest

from postwright.control.pmta import lists, status
from postwright.control.pmta.forms import written
from postwright.engine.queue_events import Event, Outcome
from postwright.engine.views.figures import Figures
from postwright.engine.views.host import HostFacts
from postwright.engine.views.queues import QueueRow, QueuesView
from postwright.engine.views.status import Backlog, SpoolView, StatusView
from postwright.engine.views.sums import Sum, SumsView
from postwright.engine.views.traffic import Connections, TrafficView
from postwright.net.resolver import ResolverCounts

AT = 1_700_000_000.0


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def figures(seed: int) -> Figures:
    return Figures(seed, seed * 2, seed * 1024, seed * 4, seed * 5, seed * 6144, 0, 0, 0, seed * 7, seed * 8)


VIEW = StatusView(
    version="1.2.3",
    host_name="relay.example",
    host=HostFacts("Linux", "6.1", "#1 SMP", "x86_64", 4, 8 << 30),
    now=AT + 90061,
    started=AT,
    stopping=False,
    shards=2,
    answering=2,
    traffic=TrafficView(figures(1000), figures(300), figures(20), figures(400), figures(50), Connections(3, 9), Connections(40, 80), AT),
    most_inbound=100,
    most_outbound=None,
    resolver=ResolverCounts(cached=12, pending=3, active=2),
    queues={"smtp": Backlog(500, 7, 2_048_000), "pipe": Backlog(5, 1, 1024), "bounce": Backlog(1, 1, 512)},
    spool=SpoolView(100.0, 1, 6, 9000, 506, 1000),
)


def test_status_as_text() -> None:
    assert written(status.answer(VIEW), "text") == STATUS


STATUS = """\
Postwright v1.2.3 status on relay.example on 2023-11-15 23:14:21

Traffic   ------------ inbound ------------  ------------ outbound -----------
                rcpts       msgs     kbytes        rcpts       msgs     kbytes
Total            1000       2000     1000.0         4000       5000     6000.0
Last Hour         300        600      300.0         1200       1500     1800.0
Top/Hour          400        800      400.0         1600       2000     2400.0
Last Min.          20         40       20.0           80        100      120.0
Top/Min.           50        100       50.0          200        250      300.0

Connections    active      top   maximum    Domain Names      cached   pending
Inbound             3        9       100                          12         3
Outbound           40       80 unlimited

Queues       rcpts   domains      kbytes    Spool             in use  recycled
SMTP           500         7      2000.0    Files                  6         0
Other            6         2         1.5    Init.             100.0%

Status running   Started 2023-11-14 22:13:20   Uptime 1 01:01:01
"""


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("status/traffic/lastMin/in/rcp", "20"),
        ("status/traffic/lastMin/in/msg", "40"),
        ("status/traffic/lastMin/in/kb", "20.0"),
        ("status/traffic/lastMin/out/rcp", "80"),
        ("status/traffic/lastMin/out/msg", "100"),
        ("status/traffic/lastMin/out/kb", "120.0"),
        ("status/traffic/total/out/rcp", "4000"),
        ("status/traffic/lastHr/out/rcp", "1200"),
        ("status/traffic/topPerHr/out/rcp", "1600"),
        ("status/traffic/topPerMin/out/rcp", "200"),
        ("status/traffic/total/bounceProcessed/msg", "7000"),
        ("status/traffic/total/feedbackLoopProcessed/msg", "8000"),
        ("status/conn/smtpOut/cur", "40"),
        ("status/conn/smtpOut/top", "80"),
        ("status/conn/smtpIn/max", "100"),
        ("status/queue/smtp/rcp", "500"),
        ("status/queue/smtp/dom", "7"),
        ("status/queue/smtp/kb", "2000.0"),
        ("status/queue/alias/rcp", "0"),
        ("status/queue/bounceProcessor/rcp", "0"),
        ("status/queue/feedbackLoopProcessor/rcp", "0"),
        ("status/resolver/namesCached", "12"),
        ("status/resolver/queriesPending", "3"),
        ("status/resolver/queriesActive", "2"),
        ("status/spool/initPct", "100.0"),
        ("status/spool/files/inUse", "6"),
        ("status/spool/totalRcp", "506"),
        ("status/spool/maxRcp", "1000"),
        ("status/shuttingDown", "0"),
        ("status/startupTime", "2023-11-14 22:13:20"),
        ("status/status", "running"),
        ("mta/product/version", "1.2.3"),
        ("mta/cpu/count", "4"),
        ("mta/fullHostName", "relay.example"),
    ],
)
def test_paths_of_the_status_that_consumers_look_at(path: str, value: str) -> None:
    root = ElementTree.fromstring(written(status.answer(VIEW), "xml"))
    assert root.findtext(f"data/{path}") == value
    dom = written(status.answer(VIEW), "dom").splitlines()
    assert f'{path.replace("/", ".")}="{value}"' in dom


def test_the_status_in_json() -> None:
    data = json.loads(written(status.answer(VIEW), "json"))["data"]
    assert data["status"]["shuttingDown"] is False
    assert data["status"]["queue"]["bounce"] == {"rcp": 1, "dom": 1, "kb": 0.5}
    assert data["status"]["conn"]["smtpOut"] == {"cur": 40, "max": 0, "top": 80}


QUEUES = QueuesView(
    9,
    4,
    503,
    [
        QueueRow("a.example/{default}", 500, 1_024_000, 3, False, "backoff", AT + 60, "450 <b>", "QUEUE_RETRY", "waits", 5, 0, 0, "smtp"),
        QueueRow(
            "long-name-of-a-domain.example.org/vm1", 3, 100, 0, True, "normal", 0.0, "", "PAUSED", "paused", 3, 0, 0, "pipe",
            [Event(AT, "mode", "to \x1b[1mbackoff")],
            [Outcome(AT - 1, "deferred", "192.0.2.1", "u@x", "j1", "mx.x (192.0.2.9)", "smtp;450 4.2.0 later")],
        ),
    ],
)  # fmt: skip


def test_queues_as_text() -> None:
    assert written(lists.queues(QUEUES), "text") == TABLE


TABLE = """\
queue                                 #rcpt kbytes conn st          retry last error
------------------------------------- ----- ------ ---- -- -------------- ----------
a.example/{default}                     500 1000.0    3  B 11-14 22:14:20 450 <b>
long-name-of-a-domain.example.org/vm1     3    0.1    0  P              -

long-name-of-a-domain.example.org/vm1:
  deferred | 2023-11-14 22:13:19 | 192.0.2.1 | u@x | j1 | mx.x (192.0.2.9) | smtp;450 4.2.0 later
  mode | 2023-11-14 22:13:20 | to \\x1b[1mbackoff

2 of 9 matching queues.
"""


def test_queues_as_dom_has_powermtas_keys() -> None:
    lines = written(lists.queues(QUEUES), "dom").splitlines()
    for line in (
        'title="Queues"',
        'totalRcp="503"',
        'totalQueuesWithRcp="4"',
        'queue[0].name="a.example/{default}"',
        'queue[0].rcp="500"',
        'queue[0].kb="1000.0"',
        'queue[0].conn="3"',
        'queue[0].paused="no"',
        'queue[0].mode="backoff"',
        'queue[0].retryTime="2023-11-14 22:14:20"',
        'queue[1].paused="yes"',
        'queue[1].retryTime=""',
        'queue[1].event[0].type="deferred"',
        'queue[1].event[0].time="2023-11-14 22:13:19"',
        'queue[1].event[1].text="to \\x1b[1mbackoff"',
    ):
        assert line in lines


def test_queues_as_xml_stand_directly_under_the_data() -> None:
    root = ElementTree.fromstring(written(lists.queues(QUEUES), "xml"))
    assert [queue.findtext("name") for queue in root.findall("./data/queue")] == [row.name for row in QUEUES.rows]
    assert root.findtext("./data/queue/lastError") == "450 <b>"


SUMS = SumsView(7, 1000, [Sum("gmail.com", 750, 2048, 5, 2, "421 busy"), Sum("b.example", 250, 1024, 0, 1)])


def test_domains() -> None:
    answer = lists.domains(SUMS)
    assert written(answer, "text").splitlines()[-1] == "2 of 7 domains shown."
    assert written(answer, "text").splitlines()[2].split() == ["gmail.com", "750", "2.0", "5", "421", "busy"]
    found = ElementTree.fromstring(written(answer, "xml")).findall("./data/domain")
    assert [(one.findtext("name"), one.findtext("rcp")) for one in found] == [("gmail.com", "750"), ("b.example", "250")]


def test_virtual_mtas_as_a_zabbix_script_reads_them() -> None:
    lines = written(lists.vmtas(SUMS), "text").splitlines()
    stripped = lines[2:-2]  # two lines at each end
    assert [(line.split()[0], line.split()[2]) for line in stripped] == [("gmail.com", "750"), ("b.example", "250")]
    assert lines[-2:] == ["", "2 of 7 virtual MTAs."]
    assert lines[0].split() == ["name", "domains", "#rcpt", "%", "total", "kbytes", "conn"]
    found = ElementTree.fromstring(written(lists.vmtas(SUMS), "xml")).findall("./data/vmta")
    assert [(one.findtext("name"), one.findtext("rcp"), one.findtext("pct")) for one in found] == [
        ("gmail.com", "750", "75.0"),
        ("b.example", "250", "25.0"),
    ]


def test_jobs() -> None:
    answer = lists.jobs(SumsView(2, 10, [Sum("spring\n", 10, 512)]))
    assert written(answer, "text") == (
        "job-id                         #rcpt kbytes\n------------------------------ ----- ------\n"
        "spring\\n                          10    0.5\n\nTotal of 2 job(s).\n"
    )
    assert json.loads(written(answer, "json"))["data"]["job"] == [{"id": "spring\n", "rcp": 10, "kb": 0.5, "paused": False}]


def test_nothing_is_a_table_too() -> None:
    answer = lists.queues(QueuesView(0, 0, 0, []))
    assert written(answer, "text").splitlines()[2:] == ["", "0 of 0 matching queues."]
    assert json.loads(written(answer, "json"))["data"]["queue"] == []
