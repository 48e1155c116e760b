"""`type lmtp` against Dovecot's LMTP, by TCP and by its Unix socket: users, one whom it does not know, one whose mailbox is full.

Dovecot has paths compiled in, so it lives in a jail; that takes the superuser. About 4 seconds.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.interop.jails import Jail, unwrapped
from tests.interop.mtas import wait_until_listening
from tests.scenarios.alone import Alone
from tests.scenarios.clients import client, send

from postwright.testing.sink import SinkServer
from postwright.testing.sockets import free_port

MODULES = ("modules/libssl_iostream_openssl.so", "modules/lib10_quota_plugin.so")
USERS = {"dovecot": 61001, "dovenull": 61002, "vmail": 61003}
CONFIG = """
base_dir = /run/dovecot
state_dir = /run/state
log_path = /dev/stderr
protocols = lmtp
ssl = no
mail_location = maildir:/mail/%n
mail_plugins = quota
plugin {{
  quota = maildir:User quota
  quota_rule = *:storage=1M
  quota_status_overquota = 552 5.2.2 mailbox is full
}}
auth_username_format = %n
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = passwd-file
  args = username_format=%n /etc/dovecot/users
}}
service lmtp {{
  unix_listener lmtp {{
    mode = 0666
  }}
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {port}
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""


@contextmanager
def dovecot(program: Path, root: Path, port: int) -> Iterator[None]:
    """Running, with all its programs and modules in the jail."""
    jail = Jail(root, USERS)
    unpacked = unwrapped(program)[1].parents[2]
    shutil.copytree(unpacked / "usr/lib/dovecot", root / "usr/lib/dovecot")
    jail.put(program, "usr/sbin/dovecot")
    wrapper = program.read_text().rpartition("exec ")[0]
    for name in ("bin/doveconf", *(f"lib/dovecot/{name}" for name in ("auth", "lmtp", *MODULES))):
        beside = root / "wrapper"  # told of what its libraries are as the program that was asked for
        beside.write_text(f"{wrapper}exec '{unpacked / 'usr' / name}' \"$@\"\n")
        jail.put(beside, f"usr/{name}")
    for library in (unpacked / "usr/lib/dovecot").glob("lib*.so*"):
        shutil.copyfile(library, root / "usr/lib" / library.name)
    jail.make("run/dovecot", 0o755)
    jail.make("run/state", 0o755)
    jail.make("mail", 0o700, USERS["vmail"], USERS["vmail"])
    jail.write("etc/dovecot/dovecot.conf", CONFIG.format(port=port))
    jail.write("etc/dovecot/users", "".join(f"{name}::{USERS['vmail']}:{USERS['vmail']}::/mail/{name}::\n" for name in ("anne", "bob")))
    with jail.running(["/usr/sbin/dovecot", "-F"], root / "out"):
        try:
            wait_until_listening(port, "dovecot", root / "out")
            yield
        finally:
            print((root / "out").read_text())


def of(relay: Alone, kind: str, count: int) -> list[dict[str, str]]:
    """Records of what went by LMTP, when there are so many: the reports about it go by SMTP."""
    rows = [row for row in relay.records(kind) if row["dlvType"] == "lmtp"]
    return rows if len(rows) >= count else []


@pytest.mark.needs("dovecot")
@pytest.mark.needs("root")
@pytest.mark.directive("type", "smtp-hosts")
async def test_dovecot_takes_mail_for_each_of_its_users(tmp_path: Path, needs: Callable[[str], Path]) -> None:
    program, port = needs("dovecot"), free_port()
    needs("root")
    with tempfile.TemporaryDirectory(prefix="pw-") as short:
        root = Path(short)
        root.chmod(0o755)
        rules = "".join(
            f"<domain {domain}>\n type lmtp\n smtp-hosts {hosts}\n retry-after 1h\n</domain>\n"
            for domain, hosts in (("tcp.example", f"127.0.0.1:{port}"), ("unix.example", f"unix:{root}/run/dovecot/lmtp"))
        )
        with dovecot(program, root, port):
            async with SinkServer() as receiver, Alone(tmp_path, receiver, rules) as relay, client(relay.port) as session:
                for domain in ("tcp.example", "unix.example"):
                    await send(session, *[f"{user}@{domain}" for user in ("anne", "stranger", "bob")])
                delivered = await relay.until(lambda: of(relay, "d", 4), "4 deliveries")
                bounced = await relay.until(lambda: of(relay, "b", 2), "2 bounces")
                await send(session, "anne@unix.example", content=b"Subject: big\r\n\r\n" + (b"x" * 70 + b"\r\n") * 20_000)
                [full] = await relay.until(lambda: [row for row in relay.records("b", "t") if row["rcpt"] == "anne@unix.example"], "full")
        mails = [path.read_bytes() for path in (root / "mail").rglob("new/*")]
    assert {row["dsnAction"] for row in delivered} == {"delivered"}
    assert {(row["rcpt"].partition("@")[0], row["dsnStatus"].split()[0]) for row in bounced} == {("stranger", "5.1.1")}
    assert len(mails) == 4
    assert all(b"\nSubject: hello\n" in mail.replace(b"\r\n", b"\n") for mail in mails)
    assert full["dsnStatus"].split()[0] in ("5.2.2", "4.2.2")
