"""`postwright spool`: what it shows, what it takes out and puts in, what it mends, and when it refuses."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from postwright.control.cli.main import main
from postwright.engine import spool_tools
from postwright.model.address import Address
from postwright.model.envelope import Envelope, Recipient
from postwright.model.message import Arrival, ContentFacts, Message, format_id
from postwright.store import framing
from postwright.store.log_spool import LogSpool, lock
from postwright.store.segments import SpoolDir
from postwright.store.spool import DEFERRED, SETTLED, Mark

BODY = b"Subject: x\r\n\r\n" + b"0123456789" * 40 + b"\r\n"
EVIL = "\x1b[2J\u202e\x9b31m"


def message(number: int, recipients: int = 1, content: bytes = BODY, job: str = "") -> Message:
    envelope = Envelope(
        Address("s@src.example", "src.example"),
        [Recipient(Address(f"r{i}@d{i}.example", f"d{i}.example"), orcpt=f"rfc822;o{i}@x.example") for i in range(recipients)],
        envid="env1",
    )
    arrival = Arrival(peer="192.0.2.7", peer_name="client.example", protocol="ESMTPSA", user="joe", tls="TLSv1.3", cipher="AES")
    return Message(number, 1_700_000_000.0 + number, envelope, ContentFacts(len(content), 14), arrival, vmta="v1", job=job)


def fill(folder: Path, act: Callable[[LogSpool], object], shard: int = 0) -> None:
    """Do something with a spool, from opening to closing."""

    async def run() -> None:
        spool = LogSpool((SpoolDir(folder),), shard)
        list(spool.recover())
        act(spool)
        await spool.close()

    asyncio.run(run())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three messages: 1 is fresh, 2 has three recipients with three fates, 3 is settled; and 9 in another shard."""

    def act(spool: LogSpool) -> None:
        for number, recipients in ((1, 1), (2, 3), (3, 1)):
            spool.commit(message(number, recipients), (BODY,)).add_done_callback(lambda done: done.result())

    def settle(spool: LogSpool) -> None:
        spool.mark_nowait(Mark(2, (0,), SETTLED))
        spool.mark_nowait(Mark(2, (2,), DEFERRED, 1_700_009_000.0, 4, 1_700_000_500.0))
        spool.mark_nowait(Mark(3, (0,), SETTLED))

    path = tmp_path / "spool"
    fill(path, act)
    fill(path, settle)
    fill(path, lambda spool: spool.commit(message(9), (BODY,)), shard=1)
    return path


def spool(*arguments: str, folder: Path) -> Result:
    return CliRunner().invoke(main, ["spool", arguments[0], "--spool", str(folder), *arguments[1:]])


def damage(folder: Path, needle: bytes, at: int = 0, which: int = 0) -> None:
    """Turn an octet over that stands `at` behind the `which`th `needle` of the first segment."""
    path = folder / "shard-0" / "00000001.seg"
    data = bytearray(path.read_bytes())
    place = -1
    for _ in range(which + 1):
        place = data.index(needle, place + 1)
    data[place + at] ^= 0xFF
    path.write_bytes(data)


# -- list and show ------------------------------------------------------------------------


def test_list(folder: Path) -> None:
    result = spool("list", folder=folder)
    assert result.exit_code == 0
    rows = result.output.splitlines()
    assert [row.split()[:2] for row in rows] == [[format_id(1), "0"], [format_id(2), "0"], [format_id(9), "1"]]
    assert rows[1].endswith("<s@src.example> v1 r1@d1.example,r2@d2.example")  # the recipient that is settled is not told
    assert f" {len(BODY)} " in rows[0]


def test_list_as_json(folder: Path) -> None:
    rows = [json.loads(row) for row in spool("list", "--json", folder=folder).output.splitlines()]
    assert [(row["id"], row["shard"], row["attempts"]) for row in rows] == [
        (format_id(1), 0, 0),
        (format_id(2), 0, 4),
        (format_id(9), 1, 0),
    ]
    assert rows[0]["received"] == 1_700_000_001.0
    assert rows[1]["recipients"] == ["r1@d1.example", "r2@d2.example"]


def test_many_recipients_are_counted(tmp_path: Path) -> None:
    fill(tmp_path, lambda spool: spool.commit(message(1, 10), (BODY,)))
    assert spool("list", folder=tmp_path).output.endswith("r0@d0.example,r1@d1.example,r2@d2.example and 7 more\n")


def test_show(folder: Path) -> None:
    result = spool("show", format_id(2), folder=folder)
    assert result.exit_code == 0
    lines = {row[:14].strip(): row[15:] for row in result.output.splitlines()}
    assert lines["reverse-path"] == "<s@src.example>"
    assert lines["received"].endswith("by ESMTPSA from client.example [192.0.2.7]")
    assert (lines["user"], lines["tls"], lines["attempts"], lines["envelope id"]) == ("joe", "TLSv1.3 AES", "4", "env1")
    assert result.output.count("recipient ") == 2
    asked = json.loads(spool("show", "--json", format_id(2).upper(), folder=folder).output)
    assert asked["listed"]["recipients"] == ["r1@d1.example", "r2@d2.example"]
    assert len(asked["message"]["envelope"]["recipients"]) == 3


def test_show_content_to_the_octet(folder: Path) -> None:
    assert spool("show", "--content", format_id(1), folder=folder).stdout_bytes == BODY


@pytest.mark.parametrize(("which", "status"), [(format_id(3), 1), (format_id(77), 1), ("nonsense", 2)])
def test_show_what_is_not_there(folder: Path, which: str, status: int) -> None:
    result = spool("show", which, folder=folder)
    assert result.exit_code == status
    assert which in result.output


@pytest.mark.parametrize("arguments", [("list",), ("list", "--json"), ("show", format_id(1)), ("show", "--json", format_id(1))])
def test_a_peer_does_not_write_on_the_terminal(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    evil = message(1, job=EVIL)
    evil.vmta = f"v{EVIL}"
    evil.envelope.reverse_path = Address(f"{EVIL}@x.example", "x.example")
    fill(tmp_path, lambda spool: spool.commit(evil, (BODY,)))
    result = spool(*arguments, folder=tmp_path)
    assert result.exit_code == 0
    assert result.output.replace("\n", "").isprintable()
    assert "2J" in result.output
    if "--json" in arguments:
        told = json.loads(result.output)
        assert (told.get("listed") or told)["sender"] == f"{EVIL}@x.example"


def test_a_content_is_escaped_on_a_terminal_only(tmp_path: Path) -> None:
    body = b"Subject: \x1b]0;owned\x07\r\n\r\n\xc3\xa9\x9b\r\n"
    fill(tmp_path, lambda spool: spool.commit(message(1, content=body), (body,)))
    command = [sys.executable, "-m", "postwright", "spool", "show", "--content", "--spool", str(tmp_path), format_id(1)]
    assert subprocess.run(command, capture_output=True, check=True).stdout == body
    ours, theirs = pty.openpty()
    subprocess.run(command, stdout=theirs, check=True)
    os.close(theirs)
    seen = os.read(ours, 4096)
    os.close(ours)
    assert seen.replace(b"\r\r\n", b"\r\n") == b"Subject: \\x1b]0;owned\\x07\r\n\r\n\\xc3\\xa9\\x9b\r\n"


# -- verify and repair --------------------------------------------------------------------


def test_verify_a_sound_spool(folder: Path) -> None:
    result = spool("verify", folder=folder)
    assert result.exit_code == 0
    assert "live messages, 0 damaged" in result.output
    assert [row[:8] for row in result.output.splitlines()] == ["shard 0:", "shard 1:"]
    told = [json.loads(row) for row in spool("verify", "--json", folder=folder).output.splitlines()]
    assert [(one["shard"], one["sound"], one["live"]) for one in told] == [(0, True, 2), (1, True, 1)]
    assert told[0]["segments"][0]["records"] == {"header": 1, "message": 3}


def test_how_far_a_verification_and_an_import_are(folder: Path, tmp_path: Path) -> None:
    read: list[float] = []
    list(spool_tools.verify((folder,), read.append))
    assert read[-1] == spool_tools.octets((folder,)) > 0
    assert read == sorted(read)
    list(spool_tools.export((folder,), tmp_path / "out"))
    done: list[float] = []
    (tmp_path / "other").mkdir()
    asyncio.run(spool_tools.import_messages((tmp_path / "other",), tmp_path / "out", progress=done.append))
    assert done == [1, 2, 3] == list(range(1, len(spool_tools.exported(tmp_path / "out")) + 1))


def test_verify_finds_damage_and_changes_nothing(folder: Path) -> None:
    damage(folder, BODY, 30)  # the content of message 1
    damage(folder, b"src.example", which=2)  # the envelope of message 2
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    result = spool("verify", folder=folder)
    assert result.exit_code == 1
    assert result.output.count("are damaged\n") == 2
    assert "2 damaged" in result.output
    told = json.loads(spool("verify", "--json", folder=folder).stdout.splitlines()[0])
    assert not told["sound"]
    assert list(told["segments"][0]["messages damaged"]) == [format_id(1)]
    assert len(told["segments"][0]["damaged"]) == 1
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_torn_tail_is_no_damage(folder: Path) -> None:
    newest = max((folder / "shard-0").glob("*.seg"))
    with newest.open("ab") as file:
        meta = b"x" * 100
        file.write((framing.head(framing.MARKS, 1, meta) + meta)[:-20])
    result = spool("verify", folder=folder)
    assert result.exit_code == 0
    assert "120 octets at its end were cut short" in result.output


def test_repair_sets_damage_aside_and_keeps_what_is_whole(folder: Path) -> None:
    damage(folder, BODY, 30)
    damage(folder, b"src.example", which=2)
    result = spool("repair", folder=folder)
    assert result.exit_code == 0
    assert result.output.endswith("2 damaged places set aside\n")
    kept = b"".join(path.read_bytes() for path in (folder / "shard-0" / "quarantine").iterdir())
    assert len(kept) > 2 * len(BODY)
    assert spool("verify", folder=folder).exit_code == 0
    assert [row.split()[0] for row in spool("list", folder=folder).output.splitlines()] == [format_id(9)]
    again = spool("repair", folder=folder)
    assert (again.exit_code, again.output) == (0, "nothing is damaged\n")
    told: list[str] = []

    async def start() -> list[int]:
        relay = LogSpool((SpoolDir(folder),), 0, report=lambda event, detail: told.append(event))
        alive = [found.message.id for found in relay.recover()]
        await relay.close()
        return alive

    assert asyncio.run(start()) == []
    assert told == []  # the next start does not stumble over it


def test_repair_as_json(folder: Path) -> None:
    damage(folder, BODY, 30)
    (line,) = json.loads(spool("repair", "--json", folder=folder).output)["repaired"]
    assert format_id(1) in line
    assert json.loads(spool("repair", "--json", folder=folder).output) == {"repaired": []}


# -- export and import --------------------------------------------------------------------


def test_there_and_back(folder: Path, tmp_path: Path) -> None:
    out, fresh = tmp_path / "out", tmp_path / "fresh"
    result = spool("export", str(out), folder=folder)
    assert (result.exit_code, result.output) == (0, "3 exported\n")
    assert sorted(path.name for path in out.iterdir()) == sorted(f"{format_id(n)}.{kind}" for n in (1, 2, 9) for kind in ("eml", "json"))
    assert (out / f"{format_id(1)}.eml").read_bytes() == BODY
    assert out.stat().st_mode & 0o077 == 0
    fresh.mkdir()
    result = spool("import", str(out), folder=fresh)
    assert (result.exit_code, result.output) == (0, "3 imported\n")
    before = [json.loads(row) for row in spool("list", "--json", folder=folder).output.splitlines()]
    after = [json.loads(row) for row in spool("list", "--json", folder=fresh).output.splitlines()]
    for one in (*before, *after):
        one["shard"] = 0
    assert after == before
    assert spool("show", "--content", format_id(2), folder=fresh).stdout_bytes == BODY
    again = spool("import", "--shard", "3", str(out), folder=fresh)
    assert (again.exit_code, again.output) == (0, "0 imported, 3 there already\n")

    async def states() -> object:
        relay = LogSpool((SpoolDir(fresh),), 0)
        found = {one.message.id: one.states for one in relay.recover()}
        await relay.close()
        return found[2]

    assert asyncio.run(states()) == (((0,), 0.0, 0, 0.0), ((1,), 1_700_009_000.0, 4, 1_700_000_500.0))


def test_export_some_and_what_is_not_there(folder: Path, tmp_path: Path) -> None:
    result = spool("export", str(tmp_path / "out"), format_id(1), format_id(3), folder=folder)
    assert result.exit_code == 1
    assert f"{format_id(3)}: no such live message" in result.output
    assert sorted(path.suffix for path in (tmp_path / "out").iterdir()) == [".eml", ".json"]


def test_export_tells_what_is_damaged_and_takes_the_rest(folder: Path, tmp_path: Path) -> None:
    damage(folder, BODY, 30)
    told = spool("export", "--json", str(tmp_path / "out"), folder=folder)
    assert told.exit_code == 1
    found = json.loads(told.output)
    assert found["exported"] == [format_id(2), format_id(9)]
    ((failed,), name) = (found["failed"], format_id(1))
    assert failed["name"] == name
    assert "damaged" in failed["problem"]


def test_export_overwrites_nothing(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    result = spool("export", str(tmp_path / "out"), folder=folder)
    assert result.exit_code == 1
    assert "cannot make" in result.output


def edited(out: Path, **more: object) -> None:
    path = out / f"{format_id(1)}.json"
    told = json.loads(path.read_text())
    told.update(more)
    path.write_text(json.dumps(told))


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda out: (out / f"{format_id(1)}.eml").write_bytes(b"a\nb"), "bare LF"),
        (lambda out: (out / f"{format_id(1)}.eml").unlink(), "No such file"),
        (lambda out: (out / f"{format_id(1)}.json").write_text("{"), "truncated"),
        (lambda out: edited(out, message=5), "Expected `object`"),
        (lambda out: edited(out, states=[]), "nobody is left"),
        (lambda out: edited(out, states=[[[5], 0, 0, 0]]), "recipients that it does not have"),
        (lambda out: edited(out, states=[[[-1], 0, 0, 0]]), "recipients that it does not have"),
    ],
)
def test_import_tells_what_it_cannot_take_and_takes_the_rest(
    folder: Path, tmp_path: Path, spoil: Callable[[Path], object], problem: str
) -> None:
    out, fresh = tmp_path / "out", tmp_path / "fresh"
    fresh.mkdir()
    spool("export", str(out), folder=folder)
    spoil(out)
    result = spool("import", str(out), folder=fresh)
    assert result.exit_code == 1
    assert problem in result.output
    assert result.output.endswith("2 imported\n")
    assert spool("verify", folder=fresh).exit_code == 0


# -- refusing -----------------------------------------------------------------------------


@pytest.fixture
def taken(folder: Path) -> Iterator[Path]:
    """A relay has shard 1 (and only that)."""
    (fd,) = lock([folder / "shard-1"])
    yield folder
    os.close(fd)


def test_import_and_repair_refuse_while_a_relay_has_any_shard(taken: Path, tmp_path: Path) -> None:
    assert spool("export", str(tmp_path / "out"), folder=taken).exit_code == 0
    for command in (("import", str(tmp_path / "out")), ("import", "--shard", "7", str(tmp_path / "out")), ("repair",)):
        result = spool(*command, folder=taken)
        assert result.exit_code == 1
        assert "is in use by another process" in result.output
    assert spool("list", folder=taken).exit_code == 0
    assert spool("verify", folder=taken).exit_code == 0


@pytest.mark.parametrize("command", ["list", "verify", "repair"])
def test_no_spool_there(tmp_path: Path, command: str) -> None:
    result = spool(command, folder=tmp_path / "nothing")
    assert result.exit_code == 1
    assert "no spool in" in result.output


def test_the_spool_below_the_state_folder(folder: Path) -> None:
    result = CliRunner().invoke(main, ["spool", "list", "--state-dir", str(folder.parent)])
    assert result.output == spool("list", folder=folder).output
    assert result.exit_code == 0


def test_a_real_process(folder: Path) -> None:
    command = [sys.executable, "-m", "postwright", "spool", "verify", "--json", "--spool", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout.splitlines()[0])["sound"]
