"""`type lmtp`: a real relay hands mail to servers of LMTP, by TCP, by a Unix socket, and to another relay of ours. About 4 seconds."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.scenarios.clients import send_from
from tests.scenarios.internet import Internet
from tests.scenarios.lmtp_box import box_at

from postwright.control.config import loads
from postwright.testing.relay_process import RelayProcess, plain_config
from postwright.testing.sockets import free_port

MAY_RELAY = "<source 127.0.0.1>\n always-allow-relaying yes\n</source>\n"


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder whose name leaves room for that of a Unix socket."""
    with tempfile.TemporaryDirectory(prefix="pw-") as folder:
        yield Path(folder)


def lmtp(domain: str, hosts: str) -> str:
    return f"<domain {domain}>\n type lmtp\n smtp-hosts {hosts}\n retry-after 1h\n</domain>\n"


@pytest.mark.directive("type", "smtp-hosts")
async def test_boxes_by_tcp_and_by_unix_socket(tmp_path: Path, short: Path) -> None:
    port, tcp = free_port(), free_port()
    rules = lmtp("tcp.example", f"127.0.0.1:{tcp}") + lmtp("unix.example", f"unix:{short}/lmtp")
    full = {"full": "452 4.2.2 mailbox full", "gone": "550 5.1.1 no such user"}
    async with box_at(tcp, **full) as near, box_at(f"{short}/lmtp", **full) as beside:
        async with RelayProcess(tmp_path, plain_config(port) + MAY_RELAY + rules) as relay:
            for domain in ("tcp.example", "unix.example"):
                await send_from(port, *[f"{user}@{domain}" for user in ("one", "full", "gone", "two")])
            delivered = await relay.wait_for_records("d", 4)
            bounced = await relay.wait_for_records("b", 2)
            deferred = await relay.wait_for_records("t", 2)
    for box, domain in ((near, "tcp.example"), (beside, "unix.example")):
        assert [to for to, _ in box.taken] == [f"one@{domain}", f"two@{domain}"]
        assert {"LHLO", "DATA"} <= set(box.said)
        assert not {"EHLO", "HELO", "BDAT"} & set(box.said)
    assert {(row["dlvType"], row["dsnAction"]) for row in delivered} == {("lmtp", "delivered")}
    assert {row["dsnMta"] for row in delivered} == {"127.0.0.1 (127.0.0.1)", f"unix:{short}/lmtp ({short}/lmtp)"}
    assert {row["dsnDiag"] for row in bounced} == {"smtp;550 5.1.1 no such user"}
    assert {row["dsnStatus"].split()[0] for row in deferred} == {"4.2.2"}


@pytest.mark.directive("type")
async def test_to_the_lmtp_intake_of_another_relay(tmp_path: Path) -> None:
    port, lmtp_port = free_port(), free_port()
    there = f"<smtp-listener 127.0.0.1:{lmtp_port}>\n protocol lmtp\n</smtp-listener>\n"
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    async with Internet() as internet, internet.receiver("far.example") as sink:
        second = plain_config(free_port()) + internet.rules + there + MAY_RELAY
        first = plain_config(port) + MAY_RELAY + lmtp("far.example", f"127.0.0.1:{lmtp_port}")
        async with RelayProcess(tmp_path / "b", second), RelayProcess(tmp_path / "a", first) as relay:
            await send_from(port, "one@far.example", "two@far.example")
            rows = await relay.wait_for_records("d", 2)
            [message] = await sink.wait_for(1)
    assert sorted(message.recipients) == ["one@far.example", "two@far.example"]
    assert b" with LMTP\r\n" in message.content
    assert {row["dlvType"] for row in rows} == {"lmtp"}


@pytest.mark.directive("type", "smtp-hosts")
@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("type lmtp", "wants smtp-hosts"),
        ("type lmtp\nsmtp-hosts box.example", "never spoken on port 25"),
        ("type lmtp\nsmtp-hosts lookup-mx:box.example", "no MX leads to"),
        ("type lmtp\nsmtp-hosts unix:lmtp", "no path of a Unix socket"),
        ("type lmtp\nsmtp-hosts box.example:24", ""),
        ("type lmtp\nsmtp-hosts unix:/run/lmtp", ""),
    ],
)
def test_what_lmtp_wants(lines: str, said: str) -> None:
    result = loads(plain_config(2525) + f"<domain x.example>\n{lines}\n</domain>\n")
    errors = [problem.message for problem in result.problems if problem.level == "error"]
    assert [said in error for error in errors] == [True] * bool(said)
