"""The configuration that `postwright init` writes, out of a handful of answers. Pure: answers in, text out.

The answers are checked before (`init`), so that none can bring a line of its own. What stands in the text works as it is; what an operator
may want next is there as a comment.
"""

from __future__ import annotations

from msgspec import Struct


class Answers(Struct, frozen=True):
    """What was asked. Ports are 0 or empty where there is to be no such listener; without a `users_file` the `password` is in the text."""

    host_name: str
    domain: str
    certificate: str
    user: str
    users_file: str = "users"
    password: str = ""
    address: str = "0.0.0.0"
    mx_port: int = 25
    submission_ports: tuple[int, ...] = (587, 2525)
    smtps_port: int = 465
    relay_domains: tuple[str, ...] = ()
    run_as_root: bool = False

    def __repr__(self) -> str:
        return f"Answers({self.host_name!r}, {self.user!r})"


def render(answers: Answers) -> str:
    """The configuration."""
    parts = (_head(answers), _MONITOR, _listeners(answers), _mx(answers), _submission(answers), _user(answers), _DELIVERY)
    return "\n".join(part for part in parts if part)


def _head(answers: Answers) -> str:
    return f"""\
# Configuration of Postwright, written by `postwright init`. One directive a line; # begins a comment.
#   postwright check FILE             tells what is wrong with it
#   postwright config explain FILE    tells which line gives which setting
#   postwright reload                 puts changes into force, without dropping a session

# Who we are: the name that we greet with and say in EHLO. It wants an A record, and the address a PTR record back to it.
host-name   {answers.host_name}
postmaster  postmaster@{answers.domain}

# root opens the ports, then every process runs as the user postwright (or the one given by --user).
run-as-root {"yes" if answers.run_as_root else "no"}

# Paths of state are relative to the state folder (--state-dir).
log-file  postwright.log
<spool spool>
</spool>
<acct-file acct.csv>
    records  d, b, t, r
    delete-after  30d
</acct-file>

# Certificate, chain and key in one PEM file; a new one is taken by itself when the file changes. With Let's Encrypt let the
# deploy hook do: cat fullchain.pem privkey.pem > FILE.new && mv FILE.new FILE
smtp-server-tls-certificate  {quoted(answers.certificate)}
"""


_MONITOR = """\
# The monitor, at http://127.0.0.1:8080/ for who is on this machine (from elsewhere: ssh -L 8080:127.0.0.1:8080 THIS-HOST). Who steers
# has a key: postwright key add NAME --scope admin. To let a network look by HTTPS: http-access 192.0.2.0/24 monitor, without the address.
http-mgmt-port         8080
http-mgmt-address      127.0.0.1
http-redirect-to-https no
http-access            127.0.0.1/32 monitor
"""


def _listeners(answers: Answers) -> str:
    where = f"[{answers.address}]" if ":" in answers.address else answers.address
    lines = []
    if answers.mx_port:
        lines += ["# Mail for us from the world: replies, bounces, reports.", f"smtp-listener {where}:{answers.mx_port} source={{mx}}", ""]
    if answers.submission_ports:
        lines.append("# Mail of our users: STARTTLS, then a login. 2525 is for hosts whose provider blocks 25 and 587.")
        lines += [f"smtp-listener {where}:{port} source={{submission}}" for port in answers.submission_ports] + [""]
    if answers.smtps_port:
        lines += [
            "# The same with TLS from the first octet (SMTPS; mail programs call it SSL/TLS).",
            f"<smtp-listener {where}:{answers.smtps_port}>",
        ]
        lines += ["    source {submission}", "    immediate-tls yes", "</smtp-listener>", ""]
    return "\n".join(lines)


def _mx(answers: Answers) -> str:
    if not answers.mx_port:
        return ""
    named = "\n".join(f"relay-domain {domain}" for domain in answers.relay_domains)
    domains = named or f"# relay-domain bounce.{answers.domain}"
    return f"""\
# Everybody may send to these domains, and nowhere else. Their mail goes on to their MX hosts; mail for postmaster@ and abuse@ of
# host-name goes to the address above.
{domains}
<source {{mx}}>
    always-allow-relaying  no
    allow-auth             no
    allow-starttls         yes
    max-message-size       50m
</source>
"""


def _submission(answers: Answers) -> str:
    if not answers.submission_ports and not answers.smtps_port:
        return ""
    return """\
# Who logs in may send anywhere, and nobody logs in without TLS.
<source {submission}>
    require-auth                  yes
    allow-starttls                yes
    require-starttls-before-auth  yes
    max-message-size              50m
    add-message-id-header         yes
    add-date-header               yes
    process-x-virtual-mta         yes
    process-x-job                 yes
    process-x-envid               yes
</source>
"""


def _user(answers: Answers) -> str:
    if answers.users_file:
        return f"""\
# Who may log in: names with hashes of their passwords, kept by `postwright user`.
users-file {quoted(answers.users_file)}
"""
    return f"""\
# Who may log in. This password stands here as it is: let nobody read this file who need not.
<smtp-user {answers.user}>
    password {quoted(answers.password)}
</smtp-user>
"""


_DELIVERY = """\
# How we send. A block for one domain says what is different there.
<domain *>
    max-smtp-out    20
    use-starttls    yes
    retry-after     10m, 30m, 1h, 4h
    bounce-after    4d
</domain>
"""


def quoted(text: str) -> str:
    """As one word, whatever blanks are in it. It has no quotation marks and no line ends: those were refused."""
    return f'"{text}"'
