"""A real Postfix and a real Exim for a test: configuration, queue and mailboxes in a folder of their own, on a port of their own.

Both are set up alike: mail for USERS goes into maildirs; every other recipient is refused at RCPT; so are messages above SIZE_LIMIT octets;
STARTTLS, DSN, 8BITMIME, SMTPUTF8 and CHUNKING are offered. They need root, as they change users to deliver. Nothing of the machine's own
mail system is read, written or stopped.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from tests.interop.jails import unwrapped
from tests.interop.peers import listens, until

from postwright.testing.sockets import free_port

SIZE_LIMIT = 200_000
START_TIMEOUT = 30.0
USERS = {"bob@there.example": "bob", "grün@there.example": "bob", "eve@there.example": "eve", "anne@client.example": "anne"}


class Mta(Protocol):
    """A running mail system. `name` is what it calls itself in SMTP."""

    name: str
    port: int
    folder: Path

    def log(self) -> str: ...


async def take(mta: Mta, user: str, count: int = 1) -> list[bytes]:
    """Waits until `count` messages are in the user's maildir, takes them out, and returns them with CRLF."""
    new = mta.folder / "mail" / user / "new"

    def there() -> bool:
        return new.is_dir() and len(list(new.iterdir())) >= count

    try:
        await until(there, f"{count} messages for {user}")
    except TimeoutError as error:
        raise TimeoutError(f"{error}; the log has\n{mta.log()}") from None
    paths = sorted(new.iterdir())
    messages = [path.read_bytes() for path in paths]
    for path in paths:
        path.unlink()
    return [message.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") for message in messages]


@contextmanager
def open_folder(prefix: str) -> Iterator[Path]:
    """A folder that every user may pass through (pytest's own are closed to all but us), gone at the end."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def wait_until_listening(port: int, what: str, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while not listens("127.0.0.1", port):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not listen on {port}; its log:\n{log.read_text(errors='replace') if log.exists() else ''}")
        time.sleep(0.02)


class Postfix:
    name = "postfix.example"

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.etc = folder / "etc"

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")


def postfix_main(folder: Path, certificate: Path) -> str:
    boxes = " ".join(f"{{{address} = {user}/}}" for address, user in USERS.items())
    nobody = pwd.getpwnam("nobody")
    return f"""\
compatibility_level = 3.6
myhostname = {Postfix.name}
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file_prefixes = {folder}
maillog_file = {folder}/log
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mydestination =
alias_maps =
smtpd_peername_lookup = no
smtpd_relay_restrictions = reject_unauth_destination
smtpd_tls_security_level = may
smtpd_tls_cert_file = {certificate}
smtpd_tls_key_file = {certificate}
smtpd_tls_received_header = yes
smtputf8_enable = yes
message_size_limit = {SIZE_LIMIT}
virtual_mailbox_domains = there.example client.example
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = inline:{{{boxes}}}
virtual_uid_maps = static:{nobody.pw_uid}
virtual_gid_maps = static:{nobody.pw_gid}
"""


def postfix_master(port: int) -> str:
    """What takes mail and puts it into maildirs. Columns: service, type, private, unprivileged, chroot, wake-up, limit, program."""
    return f"""\
127.0.0.1:{port} inet n - n - - smtpd
cleanup  unix n - n -   0 cleanup
qmgr     unix n - n 300 1 qmgr
tlsmgr   unix - - n -   1 tlsmgr
rewrite  unix - - n -   - trivial-rewrite
bounce   unix - - n -   0 bounce
defer    unix - - n -   0 bounce
trace    unix - - n -   0 bounce
proxymap unix - - n -   - proxymap
error    unix - - n -   - error
retry    unix - - n -   - error
virtual  unix - n n -   - virtual
anvil    unix - - n -   1 anvil
postlog  unix-dgram n - n - 1 postlogd
"""


@contextmanager
def running_postfix(postfix: Path, certificate: Path) -> Iterator[Postfix]:
    with open_folder("pw-postfix-") as folder:
        mta = Postfix(folder, free_port())
        for name, owner in (("etc", "root"), ("queue", "root"), ("data", "postfix"), ("mail", "nobody")):
            (folder / name).mkdir(mode=0o755)
            shutil.chown(folder / name, owner)
        (mta.etc / "main.cf").write_text(postfix_main(folder, certificate), "utf-8")
        (mta.etc / "master.cf").write_text(postfix_master(mta.port))
        subprocess.run([postfix, "-c", mta.etc, "start"], check=True, capture_output=True, timeout=START_TIMEOUT)
        try:
            wait_until_listening(mta.port, "postfix", folder / "log")
            yield mta
        finally:
            subprocess.run([postfix, "-c", mta.etc, "stop"], check=False, capture_output=True, timeout=START_TIMEOUT)


class Exim:
    name = "exim.example"

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port

    def log(self) -> str:
        return "".join(path.read_text(errors="replace") for path in sorted((self.folder / "log").glob("*log")))


def exim_config(folder: Path, port: int, certificate: Path) -> str:
    boxes = "".join(f"{address.partition('@')[0]}: {user}\n" for address, user in USERS.items())
    (folder / "boxes").write_text(boxes, "utf-8")
    return f"""\
primary_hostname = {Exim.name}
exim_path = {folder}/exim
deliver_drop_privilege = true
keep_environment =
spool_directory = {folder}/spool
log_file_path = {folder}/log/%slog
pid_file_path = {folder}/exim.pid
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
domainlist ours = there.example : client.example
acl_smtp_rcpt = rcpt
host_lookup =
rfc1413_hosts =
message_size_limit = {SIZE_LIMIT}
tls_advertise_hosts = *
tls_certificate = {certificate}
dsn_advertise_hosts = *
smtputf8_advertise_hosts = *
smtp_accept_max = 0
smtp_accept_queue_per_connection = 0
queue_run_max = 0

begin acl
rcpt:
  accept domains = +ours
         local_parts = lsearch;{folder}/boxes
  deny   message = no such user here

begin routers
boxes:
  driver = accept
  domains = +ours
  local_parts = lsearch;{folder}/boxes
  transport = maildir

begin transports
maildir:
  driver = appendfile
  directory = {folder}/mail/$local_part_data
  maildir_format
  user = Debian-exim
  return_path_add
  delivery_date_add
"""


def copy_for_everybody(program: Path, folder: Path) -> Path:
    """Exim calls itself as another user, who may not reach what tests/system/install has unpacked: a copy in `folder`, with its libraries.

    Without the set-uid bit, as the loader takes no libraries from unusual places for a program that has it.
    """
    libraries, real = unwrapped(program)
    shutil.copyfile(real, folder / "exim.bin")
    for place in filter(None, libraries.split(":")):
        for library in Path(place).glob("*.so*"):
            shutil.copy(library, folder)
    start = folder / "exim"
    start.write_text(f'#!/bin/sh\nLD_LIBRARY_PATH={folder} exec {folder}/exim.bin "$@"\n')
    for path in (start, folder / "exim.bin"):
        path.chmod(0o755)
    return start


@contextmanager
def running_exim(exim: Path, certificate: Path) -> Iterator[Exim]:
    with open_folder("pw-exim-") as folder:
        mta = Exim(folder, free_port())
        for name in ("spool", "log", "mail"):
            (folder / name).mkdir(mode=0o755)
            shutil.chown(folder / name, "Debian-exim")
        pem = folder / "certificate.pem"
        shutil.copy(certificate, pem)
        shutil.chown(pem, "Debian-exim")
        program = copy_for_everybody(exim, folder)
        config = folder / "exim.conf"
        config.write_text(exim_config(folder, mta.port, pem), "utf-8")
        with (folder / "out").open("wb") as output:
            process = subprocess.Popen(
                [program, "-C", config, "-bdf"], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
        try:
            wait_until_listening(mta.port, "exim", folder / "out")
            yield mta
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(START_TIMEOUT)
