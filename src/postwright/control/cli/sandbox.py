"""The sandbox of `postwright run` without a configuration: a relay that delivers everything to a receiver of its own.

The receiver is the shipped sink, a process beside the relay that saves what it gets below the state folder. It ends when we end, even by
SIGKILL, since it watches a pipe from us. Nothing can leave the machine: every domain's `smtp-hosts` is that receiver.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import click

from postwright.control.config import loads
from postwright.engine.self_signed import keep_certificate
from postwright.engine.supervisor import LoadFailed
from postwright.policy.settings import Settings

SMTPS = """\
<smtp-listener 127.0.0.1:{port}>
    immediate-tls yes
</smtp-listener>
"""
HTTP = """\
http-mgmt-port {port}
http-mgmt-address 127.0.0.1
http-redirect-to-https no
http-access 127.0.0.1/32 admin
"""
HTTP_PORT = 8080  # PowerMTA's
CONFIG = """\
# The sandbox of `postwright run`: takes mail from this machine, delivers all of it to a receiver of its own.
host-name localhost
run-as-root yes
event-log yes
event-log-max-size 64M
smtp-listener 127.0.0.1:{port}
smtp-server-tls-certificate {certificate}
<source 127.0.0.1/32>
    always-allow-relaying yes
    allow-starttls yes
    add-message-id-header yes
    add-date-header yes
    process-x-virtual-mta yes
    process-x-job yes
</source>
<domain *>
    smtp-hosts [127.0.0.1]:{sink}
    use-starttls no
    track-recipient-events yes
</domain>
<acct-file acct.csv>
    records d, b, t, r
</acct-file>
"""


class Sandbox:
    """A context manager: the receiver runs inside it. It wants its folder `inbox` to be there.

    `smtps_port` 0: no TLS from the start; `http_port` 0: no monitor, None: at the usual port, or at a free one when somebody has that.
    """

    def __init__(self, state_dir: Path, port: int, smtps_port: int, http_port: int | None = 0) -> None:
        self.state_dir = state_dir
        self.port = port
        self.smtps_port = smtps_port
        self.http_port = _free_port(HTTP_PORT) if http_port is None else http_port
        self.certificate = state_dir / "sandbox.pem"
        self.inbox = state_dir / "inbox"
        self._sink: subprocess.Popen[str] | None = None
        self._sink_port = 0

    def __enter__(self) -> Sandbox:
        self._sink_port = _free_port()
        command = [sys.executable, "-m", "postwright", "sink", "--listen", f"127.0.0.1:{self._sink_port}"]
        command += ["--save", str(self.inbox), "--show", "--until-eof"]
        # a pipe that only we hold: when we are gone, however that came, the sink reads its end and goes too
        self._sink = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
        threading.Thread(target=self._relay_output, daemon=True).start()
        return self

    def _relay_output(self) -> None:
        assert self._sink is not None
        assert self._sink.stdout is not None
        for line in self._sink.stdout:
            if not line.startswith("message "):
                continue  # where it listens and what it counted is no news to a newcomer
            click.echo(f"  sandbox | {line.rstrip()}")

    def __exit__(self, *unused: object) -> None:
        if self._sink is not None:
            if self._sink.stdin is not None:
                self._sink.stdin.close()
            try:
                self._sink.wait(5.0)
            except subprocess.TimeoutExpired:
                self._sink.kill()

    def load(self) -> Settings:
        """The embedded configuration, and the certificate that it names. Raises OSError when that cannot be written."""
        keep_certificate(self.certificate, ("localhost",), time.time())
        text = config_text(self.port, self.smtps_port, self._sink_port, self.certificate, self.http_port)
        result = loads(text, "sandbox", state_dir=self.state_dir)
        errors = [problem.render() for problem in result.problems if problem.level == "error"]
        if errors or result.settings is None:
            raise LoadFailed(errors)
        return result.settings

    def _also(self) -> str:
        smtps = f", and TLS from the start on 127.0.0.1:{self.smtps_port}" if self.smtps_port else ""
        return f" (STARTTLS with a certificate of its own){smtps}"

    def _monitor(self) -> str:
        return f"\nThe monitor, in a browser: http://127.0.0.1:{self.http_port}/" if self.http_port else ""

    def announce(self) -> None:
        """What a newcomer types next."""
        click.echo(
            f"""\
Postwright takes mail on 127.0.0.1:{self.port}{self._also()}. This is the sandbox: nothing leaves this machine.
State is in {self.state_dir}; what arrives is saved in {self.inbox}.{self._monitor()}

Send a first message from another terminal, with any of these:

  swaks --server 127.0.0.1:{self.port} --from you@example.org --to friend@example.com

  python3 -c 'import smtplib; smtplib.SMTP("127.0.0.1", {self.port}).sendmail(
    "you@example.org", ["friend@example.com"], "Subject: first message\\n\\nIt works.\\n")'

and see it arrive here. Ctrl-C stops. With a configuration of your own: postwright run --config FILE
"""
        )


def config_text(port: int, smtps_port: int, sink: int, certificate: Path, http_port: int = 0) -> str:
    """What the sandbox runs with: our ports (0 for no SMTPS, and no monitor) and the receiver's."""
    text = CONFIG.format(port=port, sink=sink, certificate=f'"{certificate}"')
    text += HTTP.format(port=http_port) if http_port else "http-mgmt-port 0\n"
    return text + (SMTPS.format(port=smtps_port) if smtps_port else "")


def _free_port(wish: int = 0) -> int:
    """`wish` if nobody has it, else one that nobody has."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", wish))
        except OSError:
            return _free_port()
        port: int = sock.getsockname()[1]
        return port
