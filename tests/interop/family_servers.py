"""Postfix, Exim, OpenSMTPD and Sendmail as relays: each takes anything from loopback and hands it on, some of it to us, the rest to a sink.

Mail for `NAME.from.example` and below goes to the port `ours`, where Postwright listens, everything else to the port `sink`. All offer what
their packages can: STARTTLS with the given certificate, 8BITMIME, DSN, and a SIZE of SIZE_LIMIT. Each has one mood (see `test_moods`):

    postfix    521 to the sender blocked@client.example, and the connection is closed
    exim4      450 to recipients named "grey" until the file `welcome` is in its folder
    opensmtpd  554 at DATA to the sender spam@client.example
    sendmail   452 to the 101st recipient of a transaction and all after it

They need root, as they change users. All their files are in a folder of their own; nothing of the machine's mail system is touched.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from msgspec import Struct
from tests.interop.jails import Jail, unwrapped
from tests.interop.mtas import START_TIMEOUT, copy_for_everybody, open_folder, wait_until_listening

SIZE_LIMIT = 6_000_000
SENDMAIL_RCPTS = 100
OPENSMTPD_USERS = {"opensmtpd": 901, "opensmtpq": 902}
SENDMAIL_USERS = {"smmta": 903, "smmsp": 904}


class Ports(Struct):
    """Where a server listens (`bare`: with fewer extensions, Exim only), and where mail goes to."""

    ours: int
    sink: int
    listen: int
    bare: int


class Server(Struct):
    """A mail system that runs. `log` tells what it had to say."""

    name: str
    ports: Ports
    folder: Path
    log: Callable[[], str]


def _reader(folder: Path, *patterns: str) -> Callable[[], str]:
    return lambda: "".join(path.read_text(errors="replace") for pattern in patterns for path in sorted(folder.glob(pattern)))


# -- Postfix


def postfix_main(folder: Path, certificate: Path, ports: Ports) -> str:
    return f"""\
compatibility_level = 3.6
myhostname = postfix.example
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file_prefixes = {folder}
maillog_file = {folder}/log
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mydestination =
alias_maps =
mynetworks = 127.0.0.0/8
smtpd_peername_lookup = no
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_sender_restrictions = check_sender_access inline:{{ {{ blocked@client.example = 521 5.3.2 You are not welcome here }} }}
smtpd_tls_security_level = may
smtpd_tls_cert_file = {certificate}
smtpd_tls_key_file = {certificate}
smtp_tls_security_level = may
smtputf8_enable = yes
message_size_limit = {SIZE_LIMIT}
smtp_destination_recipient_limit = 1000
minimal_backoff_time = 1s
queue_run_delay = 1s
disable_dns_lookups = yes
relayhost = [127.0.0.1]:{ports.sink}
transport_maps = inline:{{ {{ .from.example = smtp:[127.0.0.1]:{ports.ours} }} }}
"""


def postfix_master(ports: Ports) -> str:
    """Columns: service, type, private, unprivileged, chroot, wake-up, limit, program."""
    return f"""\
127.0.0.1:{ports.listen} inet n - n - - smtpd
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
smtp     unix - - n -   - smtp
anvil    unix - - n -   1 anvil
scache   unix - - n -   1 scache
postlog  unix-dgram n - n - 1 postlogd
"""


@contextmanager
def postfix(program: Path, certificate: Path, ports: Ports) -> Iterator[Server]:
    with open_folder("pw-postfix-") as folder:
        server = Server("postfix", ports, folder, _reader(folder, "log"))
        for name, owner in (("etc", "root"), ("queue", "root"), ("data", "postfix")):
            (folder / name).mkdir(mode=0o755)
            shutil.chown(folder / name, owner)
        (folder / "etc/main.cf").write_text(postfix_main(folder, certificate, ports), "utf-8")
        (folder / "etc/master.cf").write_text(postfix_master(ports))
        subprocess.run([program, "-c", folder / "etc", "start"], check=True, capture_output=True, timeout=START_TIMEOUT)
        try:
            wait_until_listening(ports.listen, "postfix", folder / "log")
            yield server
        finally:
            subprocess.run([program, "-c", folder / "etc", "stop"], check=False, capture_output=True, timeout=START_TIMEOUT)


# -- Exim


def exim_config(folder: Path, certificate: Path, ports: Ports) -> str:
    return f"""\
primary_hostname = exim.example
exim_path = {folder}/exim
deliver_drop_privilege = true
keep_environment =
spool_directory = {folder}/spool
log_file_path = {folder}/log/%slog
pid_file_path = {folder}/exim.pid
local_interfaces = 127.0.0.1
daemon_smtp_ports = {ports.listen} : {ports.bare}
acl_smtp_rcpt = rcpt
host_lookup =
rfc1413_hosts =
message_size_limit = {SIZE_LIMIT}
tls_advertise_hosts = *
tls_certificate = {certificate}
dsn_advertise_hosts = ${{if eq{{$received_port}}{{{ports.bare}}}{{}}{{*}}}}
smtputf8_advertise_hosts = ${{if eq{{$received_port}}{{{ports.bare}}}{{}}{{*}}}}
smtp_accept_max = 0
smtp_accept_queue_per_connection = 0
accept_8bitmime = true

begin acl
rcpt:
  defer  local_parts = grey
         condition = ${{if exists{{{folder}/welcome}}{{no}}{{yes}}}}
         message = 450 4.7.1 Greylisted, come again
  accept

begin routers
ours:
  driver = manualroute
  domains = *.from.example
  transport = to_us
  route_list = * 127.0.0.1
  self = send
onward:
  driver = manualroute
  transport = to_sink
  route_list = * 127.0.0.1
  self = send

begin transports
to_us:
  driver = smtp
  port = {ports.ours}
  max_rcpt = 1000
  hosts_try_fastopen =
to_sink:
  driver = smtp
  port = {ports.sink}
  max_rcpt = 1000
  hosts_try_fastopen =

begin retry
* * F,1h,1s
"""


@contextmanager
def exim(program: Path, certificate: Path, ports: Ports) -> Iterator[Server]:
    with open_folder("pw-exim-") as folder:
        server = Server("exim4", ports, folder, _reader(folder, "out", "log/*log"))
        for name in ("spool", "log"):
            (folder / name).mkdir(mode=0o755)
            shutil.chown(folder / name, "Debian-exim")
        pem = folder / "certificate.pem"
        shutil.copy(certificate, pem)
        shutil.chown(pem, "Debian-exim")
        start, config = copy_for_everybody(program, folder), folder / "exim.conf"
        config.write_text(exim_config(folder, pem, ports), "utf-8")
        with (folder / "out").open("wb") as output:
            process = subprocess.Popen(
                [start, "-C", config, "-bdf"], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
        try:
            wait_until_listening(ports.listen, "exim", folder / "out")
            yield server
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(START_TIMEOUT)


# -- OpenSMTPD


def opensmtpd_config(ports: Ports) -> str:
    return f"""\
pki mail cert "/etc/certificate.pem"
pki mail key "/etc/certificate.pem"
smtp max-message-size "{SIZE_LIMIT}"
mta limit conn-delay-route 0
table spammers {{ "spam@client.example" }}
table ours {{ "*.from.example" }}
filter nospam phase data match mail-from <spammers> reject "554 5.7.1 We want no spam"
listen on 127.0.0.1 port {ports.listen} hostname opensmtpd.example tls pki mail filter nospam
action to-us relay host smtp://127.0.0.1:{ports.ours}
action to-sink relay host smtp://127.0.0.1:{ports.sink}
match from any for domain <ours> action to-us
match from any for any action to-sink
"""


@contextmanager
def opensmtpd(program: Path, certificate: Path, ports: Ports) -> Iterator[Server]:
    with open_folder("pw-opensmtpd-") as folder:
        server = Server("opensmtpd", ports, folder, _reader(folder, "out"))
        root = folder / "root"
        root.mkdir(mode=0o755)
        jail = Jail(root, OPENSMTPD_USERS)
        jail.put(program, "usr/sbin/smtpd")
        jail.make("var/lib/opensmtpd/empty", 0o755)
        jail.make("var/spool/smtpd", 0o711)
        jail.write("etc/mailname", "opensmtpd.example\n")
        jail.write("etc/certificate.pem", certificate.read_text(), 0o600)
        jail.write("etc/ssl/certs/ca-certificates.crt", certificate.read_text())
        jail.write("etc/smtpd.conf", opensmtpd_config(ports), 0o600)
        with jail.running(["/usr/sbin/smtpd", "-d", "-f", "/etc/smtpd.conf"], folder / "out"):
            wait_until_listening(ports.listen, "opensmtpd", folder / "out")
            yield server


# -- Sendmail


def sendmail_mc(ports: Ports) -> str:
    """The mailer `relay` goes to us, `esmtp` to the sink."""
    return f"""\
divert(0)dnl
OSTYPE(`linux')dnl
define(`confDOMAIN_NAME', `sendmail.example')dnl
define(`confSERVICE_SWITCH_FILE', `/etc/mail/service.switch')dnl
define(`QUEUE_DIR', `/queue')dnl
define(`ALIAS_FILE', `')dnl
define(`STATUS_FILE', `/etc/mail/statistics')dnl
define(`HELP_FILE', `')dnl
define(`confPID_FILE', `/var/run/sendmail.pid')dnl
define(`confHOST_STATUS_DIRECTORY', `')dnl
define(`confDELIVERY_MODE', `background')dnl
define(`confMAX_MESSAGE_SIZE', `{SIZE_LIMIT}')dnl
define(`confMAX_RCPTS_PER_MESSAGE', `{SENDMAIL_RCPTS}')dnl
define(`confMIN_QUEUE_AGE', `0')dnl
define(`confTO_IDENT', `0')dnl
define(`confREFUSE_LA', `1000')dnl
define(`confQUEUE_LA', `1000')dnl
define(`confCACERT', `/etc/mail/certificate.pem')dnl
define(`confCACERT_PATH', `/etc/mail')dnl
define(`confSERVER_CERT', `/etc/mail/certificate.pem')dnl
define(`confSERVER_KEY', `/etc/mail/certificate.pem')dnl
define(`confBAD_RCPT_THROTTLE', `0')dnl
FEATURE(`no_default_msa')dnl
FEATURE(`nocanonify')dnl
FEATURE(`promiscuous_relay')dnl
FEATURE(`accept_unresolvable_domains')dnl
DAEMON_OPTIONS(`Addr=127.0.0.1, Port={ports.listen}, Name=MTA')dnl
define(`SMTP_MAILER_LL', `2040')dnl
define(`ESMTP_MAILER_ARGS', `TCP $h {ports.sink}')dnl
define(`RELAY_MAILER_ARGS', `TCP $h {ports.ours}')dnl
define(`SMART_HOST', `esmtp:[127.0.0.1]')dnl
MAILER(`smtp')dnl
LOCAL_RULE_0
R$* < @ $* .from.example. > $*	$#relay $@ [127.0.0.1] $: $1 < @ $2 .from.example. > $3
R$* < @ $* .from.example > $*	$#relay $@ [127.0.0.1] $: $1 < @ $2 .from.example > $3
"""


def sendmail_cf(program: Path, mc: str, folder: Path) -> str:
    """The configuration, made by m4 of the templates that are unpacked beside the program."""
    libraries, executable = unwrapped(program)
    root = executable.parents[3]
    templates = root / "usr/share/sendmail/cf"
    (folder / "sendmail.mc").write_text(mc)
    words = [str(root / "usr/bin/m4"), f"-D_CF_DIR_={templates}/", str(templates / "m4/cf.m4"), str(folder / "sendmail.mc")]
    environment = {**os.environ, "LD_LIBRARY_PATH": libraries}
    return subprocess.run(words, env=environment, capture_output=True, text=True, check=True, timeout=START_TIMEOUT).stdout


@contextmanager
def sendmail(program: Path, certificate: Path, ports: Ports) -> Iterator[Server]:
    with open_folder("pw-sendmail-") as folder:
        server = Server("sendmail", ports, folder, _reader(folder, "out", "root/traffic"))
        root = folder / "root"
        root.mkdir(mode=0o755)
        jail = Jail(root, SENDMAIL_USERS)
        jail.put(program, "usr/sbin/sendmail")
        jail.make("queue", 0o700)
        jail.make("etc/mail", 0o755)
        jail.write("etc/mail/service.switch", "hosts files\naliases files\n")
        jail.write("etc/mail/certificate.pem", certificate.read_text(), 0o600)
        jail.write("etc/mail/sendmail.cf", sendmail_cf(program, sendmail_mc(ports), folder))
        with jail.running(["/usr/sbin/sendmail", "-bD", "-q1s", "-X", "/traffic", "-C", "/etc/mail/sendmail.cf"], folder / "out"):
            wait_until_listening(ports.listen, "sendmail", folder / "out")
            yield server


Start = Callable[[Path, Path, Ports], AbstractContextManager[Server]]

SERVERS: dict[str, tuple[str, Start]] = {
    "Postfix": ("postfix", postfix),
    "Exim": ("exim4", exim),
    "OpenSMTPD": ("opensmtpd", opensmtpd),
    "Sendmail": ("sendmail-mta", sendmail),
}
"""Name: the program that tests/system/install brings, and what starts it."""
