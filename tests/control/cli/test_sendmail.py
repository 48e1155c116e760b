"""`postwright sendmail` as cron, PHP and scripts call it: what it sends, where it goes when the relay is down, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import io
import os
import socket
import stat
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from postwright.control.cli import sendmail
from postwright.engine.local_message import read
from postwright.engine.pickup_file import script_of
from postwright.testing.sink import SinkServer
from postwright.testing.sockets import free_port

MESSAGE = "To: You <you@example.com>, b@example.com\nCc: c@example.com\nBcc: d@example.com\nSubject: hello\n\nbody\n"


class Program:
    """The program, with a relay or none and a folder or none."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder / "pickup"
        self._config = folder / "sendmail.conf"
        self.environment = {"POSTWRIGHT_SENDMAIL": str(self._config)}
        self._config.write_text(f"relay 127.0.0.1:{port}  # a comment\nfolder {self.folder}\n")
        self.link = folder / "sendmail"
        self.link.symlink_to(Path(sys.executable).parent / "postwright-sendmail")

    async def __call__(self, *words: str, text: str = MESSAGE, command: tuple[str, ...] = ()) -> tuple[int, str]:
        """Exit status and all that it says, as a process of its own."""
        process = await asyncio.create_subprocess_exec(
            *(command or (sys.executable, "-m", "postwright", "sendmail")), *words, env={**os.environ, **self.environment},
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await process.communicate(text.encode())
        assert process.returncode is not None
        return process.returncode, said.decode()

    async def ends(self, monkeypatch: pytest.MonkeyPatch, *words: str) -> tuple[int, str]:
        """The same within this process, which is a hundred times as quick."""
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(MESSAGE.encode())))
        try:
            await asyncio.to_thread(sendmail.run, list(words), self.environment)
        except sendmail.Ended as end:
            return end.status, end.text
        raise AssertionError("it has no end")


@pytest.fixture
async def sink() -> AsyncIterator[SinkServer]:
    async with SinkServer(rules=["rcpt:gone@* 550 5.1.1 nobody", "rcpt:later@* 451 4.2.0 later"]) as server:
        yield server


@pytest.fixture
def program(tmp_path: Path, sink: SinkServer) -> Program:
    return Program(tmp_path, sink.port)


@pytest.fixture
def alone(tmp_path: Path) -> Program:
    """No relay listens."""
    return Program(tmp_path, free_port())


async def test_recipients_out_of_the_header(program: Program, sink: SinkServer) -> None:
    assert await program("-t", "-i", "-fme@sender.example", "-FMe Myself") == (0, "")
    await sink.wait_for(1)
    [message] = sink.messages
    assert message.sender == "me@sender.example"
    assert message.recipients == ["you@example.com", "b@example.com", "c@example.com", "d@example.com"]
    assert "Bcc" not in message.parsed
    assert message.parsed["From"] == "Me Myself <me@sender.example>"
    assert "Date" in message.parsed
    assert "Message-ID" in message.parsed
    assert message.content.endswith(b"\r\n\r\nbody\r\n")


async def test_the_words_that_programs_say(program: Program, sink: SinkServer) -> None:
    """mail(1), cron, git, PHP, mutt: none of it is an error, and a link with the name of sendmail is the program."""
    words = ("-oi", "-oem", "-odb", "-O", "Timeout.queuereturn=5d", "-bm", "-B", "8BITMIME", "-N", "success", "-R", "hdrs", "-V", "e1")
    to = ("-f", "<>", "--", "you@example.com, b@example.com")
    assert await program(*words, *to, text="grüße\n.\nend\n", command=(str(program.link),)) == (0, "")
    await sink.wait_for(1)
    [message] = sink.messages
    assert (message.sender, message.recipients) == ("", ["you@example.com", "b@example.com"])
    assert "RET=HDRS" in message.sender_params
    assert "ENVID=e1" in message.sender_params
    assert message.content.endswith("\r\n\r\ngrüße\r\n.\r\nend\r\n".encode())


async def test_how_it_ends(program: Program, sink: SinkServer, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = {
        ("gone@example.com",): (67, "refused: '550 5.1.1"),
        ("you@example.com", "gone@example.com"): (67, "gone@example.com' is refused: '550 5.1.1"),
        ("no@address@at",): (65, "is no address"),
        (): (64, "no recipient"),
        ("-bd",): (64, "postwright run"),
        ("-N", "sometimes", "you@example.com"): (64, "-N wants"),
        ("-bi",): (0, ""),
        ("-q30m",): (0, ""),
        ("later@example.com",): (75, "not taken: '451 4.2.0 later'"),
    }
    for words, (status, text) in ends.items():
        code, said = await program.ends(monkeypatch, *words)
        assert (code, text in said) == (status, True), (words, code, said)
    assert [message.recipients for message in sink.messages] == [["you@example.com"]]


async def test_while_the_relay_is_down_mail_waits_in_the_folder(alone: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await alone.ends(monkeypatch, "you@example.com"))[0] == 75
    alone.folder.mkdir()
    words = ("-fme@sender.example", "-N", "success,delay", "-R", "hdrs", "-V", "e1", "you@example.com")
    assert await alone(*words, text="x-receiver: evil@example.com\nSubject: s\n\nbody\n") == (0, "")
    [file] = alone.folder.iterdir()
    assert file.suffix == ".msg"
    script = script_of(file.read_bytes())
    assert script.bounces  # nobody is here to be told of a refusal
    mail, to = b"MAIL FROM:<me@sender.example> ENVID=e1 RET=HDRS\r\n", b"RCPT TO:<you@example.com> NOTIFY=SUCCESS,DELAY\r\n"
    assert script.octets.startswith(b"XACK OFF\r\n" + mail + to + b"BDAT ")
    assert script.octets.count(b"RCPT TO") == 1  # a field of the message is no envelope
    assert (await alone.ends(monkeypatch, "-V", "e1\r\nRCPT TO:<evil@example.com>", "you@example.com"))[0] == 69
    assert [file] == list(alone.folder.iterdir())


class TakesAndIsGone:
    """A relay's end of a session, as a socket: it says yes to all, and its machine is gone when QUIT comes."""

    def __init__(self) -> None:
        self._says = [b"220 here\r\n"]

    def settimeout(self, seconds: float) -> None: ...

    def sendall(self, octets: bytes) -> None:
        if octets.startswith(b"QUIT"):
            raise ConnectionResetError("it is gone")
        if octets.startswith(b"EHLO"):
            self._says.append(b"250 here\r\n")
        elif octets.startswith((b"MAIL", b"RCPT")) or octets.endswith(b".\r\n"):
            self._says.append(b"250 2.0.0 yes\r\n")
        elif octets.startswith(b"DATA"):
            self._says.append(b"354 go on\r\n")

    def recv(self, most: int) -> bytes:
        return self._says.pop(0)


async def test_a_relay_that_goes_away_behind_its_250_has_the_message(alone: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    alone.folder.mkdir()
    monkeypatch.setattr(socket, "create_connection", lambda *_: contextlib.nullcontext(TakesAndIsGone()))
    assert await alone.ends(monkeypatch, "you@example.com") == (0, "")
    assert not list(alone.folder.iterdir())  # a file there would be the message a second time


@pytest.mark.parametrize("readable", [True, False])
async def test_a_file_has_its_name_on_disk_before_it_counts(alone: Program, monkeypatch: pytest.MonkeyPatch, readable: bool) -> None:
    """Else a loss of power takes the name away, and with it a message that was said to be taken."""
    alone.folder.mkdir()
    done: list[str] = []
    sync, rename, opens = os.fsync, os.rename, os.open

    def synced(number: int) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(number).st_mode) else "file")
        sync(number)

    def renamed(source: Path, aim: Path) -> None:
        done.append("name")
        rename(source, aim)

    def opened(path: Path, flags: int, mode: int = 0o777) -> int:
        if path == alone.folder and not readable:
            raise PermissionError(errno.EACCES, "a drop box")
        return opens(path, flags, mode)

    for name, work in (("fsync", synced), ("rename", renamed), ("open", opened)):
        monkeypatch.setattr(os, name, work)
    assert (await alone.ends(monkeypatch, "you@example.com"))[0] == 0
    assert done == ["file", "name", "folder" if readable else "file"]


async def test_smtp_on_standard_input(program: Program, sink: SinkServer) -> None:
    lines = "EHLO x\r\nMAIL FROM:<a@a.example>\r\nRCPT TO:<b@example.com>\r\nDATA\r\nS: 1\r\n\r\n.\r\nQUIT\r\n"
    status, said = await program("-bs", text=lines)
    assert status == 0
    assert said.startswith("220 ")
    assert "\r\n354 " in said
    assert [message.recipients for message in sink.messages] == [["b@example.com"]]


async def test_a_wrong_file_of_settings_is_told(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    program._config.write_text("relais 127.0.0.1\n")
    assert (await program.ends(monkeypatch, "you@example.com"))[0] == 78


@pytest.mark.parametrize(
    ("octets", "dot_ends", "fields", "body"),
    [
        (b"A: 1\n\nb\n", True, [b"a"], b"b\r\n"),
        (b"From me Mon\nA: 1\r\n 2\r\n\r\nb", True, [b"a"], b"b\r\n"),
        (b"no header\n", True, [], b"no header\r\n"),
        (b"A: 1\n\nb\n.\nc\n", True, [b"a"], b"b\r\n"),
        (b"A: 1\n\nb\n.\nc\n", False, [b"a"], b"b\r\n.\r\nc\r\n"),
        (b".\nA: 1\n", True, [], b""),
        (b"", True, [], b""),
    ],
)
def test_a_message_as_it_comes(octets: bytes, dot_ends: bool, fields: list[bytes], body: bytes) -> None:
    message = read(octets, dot_ends=dot_ends)
    assert ([name for name, _ in message.fields], message.body) == (fields, body)


def test_of_a_message_that_is_sent_on_only_those_it_is_sent_on_to() -> None:
    message = read(b"To: a@a.example\nResent-To: b@b.example\nResent-Bcc: c@c.example\n\n", dot_ends=True)
    assert message.recipients() == ["b@b.example", "c@c.example"]
    assert b"Resent-Bcc" not in message.content(b"")
