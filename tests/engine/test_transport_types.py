"""Stories of queues that need no host: `type discard`, `file`, `pipe` and `http-delivery`. What is outside of the relay is real."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import gc
import json
import os
import sys
from pathlib import Path

import pytest
from aiohttp import web

from postwright.engine.transports import PutOff, disk
from postwright.engine.transports.files import Files
from postwright.engine.transports.http import HttpDelivery, document_of, read_headers
from postwright.engine.transports.keeping import Transports
from postwright.engine.transports.macros import expand, words
from postwright.engine.transports.making import problem
from postwright.engine.transports.pipe import Pipe
from postwright.engine.workers import Inline, Threads
from postwright.model.address import Address, parse_mailbox
from postwright.model.envelope import Envelope, Recipient
from postwright.model.message import Arrival, Message, format_id
from postwright.model.outcome import Kind
from postwright.net.clock import SystemClock
from postwright.net.http_client import HttpClient
from postwright.policy.settings import DomainSettings
from postwright.testing.world import World
from postwright.testing.world_settings import domain, relay
from postwright.wire.body import scan
from postwright.wire.client_states import Transaction

ME, YOU = "me@sender.example", "you@example.com"
TEXT = b"Subject: hello\r\nFrom: me@sender.example\r\n\r\nFrom here\r\n.dot\r\n"


def order(*rcpt: str, content: bytes = TEXT) -> tuple[Message, Transaction]:
    recipients = [Recipient(parse_mailbox(one, smtputf8=True)) for one in rcpt or (YOU,)]
    sender = parse_mailbox(ME)
    message = Message(77, 1000.0, Envelope(sender, recipients), scan(content), Arrival())
    return message, Transaction(sender, recipients, (content,), scan(content))


# -- discard ----------------------------------------------------------------------------


@pytest.mark.directive("type", "discard-as-bounce")
@pytest.mark.parametrize(("as_bounce", "kind"), [(False, "d"), (True, "b")])
def test_what_is_discarded_is_accounted_for_and_nobody_hears_of_it(as_bounce: bool, kind: str) -> None:
    with World(relay(domain("*"), domain("example.com", type="discard", discard_as_bounce=as_bounce))) as w:
        home, mx = w.domain("sender.example"), w.domain("example.com")
        for number in range(3):
            w.submit(ME, [f"u{number}@example.com", f"v{number}@example.com"])
        w.run_until_empty()
        assert [record.dlv_type for record in w.of(kind)] == ["discard"] * 6
        assert not home.messages
        assert not mx.attempts


# -- files ------------------------------------------------------------------------------


@pytest.mark.directive("file-format", "file-destination")
def test_new_files(tmp_path: Path) -> None:
    with World(relay(domain("*"), domain("example.com", type="file", file_destination=str(tmp_path)))) as w:
        w.submit(ME, [YOU, "her@example.com"], TEXT)
        w.run_until_empty()
        assert {record.dlv_type for record in w.of("d")} == {"file"}
        files = sorted(tmp_path.iterdir())
        assert [file.suffix for file in files] == [".msg", ".msg"]
        assert all(file.read_bytes().endswith(TEXT.partition(b"\r\n\r\n")[2]) for file in files)


@pytest.mark.directive("file-format")
async def test_pickup_form_and_the_same_name_again(tmp_path: Path) -> None:
    files = Files("newfile-pickup", str(tmp_path), Inline(), SystemClock(), keep_case=False)
    message, transaction = order(YOU, "her@example.com")
    for _ in range(2):
        fates = await files.deliver(message, transaction)
        assert [fate.kind for fate in fates] == [Kind.DELIVERED] * 2
    assert sorted(file.name for file in tmp_path.iterdir()) == [f"{format_id(77)}-{number}.msg" for number in (0, 1)]
    assert (tmp_path / f"{format_id(77)}-1.msg").read_bytes() == b"x-sender: me@sender.example\r\nx-receiver: her@example.com\r\n" + TEXT


@pytest.mark.directive("file-format", "file-destination", "macro-variables-preserve-case")
@pytest.mark.parametrize(("keep", "name"), [(False, "bob@example.com"), (True, "Bob@example.com")])
async def test_an_mbox_for_each(tmp_path: Path, keep: bool, name: str) -> None:
    files = Files("append-mbox", f"{tmp_path}/$to", Inline(), SystemClock(), keep_case=keep)
    for _ in range(2):
        await files.deliver(*order("Bob@example.com"))
    text = (tmp_path / name).read_bytes()
    assert text.count(b"\nFrom me@sender.example ") + text.startswith(b"From me@sender.example ") == 2
    assert text.count(b"\n>From here\n") == 2


async def test_two_writers_of_one_mbox_do_not_mix(tmp_path: Path) -> None:
    workers = Threads(4)
    files = [Files("append-mbox", f"{tmp_path}/box", workers, SystemClock(), keep_case=False) for _ in range(4)]
    content = TEXT + b"x" * 70 * 1000 + b"\r\n"
    await asyncio.gather(*[one.deliver(*order(content=content)) for one in files for _ in range(5)])
    parts = (tmp_path / "box").read_bytes().split(b"From me@sender.example ")
    assert len({len(part) for part in parts[1:]}) == 1
    assert len(parts) == 21
    workers.close()


@pytest.mark.directive("file-destination")
@pytest.mark.parametrize("user", ["../../etc/passwd", "/etc/passwd", "..", ".hidden", "a/b"])
async def test_no_name_leaves_the_folder(tmp_path: Path, user: str) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    files = Files("append-mbox", f"{inside}/$user", Inline(), SystemClock(), keep_case=False)
    message, transaction = order(f'"{user}"@example.com')
    [fate] = await files.deliver(message, transaction)
    if fate.kind is Kind.DELIVERED:
        assert [path.parent for path in tmp_path.rglob("*") if path.is_file()] == [inside]
    else:
        assert (fate.kind, fate.status) == (Kind.PERMANENT, "5.1.3")
        assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.directive("file-format")
async def test_the_same_address_twice_has_two_files_that_are_not_for_all(tmp_path: Path) -> None:
    await Files("newfile-plain", str(tmp_path), Inline(), SystemClock(), keep_case=False).deliver(*order(YOU, YOU))
    assert len(list(tmp_path.glob("*.msg"))) == 2
    assert not any(file.stat().st_mode & 0o007 for file in tmp_path.iterdir())


@pytest.mark.directive("file-format")
async def test_a_mailbox_that_somebody_keeps_locked_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "LOCK_WAIT", 0.05)
    box = tmp_path / "box"
    files = Files("append-mbox", str(box), Inline(), SystemClock(), keep_case=False)
    with box.open("wb") as reader:
        fcntl.flock(reader, fcntl.LOCK_EX)
        [fate] = await files.deliver(*order())
        assert (fate.kind, fate.status) == (Kind.TRANSIENT, "4.3.0")
        assert "locked" in fate.diagnostic
    [fate] = await files.deliver(*order())
    assert fate.kind is Kind.DELIVERED


@pytest.mark.directive("file-format")
async def test_what_a_full_disk_left_half_is_cut_off_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = Files("append-mbox", str(tmp_path / "box"), Inline(), SystemClock(), keep_case=False)
    await files.deliver(*order())
    before = (tmp_path / "box").read_bytes()

    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", full)
        outcome = await files.deliver(*order())
        new = Files("newfile-plain", str(tmp_path), Inline(), SystemClock(), keep_case=False)
        other = await new.deliver(*order())
    assert isinstance(outcome, PutOff)
    assert isinstance(other, PutOff)
    assert [outcome.why.status, other.why.status] == ["4.3.1", "4.3.1"]
    assert (tmp_path / "box").read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["box"]


async def test_postmaster_is_a_user_without_a_domain(tmp_path: Path) -> None:
    message, transaction = order()
    transaction.recipients = [Recipient(Address("Postmaster", ""))]
    await Files("append-mbox", f"{tmp_path}/$user", Inline(), SystemClock(), keep_case=False).deliver(message, transaction)
    assert [file.name for file in tmp_path.iterdir()] == ["postmaster"]


async def test_a_folder_that_is_not_there_waits(tmp_path: Path) -> None:
    files = Files("newfile-plain", str(tmp_path / "gone"), Inline(), SystemClock(), keep_case=False)
    [fate] = await files.deliver(*order())
    assert (fate.kind, fate.status) == (Kind.TRANSIENT, "4.3.0")
    assert "No such file" in fate.diagnostic


# -- programs ---------------------------------------------------------------------------

STATUSES = {0: "2.0.0", 64: "5.5.4", 65: "5.5.2", 66: "5.3.0", 67: "5.1.1", 68: "5.1.2", 69: "5.3.0", 70: "5.3.0", 71: "4.3.0", 72: "5.3.0",
            73: "5.2.0", 74: "4.3.0", 75: "4.0.0", 76: "5.5.0", 77: "5.7.1", 78: "5.3.5", 1: "4.3.0"}  # fmt: skip


@pytest.mark.directive("command", "type")
async def test_what_an_exit_status_means() -> None:
    for status, expected in STATUSES.items():
        pipe = Pipe(f"sh -c 'cat >/dev/null; echo because >&2; exit {status}'", SystemClock(), keep_case=False)
        [fate] = await pipe.deliver(*order())
        assert fate.status == expected, status
        assert status == 0 or "because" in fate.diagnostic


@pytest.mark.directive("command")
async def test_a_program_gets_the_message_and_words_that_stay_words(tmp_path: Path) -> None:
    out = tmp_path / "out"
    program = f"import sys, json; json.dump([sys.argv[1:], sys.stdin.read()], open({str(out)!r}, 'w'))"
    pipe = Pipe(f'{sys.executable} -c "{program}" "--to=$to" $from $nothing', SystemClock(), keep_case=False)
    [fate] = await pipe.deliver(*order('"a b; touch x `id` $from"@Example.com'))
    assert fate.kind is Kind.DELIVERED
    arguments, text = json.loads(out.read_text())
    assert arguments == ['--to="a b; touch x `id` $from"@example.com', ME, "$nothing"]
    assert text.encode() == TEXT.replace(b"\r\n", b"\n")


async def test_a_program_that_does_not_end_is_killed_with_its_children(tmp_path: Path) -> None:
    pipe = Pipe(f"sh -c 'sleep 1000 & echo $$ > {tmp_path}/pid; wait'", SystemClock(), keep_case=False, timeout=0.3)
    [fate] = await pipe.deliver(*order())
    assert (fate.kind, fate.status) == (Kind.TRANSIENT, "4.3.0")
    assert "did not end within 0.3 s" in fate.diagnostic
    outcome = await Pipe("/no/such/program", SystemClock(), keep_case=False).deliver(*order())
    assert isinstance(outcome, PutOff)
    assert (outcome.why.kind, outcome.why.status) == (Kind.TRANSIENT, "4.3.5")


@pytest.mark.directive("command")
async def test_what_a_program_leaves_in_the_background_or_says_without_end_holds_nothing_up() -> None:
    within = {"keep_case": False, "timeout": 10.0}
    [fate] = await Pipe("sh -c 'sleep 30 & exit 0'", SystemClock(), **within).deliver(*order())
    assert fate.kind is Kind.DELIVERED
    [fate] = await Pipe("sh -c 'head -c 1000000 /dev/zero | tr \\\\0 x >&2; exit 67'", SystemClock(), **within).deliver(*order())
    assert fate.status == "5.1.1"
    assert "xxx" in fate.diagnostic
    assert len(fate.diagnostic) < 300
    [fate] = await Pipe("true", SystemClock(), **within).deliver(*order(content=TEXT + b"x" * 1_000_000))
    assert fate.kind is Kind.DELIVERED  # who does not read it breaks nothing


@pytest.mark.directive("command")
async def test_no_address_becomes_an_option(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    [fate] = await Pipe(f"touch $user {ran}", SystemClock(), keep_case=False).deliver(*order("-t@example.com"))
    assert (fate.kind, fate.status) == (Kind.PERMANENT, "5.1.3")
    assert not ran.exists()
    [fate] = await Pipe(f"touch -- {ran}$user", SystemClock(), keep_case=False).deliver(*order("-t@example.com"))
    assert fate.kind is Kind.DELIVERED
    [fate] = await Pipe(f"touch --date=@$timet {ran}", SystemClock(), keep_case=False).deliver(*order())
    assert fate.kind is Kind.DELIVERED


@pytest.mark.directive("command")
@pytest.mark.parametrize("command", ["sh -c 'echo $to'", '/bin/bash -ec "cat > $USER"', "sh -x -c 'a $from'"])
def test_no_macro_in_a_shell_s_script(command: str) -> None:
    with pytest.raises(ValueError, match="would let an address run programs"):
        words(command)
    assert words("sh -c 'exec prog \"$1\"' sh $to")[-1] == "$to"
    assert words("prog -c $to") == ["prog", "-c", "$to"]


def test_words_and_macros() -> None:
    assert words("prog \"--x=$to\" 'a b'") == ["prog", "--x=$to", "a b"]
    assert expand("$to $TO $tofoo $from", {"to": "$from", "from": "x"}) == "$from $from $tofoo x"


# -- a web server -----------------------------------------------------------------------


@pytest.mark.directive("http-delivery-url", "http-delivery-extra-headers", "type")
@pytest.mark.parametrize(("status", "kind"), [(200, Kind.DELIVERED), (202, Kind.DELIVERED), (400, Kind.TRANSIENT), (500, Kind.TRANSIENT)])
async def test_a_post_for_each_recipient(tmp_path: Path, status: int, kind: Kind) -> None:
    asked: list[tuple[str, dict[str, object]]] = []

    async def take(request: web.Request) -> web.Response:
        asked.append((request.headers.get("X-Key", ""), await request.json()))
        return web.Response(status=status)

    app = web.Application()
    app.add_routes([web.post("/in", take)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    (tmp_path / "headers").write_text("X-Key: hush\n\n")
    client = HttpClient(5.0)
    delivery = HttpDelivery(f"http://127.0.0.1:{runner.addresses[0][1]}/in", read_headers(str(tmp_path / "headers")), client, SystemClock())
    fates = await delivery.deliver(*order(YOU, "her@example.com"))
    await client.close()
    await runner.cleanup()
    assert [fate.kind for fate in fates] == [kind, kind]
    assert "hush" not in "".join(fate.diagnostic for fate in fates)
    assert [key for key, _ in asked] == ["hush", "hush"]
    assert [document["rcpt_to"] for _, document in asked] == [YOU, "her@example.com"]
    assert asked[0][1]["msg_from"] == ME
    assert asked[0][1]["content"] == {
        "email_rfc822": TEXT.decode(),
        "headers": [{"Subject": "hello"}, {"From": "me@sender.example"}],
    }


def test_octets_that_are_no_utf_8() -> None:
    document = document_of(*[order(content=TEXT + b"\xff\r\n")[1], order()[1].recipients[0]])
    assert document["content"]["email_rfc822_is_base64"] is True


async def test_a_server_that_is_not_there_waits() -> None:
    client = HttpClient(5.0)
    outcome = await HttpDelivery("http://127.0.0.1:1/in", {}, client, SystemClock()).deliver(*order())
    await client.close()
    assert isinstance(outcome, PutOff)
    assert (outcome.why.kind, outcome.why.status) == (Kind.TRANSIENT, "4.4.1")


@pytest.mark.directive("http-delivery-url")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("closes", [True, False])
async def test_connections_to_web_servers_end_with_their_shard(closes: bool) -> None:
    complaints: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context["message"]))
    transports = Transports(Inline(), SystemClock())
    for _ in range(2):  # a reload makes another
        transport = transports.make(DomainSettings(type="http-delivery", http_delivery_url="http://127.0.0.1:1/in"))
        assert transport is not None
        await transport.deliver(*order())
    if closes:
        await transports.close()
    del transports, transport
    gc.collect()
    assert ("Unclosed client session" in complaints) is not closes


# -- as part of a queue -----------------------------------------------------------------


@pytest.mark.directive("type")
def test_retries_limits_and_reports_are_the_queues(tmp_path: Path) -> None:
    folder = tmp_path / "later"
    with World(relay(domain("*", retry_after=(60.0,)), domain("example.com", type="file", file_destination=str(folder)))) as w:
        w.submit(ME, [YOU])
        w.advance(10)
        assert [record.dlv_type for record in w.of("t")] == ["file"]
        folder.mkdir()
        w.run_until_empty()
        assert len(list(folder.iterdir())) == 1
    boxes = domain("example.com", type="file", file_destination=f"{tmp_path}/$user", file_format="append-mbox")
    with World(relay(domain("*"), boxes)) as w:
        home = w.domain("sender.example")
        w.submit(ME, ['"../x"@example.com'])
        w.run_until_empty()
        assert b"no file can be named" in home.messages[0].content


@pytest.mark.directive("type", "bounce-after")
def test_what_cannot_be_written_expires(tmp_path: Path) -> None:
    box = domain("example.com", type="file", file_destination=str(tmp_path / "gone"))
    with World(relay(domain("*", retry_after=(60.0,), bounce_after=300.0), box)) as w:
        home = w.domain("sender.example")
        w.submit(ME, [YOU])
        assert 300.0 <= w.run_until_empty() <= 420.0
        assert [(record.dlv_type, record.dsn_status) for record in w.of("b")] == [("file", "4.4.7")]
        assert len(home.messages) == 1


@pytest.mark.directive("type", "queue-to")
def test_what_belongs_into_another_queue_goes_there_at_a_reload(tmp_path: Path) -> None:
    here = {"type": "file", "file_destination": str(tmp_path / "gone")}
    with World(relay(domain("*", retry_after=(60.0,)), domain("example.com", **here))) as w:
        other = w.domain("other.example")
        w.submit(ME, [YOU])
        w.advance(10)
        w.reload(relay(domain("*", retry_after=(60.0,)), domain("example.com", queue_to="other.example", **here)))
        w.run_until_empty()
        assert [record.dlv_type for record in w.of("d")] == ["smtp"]
        assert len(other.messages) == 1


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (DomainSettings(type="file"), "type file wants file-destination"),
        (DomainSettings(type="pipe"), "type pipe wants command"),
        (DomainSettings(type="pipe", command='"unclosed'), "command: No closing quotation"),
        (DomainSettings(type="http-delivery"), "type http-delivery wants http-delivery-url"),
        (DomainSettings(type="file", file_destination="/x"), ""),
        (DomainSettings(), ""),
    ],
)
def test_what_a_type_wants(settings: DomainSettings, said: str) -> None:
    assert problem(settings) == said
