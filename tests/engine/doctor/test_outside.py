"""The way out, name servers and blocklists."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from tests.engine.doctor.patients import OTHER, SENDER, patient, told

from postwright.engine.doctor import blocklists, naming, outward
from postwright.engine.doctor.patient import Wishes
from postwright.testing.sink import SinkServer


async def test_the_way_out_to_a_host_that_is_named(tmp_path: Path) -> None:
    async with SinkServer() as sink:
        who = patient(tmp_path, "", {"mx.example": {"A": ["127.0.0.1"]}}, Wishes(reach=(f"mx.example:{sink.port}",)))
        found = await told(outward.check, who)
    assert found["port-25", f"this machine to mx.example:{sink.port}"].level == "ok"
    assert sink.messages == []


async def test_smarthosts_are_tried_from_each_source_address(tmp_path: Path) -> None:
    async with SinkServer() as sink:
        text = f"""\
<domain *>
    smtp-hosts [127.0.0.1]:{sink.port}
</domain>
<virtual-mta one>
    smtp-source-host 127.0.0.2 one.example
</virtual-mta>
<virtual-mta two>
    smtp-source-host 127.0.0.3 two.example
</virtual-mta>
"""
        found = await told(outward.check, patient(tmp_path, text))
    assert sorted(subject.partition(" ")[0] for _, subject in found) == ["127.0.0.2", "127.0.0.3"]
    assert {one.level for one in found.values()} == {"ok"}


async def test_a_smarthost_of_a_pool_is_tried_too(tmp_path: Path) -> None:
    async with SinkServer() as sink:
        block = f"<domain *>\nsmtp-hosts [127.0.0.1]:{sink.port}\n</domain>\n"
        text = f"<virtual-mta one>\n</virtual-mta>\n<virtual-mta-pool all>\nvirtual-mta one\n{block}</virtual-mta-pool>\n"
        found = await outward.check(patient(tmp_path, text))
    assert [one.level for one in found] == ["ok"]


async def test_a_closed_way_out(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refused
        port = taken.getsockname()[1]
        found = await told(outward.check, patient(tmp_path, "", {}, Wishes(reach=(f"127.0.0.1:{port}",))))
    assert [one.level for one in found.values()] == ["error"]
    gone = await told(outward.check, patient(tmp_path, "", {}, Wishes(reach=("mx.example",))))
    assert [one.level for one in gone.values()] == ["error"]


async def test_nobody_is_troubled_unasked(tmp_path: Path) -> None:
    assert [one.level for one in await outward.check(patient(tmp_path, ""))] == ["note"]


async def test_a_host_that_refuses_us_shows_that_the_way_is_open(tmp_path: Path) -> None:
    async with SinkServer(["connect 554 go away"]) as sink:
        found = await outward.check(patient(tmp_path, "", {}, Wishes(reach=(f"127.0.0.1:{sink.port}",))))
    assert [(one.level, "the way is open" in one.cure) for one in found] == [("error", True)]


async def test_name_servers(tmp_path: Path) -> None:
    fine = await told(naming.check, patient(tmp_path, "name-server 127.0.0.1:53\n"))
    assert {one.level for one in fine.values()} == {"ok"}
    silent = await told(naming.check, patient(tmp_path, "", failing=naming.ASKED))
    assert silent["dns", "name server"].level == "error"


@pytest.mark.parametrize(
    ("answer", "level"),
    [(["127.0.0.2"], "error"), (["127.255.255.254"], "unknown"), ([], "ok"), (["192.0.2.1"], "ok")],
)
async def test_blocklists(tmp_path: Path, answer: list[str], level: str) -> None:
    text = f"smtp-source-host {SENDER} one.example\n"
    zone = {"1.1.44.5.list.example": {"A": answer}}
    found = await blocklists.check(patient(tmp_path, text, zone, Wishes(blocklists=("list.example",))))
    assert [one.level for one in found] == [level]


async def test_blocklists_are_not_asked_unless_allowed(tmp_path: Path) -> None:
    who = patient(tmp_path, f"smtp-source-host {OTHER} one.example\n")
    assert [one.level for one in await blocklists.check(who)] == ["note"]
    assert who.resolver.counts().asked == 0


async def test_an_address_of_ipv6_in_a_blocklist(tmp_path: Path) -> None:
    name = ".".join(reversed("2a0010f4" + 23 * "0" + "1")) + ".list.example"
    who = patient(
        tmp_path, "smtp-source-host 2a00:10f4::1 one.example\n", {name: {"A": ["127.0.0.2"]}}, Wishes(blocklists=("list.example",))
    )
    assert [one.level for one in await blocklists.check(who)] == ["error"]
