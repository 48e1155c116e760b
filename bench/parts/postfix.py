"""The yardstick: a Postfix of the bench's own, configuration, queue and data in a folder of its own, tuned for throughput.

Nothing of the machine's own Postfix is read, written or stopped. It needs root, as Postfix changes users; elsewhere `why_not` says so
and the bench goes on without a peer. The settings are those that make Postfix fastest at this task without giving up its durable queue:
no DNS, no TLS, no delay for a client that is fast, connections kept, and as many of them to the receiver as our relay may open.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from parts.bench import Bench, BenchError
from parts.outside import find, listening
from postwright.testing.sockets import free_port

SERVICES = (  # name, type, wake-up, most processes, program and arguments
    "pickup unix 60 1 pickup",
    "cleanup unix - 0 cleanup",
    "qmgr unix 300 1 qmgr",
    "tlsmgr unix 1000? 1 tlsmgr",
    "tlsproxy unix - 0 tlsproxy",
    "rewrite unix - - trivial-rewrite",
    "bounce unix - 0 bounce",
    "defer unix - 0 bounce",
    "trace unix - 0 bounce",
    "verify unix - 1 verify",
    "flush unix 1000? 0 flush",
    "proxymap unix - - proxymap",
    "smtp unix - - smtp",
    "relay unix - - smtp",
    "error unix - - error",
    "retry unix - - error",
    "discard unix - - discard",
    "anvil unix - 1 anvil",
    "scache unix - 1 scache",
    "postlog unix-dgram - 1 postlogd",
)


def why_not() -> str:
    """Why there is no Postfix to compare with; empty when there is one."""
    if find("postfix") is None:
        return "Postfix is not installed (tests/system/install postfix does that): no peer in this run"
    if os.geteuid() != 0:
        return "Postfix needs root: no peer in this run"
    return ""


def version() -> str:
    """As Postfix tells it."""
    program = find("postconf")
    if program is None:
        return "none"
    return subprocess.run([program, "-dh", "mail_version"], capture_output=True, text=True, check=False).stdout.strip()


def main_cf(folder: Path, sink_port: int, more: str = "") -> str:
    """The settings, see the module, and `more` lines (of two the later counts)."""
    return f"""\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file_prefixes = {folder}
maillog_file = {folder}/log
myhostname = relay.test.example
mydestination =
mynetworks = 127.0.0.0/8
relayhost = [127.0.0.1]:{sink_port}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
smtp_tls_security_level = none
smtpd_tls_security_level = none
smtpd_peername_lookup = no
smtp_dns_support_level = disabled
smtp_host_lookup = native
in_flow_delay = 0
smtpd_error_sleep_time = 0
smtpd_client_connection_count_limit = 0
smtp_connection_cache_on_demand = yes
smtp_connection_cache_destinations = [127.0.0.1]:{sink_port}
initial_destination_concurrency = 20
default_destination_concurrency_limit = 20
smtp_destination_concurrency_limit = 20
{more}"""


def master_cf(port: int) -> str:
    """Debian's services without chroot, the listener on `port`."""
    lines = [f"127.0.0.1:{port} inet n - n - - smtpd"]
    for service in SERVICES:
        name, kind, wakeup, most, program = service.split()
        # what the submission commands of ordinary users talk to is public
        private = "n" if name in {"pickup", "cleanup", "qmgr", "flush", "postlog"} else "-"
        lines.append(f"{name} {kind} {private} - n {wakeup} {most} {program}")
    return "\n".join(lines) + "\n"


@asynccontextmanager
async def running_postfix(bench: Bench, sink_port: int, more: str = "") -> AsyncIterator[int]:
    """Its port, while it runs."""
    with bench.place("postfix") as folder:
        _enterable(folder)
        etc, port = folder / "etc", free_port()
        for name, owner in (("etc", "root"), ("queue", "root"), ("data", "postfix")):
            (folder / name).mkdir(mode=0o755)
            shutil.chown(folder / name, owner)
        (etc / "main.cf").write_text(main_cf(folder, sink_port, more), "utf-8")
        (etc / "master.cf").write_text(master_cf(port), "utf-8")
        try:
            await asyncio.to_thread(_postfix, etc, "start")
            await listening(port, "Postfix")
            yield port
        finally:
            _postfix(etc, "stop", check=False)


def _enterable(folder: Path) -> None:
    """Postfix's processes are another user's. Raises BenchError, as the failure that it would be later says nothing of the reason."""
    for parent in folder.parents:
        if not parent.stat().st_mode & 0o001:
            raise BenchError(f"Postfix cannot work below {parent}, which is closed to other users: give another --folder")


def _postfix(etc: Path, verb: str, check: bool = True) -> None:
    program = find("postfix")
    assert program is not None
    done = subprocess.run([program, "-c", etc, verb], capture_output=True, text=True, timeout=60, check=False)
    if check and done.returncode:
        raise BenchError(f"postfix {verb} ended with {done.returncode}: {done.stderr.strip()}")
