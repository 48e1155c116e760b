"""`postwright migrate check`: one report on a PowerMTA configuration, on what this machine has for it, and an exit status to trust."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from postwright.control.cli.main import main
from postwright.control.config.directive import State
from postwright.control.config.directives import BLOCKS, TABLE
from postwright.control.migration.differences import DIFFERENCES, OF_POOLS, POOL

MOVABLE = """\
host-name relay.example
log-file relay.log
smtp-listener 127.0.0.1:{port}
<source 127.0.0.1/32>
    always-allow-relaying yes
</source>
"""
OLD = (
    MOVABLE
    + """\
sync-msg-create no
domain-key one, sender.example, one.pem
spool /nowhere/spool
<virtual-mta m1>
    smtp-source-host 192.0.2.17 m1.relay.example
</virtual-mta>
<virtual-mta-pool p1>
    virtual-mta m1
    <domain *>
        max-smtp-out 5
    </domain>
</virtual-mta-pool>
<domain *>
    max-smtp-out 20
    retry-after 10m
    retry-after 20m
    wibble-wobble 3
</domain>
<smtp-user foo>
    password hush-hush
</smtp-user>
"""
)


def run(folder: Path, text: str, *options: str) -> Result:
    (folder / "pmta.conf").write_text(text)
    return CliRunner().invoke(main, ["migrate", "check", str(folder / "pmta.conf"), *options])


def told(folder: Path, text: str, *options: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(run(folder, text, "--json", *options).stdout)
    return answer


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_what_can_be_moved_as_it_is(tmp_path: Path, port: int) -> None:
    result = run(tmp_path, MOVABLE.format(port=port))
    assert result.exit_code == 0, result.output
    assert f"port 127.0.0.1:{port} free (smtp-listener, line 3)" in result.output
    assert re.search(r"The same\n  always-allow-relaying, host-name, smtp-listener, source\n", result.output)
    assert "postwright doctor" in result.output


def test_each_thing_has_its_place(tmp_path: Path, port: int) -> None:
    found = told(tmp_path, OLD.format(port=port))
    assert [one["directive"] for one in found["without_effect"]] == ["sync-msg-create"]
    assert "on disk before its 250" in found["without_effect"][0]["text"]
    differs = {(one["directive"], one["place"].rpartition(":")[2], one["times"]): one["text"] for one in found["differs"]}
    assert {key[:2] for key in differs} == {("log-file", "2"), ("spool", "9"), ("retry-after", "21")}
    assert differs["retry-after", "21", 2] == DIFFERENCES["retry-after"]
    assert "max-smtp-out" in found["same"]
    assert [(one["line"], one["level"]) for one in found["left_out"]] == [(23, "warning")]
    assert found["wrong"] == found["not_yet"] == []


def test_a_limit_of_a_pool_is_another_one_than_a_limit_of_a_domain(tmp_path: Path, port: int) -> None:
    pool = "<virtual-mta m1>\n</virtual-mta>\n<virtual-mta-pool p1>\n virtual-mta m1\n max-smtp-out 5\n</virtual-mta-pool>\n"
    text = MOVABLE.format(port=port) + pool
    [limit] = [one for one in told(tmp_path, text)["differs"] if one["directive"] == "max-smtp-out"]
    assert limit["text"] == POOL
    assert "max-smtp-out" not in told(tmp_path, text)["same"]


def test_what_the_machine_lacks(tmp_path: Path, port: int) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        found = told(tmp_path, OLD.format(port=port))
    states = {(one["kind"], one["what"]): one["state"] for one in found["needs"]}
    assert states == {
        ("port", f"127.0.0.1:{port}"): "is taken by another program",
        ("file", str(tmp_path / "one.pem")): "is not there",
        ("folder", "/nowhere/spool"): "is not there",
        ("address", "192.0.2.17"): "is no address of this machine",
    }
    assert found["missing"] == 4
    assert any("stop PowerMTA" in step for step in found["checklist"])
    (tmp_path / "one.pem").write_text("a key")
    assert told(tmp_path, OLD.format(port=port))["missing"] == 2  # the port is free again, too


def test_a_listener_of_a_network_is_no_address_to_look_for(tmp_path: Path, port: int) -> None:
    found = told(tmp_path, MOVABLE.format(port=port) + "smtp-listener 127.1.0.0/16:2525\n")
    assert {(one["what"], one["state"]) for one in found["needs"]} == {
        (f"127.0.0.1:{port}", "free"),
        ("127.1.0.0/16:2525", "not looked for"),
    }


def test_ports_of_http(tmp_path: Path, port: int) -> None:
    text = MOVABLE.format(port=port) + "http-mgmt-port 0\n<transmissions-api-listener [::1]:8443>\n</transmissions-api-listener>\n"
    ports = {one["what"] for one in told(tmp_path, text, "--offline")["needs"]}
    assert ports == {f"127.0.0.1:{port}", "[::1]:8443"}
    wrong = told(tmp_path, text.replace("[::1]:8443", "nonsense"), "--offline")
    assert ([one["line"] for one in wrong["wrong"]], len(wrong["needs"])) == ([8], 1)


@pytest.mark.parametrize(
    ("addresses", "ports"),
    [((), {"0.0.0.0:8080"}), (("127.0.0.1", "::1"), {"127.0.0.1:8080", "[::1]:8080"})],
)
def test_the_monitors_port_is_wanted_where_it_listens(tmp_path: Path, port: int, addresses: tuple[str, ...], ports: set[str]) -> None:
    text = MOVABLE.format(port=port) + "http-mgmt-port 8080\n" + "".join(f"http-mgmt-address {one}\n" for one in addresses)
    needs = told(tmp_path, text, "--offline")["needs"]
    assert {one["what"] for one in needs if one["directive"] == "http-mgmt-port"} == ports


def test_files_of_a_vault_or_the_web_are_not_looked_for(tmp_path: Path, port: int) -> None:
    keys = "domain-key one, sender.example, {{vault}}:/secret/one\ndomain-key two, sender.example, /nowhere/two.pem\n"
    vault = "<vault kv>\n    server-url https://vault.example:8200\n    access-token hush-hush\n</vault>\n"
    found = told(tmp_path, (MOVABLE + vault + keys).format(port=port))
    assert [one["what"] for one in found["needs"] if one["kind"] == "file"] == ["/nowhere/two.pem"]
    assert found["wrong"] == []


def test_another_machine_will_run_it(tmp_path: Path, port: int) -> None:
    found = told(tmp_path, OLD.format(port=port), "--offline")
    assert {one["state"] for one in found["needs"]} == {"not looked for"}
    assert found["missing"] == 0
    assert not any("provide" in step for step in found["checklist"])


@pytest.mark.parametrize(
    ("more", "status"),
    [("", 0), ("wibble-wobble 3\n", 1), ("sync-msg-create no\n", 0), ("http-access everybody admin\n", 2), ("spool /nowhere/spool\n", 1)],
)
def test_exit_status(tmp_path: Path, port: int, more: str, status: int) -> None:
    assert run(tmp_path, MOVABLE.format(port=port) + more).exit_code == status


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["migrate", "check", str(tmp_path / "none")])
    assert result.exit_code == 2
    assert "No such file" in result.output


def test_warnings_of_a_load_are_told(tmp_path: Path, port: int) -> None:
    result = run(tmp_path, MOVABLE.format(port=port) + "http-access 0/0 admin\n")
    assert result.exit_code == 0
    assert re.search(r"^Warnings\n.*:7:13: warning: http-access: the whole world may steer", result.output, re.MULTILINE)
    assert result.output.partition("\n")[0].endswith(", 1 warning")


def test_a_warning_about_the_whole_file_is_told(tmp_path: Path, port: int) -> None:
    result = run(tmp_path, MOVABLE.format(port=port).replace("log-file relay.log\n", ""))
    assert result.exit_code == 0
    assert re.search(r"^Warnings\n.*pmta\.conf: warning: no log-file", result.output, re.MULTILINE)


def test_a_file_that_is_included_and_not_there_is_told(tmp_path: Path, port: int) -> None:
    text = MOVABLE.format(port=port) + "include more.conf\ninclude conf.d/*.conf\n"
    found = told(tmp_path, text)
    [lost] = found["left_out"]
    assert (lost["line"], lost["level"]) == (7, "warning")
    assert lost["message"] == f"include: {tmp_path / 'more.conf'}: No such file or directory"
    assert [(one["line"], one["message"]) for one in found["warned"]] == [(8, "include: no file matches conf.d/*.conf")]
    assert run(tmp_path, text).exit_code == 1
    (tmp_path / "more.conf").write_text("wibble-wobble 3\n")
    assert [(Path(one["file"]).name, one["line"]) for one in told(tmp_path, text)["left_out"]] == [("more.conf", 1)]
    assert told(tmp_path, text, "--offline")["warned"] == []


def test_no_password_is_told(tmp_path: Path, port: int) -> None:
    for options in ((), ("--json",)):
        assert "hush" not in run(tmp_path, OLD.format(port=port), *options).output


def test_only_what_works_can_differ() -> None:
    effective = {row.name for row in (*TABLE, *BLOCKS) if row.state is State.EFFECTIVE}
    assert DIFFERENCES.keys() | OF_POOLS <= effective


@pytest.mark.parametrize(("number", "status", "left_out", "wrong"), [("00", 0, 0, 0), ("22", 1, 10, 0), ("11", 2, 0, 1)])
def test_real_configurations(shared: Path, number: str, status: int, left_out: int, wrong: int) -> None:
    [file] = (shared / "powermta-configs").glob(f"{number}-*.conf")
    result = CliRunner().invoke(main, ["migrate", "check", str(file), "--json", "--offline"])
    found = json.loads(result.stdout)
    assert (result.exit_code, len(found["left_out"]), len(found["wrong"])) == (status, left_out, wrong)
    assert len(found["same"]) >= 15
    assert found["not_yet"] == []


def test_every_real_configuration_has_a_report(shared: Path) -> None:
    for file in sorted((shared / "powermta-configs").glob("*.conf")):
        result = CliRunner().invoke(main, ["migrate", "check", str(file), "--offline"])
        assert result.exit_code in (0, 1, 2), (file, result.exception)
        assert result.output.startswith(str(file))
        assert "To do" in result.output
