"""`RelayProcess`: a real `postwright run` for tests: written, started, asked, killed, started again, stopped.

    async with RelayProcess(tmp_path, plain_config(port) + rules) as relay:
        ... send to 127.0.0.1:port ...
        [row] = await relay.wait_for_records("d", 1)

Entering waits until all shards take mail (sd_notify's READY=1: no guess, no sleep). Leaving stops the relay by SIGTERM and complains of
what went wrong inside: a traceback, an event that the relay itself calls unexpected. When the test has failed, log and output of the
relay are printed, for pytest to show. Nothing survives the test: the processes are a group of their own, and it is killed; where util-linux
has setpriv(1), they end even when the test itself is killed.
Raises RelayError for a relay that does not start, dies, or does not stop; TimeoutError, with what is there, for what did not come about.
"""

from __future__ import annotations

import asyncio
import csv
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import msgspec

from postwright.engine.bus import BusError, ask
from postwright.engine.frames import VERSION, Ask, Told
from postwright.engine.status import RelayStatus

START_TIMEOUT = 30.0
STOP_TIMEOUT = 20.0
WAIT_TIMEOUT = 20.0
_STEP = 0.02

T = TypeVar("T")


class RelayError(AssertionError):
    """The relay did something that no test asked for."""


def plain_config(port: int, records: str = "d, b, t, r") -> str:
    """What every relay of a test has: a listener on 127.0.0.1, a spool, accounting in acct*.csv, a log. Who may relay is not said.

    Failed logins are answered at once and lock nobody: tests that are about logins come from one address, and have no time.
    """
    return f"""\
host-name relay.example
postmaster postmaster@relay.example
log-file relay.log
run-as-root yes
auth-failures-per-user unlimited
smtp-listener 127.0.0.1:{port}
<source 0/0>
    auth-failures-per-network unlimited
    auth-failure-delay 0
</source>
<spool spool>
</spool>
<acct-file acct.csv>
    records {records}
</acct-file>
"""


class RelayProcess:
    """One relay in `folder`: its configuration in relay.conf, all its state in state/. `options` go to `postwright run`.

    It has no HTTP process unless its configuration names `http-mgmt-port`. `config` may be changed (`write_config`) while it runs, for a
    reload. The same object may be started again after `stop` or `kill`.
    """

    start_timeout = START_TIMEOUT  # more for a relay that finds a large spool

    def __init__(
        self,
        folder: Path,
        config: str,
        *,
        shards: int = 1,
        options: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        python: str = sys.executable,
    ) -> None:
        self.folder = folder
        self.config_file = folder / "relay.conf"
        self.state_dir = folder / "state"
        self.output_file = folder / "relay.out"
        self.shards = shards
        self.python = python
        self._options = tuple(options)
        self.environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._group = 0
        self.write_config(config)

    def write_config(self, config: str) -> None:
        quiet = "" if "http-mgmt-port" in config else "\nhttp-mgmt-port 0\n"
        self.config_file.write_text(config + quiet, "utf-8")

    # -- start and stop -----------------------------------------------------------

    async def __aenter__(self) -> RelayProcess:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if self.running:
                await self.stop()
            if error is None:
                self.check()
        except BaseException:
            error = error or sys.exc_info()[1]
            raise
        finally:
            self.kill()
            if error is not None:
                print(self.story())

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The supervisor. Its group holds all processes of the relay."""
        if self._process is None:
            raise RelayError("the relay was not started")
        return self._process

    async def start(self) -> None:
        """Starts it and waits until it takes mail. Raises RelayError with its output when it ends instead."""
        self.state_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="pw-") as short, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
            # a Unix socket's name must be short, and pytest's folders are not
            name = str(Path(short) / "notify")
            ready.bind(name)
            # a relay that has given up root must reach it, as it reaches systemd's
            os.chmod(short, 0o711)
            os.chmod(name, 0o666)
            ready.setblocking(False)
            self._process = self._spawn({"NOTIFY_SOCKET": name})
            self._group = self._process.pid
            try:
                await asyncio.wait_for(self._until_ready(ready), self.start_timeout)
            except TimeoutError:
                self.kill()
                raise RelayError(f"the relay was not ready within {START_TIMEOUT:g} s\n{self.story()}") from None

    def _spawn(self, more: Mapping[str, str]) -> subprocess.Popen[bytes]:
        # the kernel kills the supervisor when we die, and its shards leave when it is gone
        leash = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
        command = [*leash, self.python, "-m", "postwright", "run", "--config", str(self.config_file), "--state-dir", str(self.state_dir)]
        command += ["--shards", str(self.shards), *self._options]
        with self.output_file.open("ab") as output:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env={**self.environment, **more},
                start_new_session=True,
            )

    async def _until_ready(self, ready: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                said = await asyncio.wait_for(loop.sock_recv(ready, 4096), 0.1)
            except TimeoutError:
                if not self.running:
                    raise RelayError(f"the relay ended with status {self.process.returncode} instead of starting\n{self.story()}") from None
            else:
                if b"READY=1" in said.split(b"\n"):
                    return

    async def stop(self) -> int:
        """SIGTERM, and waits for its end. Returns the exit status. Raises RelayError when it does not end in time."""
        process = self.process
        process.send_signal(signal.SIGTERM)
        try:
            return await asyncio.to_thread(process.wait, STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.kill()
            raise RelayError(f"the relay did not end within {STOP_TIMEOUT:g} s of SIGTERM\n{self.story()}") from None

    def kill(self) -> None:
        """SIGKILL to the whole group, at once. Once for each start: later the number may be somebody else's."""
        group, self._group = self._group, 0
        if not group:
            return
        try:
            os.killpg(group, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()

    # -- what it says and writes ----------------------------------------------------

    def status(self) -> RelayStatus:
        """What `postwright status --json` has. Raises BusError when it does not answer."""
        told = self.ask("status")
        return msgspec.json.decode(told.body, type=RelayStatus)

    def ask(self, verb: str, **arguments: str) -> Told:
        """A question to the control socket: reload, rotate … Raises BusError."""
        told = ask(self.state_dir / "control.sock", Ask(VERSION, verb, arguments))
        if not isinstance(told, Told):
            raise BusError(f"{verb} was not answered")
        return told

    @property
    def log_file(self) -> Path:
        """Where the configuration says `log-file`; relay.log when it does not."""
        said = re.search(r"^\s*log-file\s+(\S+)", self.config_file.read_text("utf-8"), re.MULTILINE)
        return self.state_dir / (said[1] if said else "relay.log")

    def log(self) -> list[dict[str, Any]]:
        """The events of the log, oldest first."""
        path = self.log_file
        lines = path.read_bytes().splitlines() if path.exists() else []
        return [msgspec.json.decode(line) for line in lines]

    def records(self, *kinds: str) -> list[dict[str, str]]:
        """Rows of the accounting files, in order; of these record types, or all. Columns that a row leaves empty are not in it."""
        rows = []
        for path in sorted(self.state_dir.glob("*.csv")):
            with path.open(encoding="utf-8", newline="") as file:
                rows += [{name: value for name, value in row.items() if value} for row in csv.DictReader(file)]
        return [row for row in rows if not kinds or row["type"] in kinds]

    async def until(self, condition: Callable[[], T], what: str, timeout: float = WAIT_TIMEOUT) -> T:
        """Waits until `condition()` is true of the outside; returns its value. Raises TimeoutError, RelayError if the relay dies."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while not (value := condition()):
            if not self.running:
                raise RelayError(f"the relay is gone (status {self.process.returncode}) while a test waits for {what}")
            if loop.time() > deadline:
                raise TimeoutError(f"waited {timeout:g} s for {what}; accounting has {self.records()}")
            await asyncio.sleep(_STEP)
        return value

    async def wait_for_records(self, kind: str, count: int, timeout: float = WAIT_TIMEOUT) -> list[dict[str, str]]:
        """Waits until `count` rows of this type are in the accounting files; returns all of them."""
        await self.until(lambda: len(self.records(kind)) >= count, f"{count} records {kind}", timeout)
        return self.records(kind)

    def check(self) -> None:
        """Raises RelayError when the relay has complained of itself: a traceback, or an event called unexpected."""
        bad = [event for event in self.log() if event.get("event") == "unexpected" or "exception" in event]
        output = self.output_file.read_text("utf-8", "replace") if self.output_file.exists() else ""
        if bad or "Traceback (most recent call last)" in output:
            raise RelayError(f"something unexpected happened inside the relay:\n{self.story()}")

    def story(self) -> str:
        """Configuration, output and log, for a person who looks for the reason."""
        parts = []
        for path in (self.config_file, self.output_file, self.log_file):
            if path.exists():
                parts.append(f"---- {path.name} ----\n{path.read_text('utf-8', 'backslashreplace').rstrip()}")
        return "\n".join(parts)
