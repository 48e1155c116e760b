"""Fuzzes the configuration language: any text gives settings or problems, and nothing else, in either mode.

No exception is allowed at all: every mistake of an operator is a value. Includes are cut out, as they would read this machine's files.
What loads is asked for, too: the relay makes its look-ups and its patterns of it at start, and must not fail there.
"""

from __future__ import annotations

import re
import time
from typing import Final

import common

from postwright.control.config import LoadResult, loads
from postwright.control.config.lines import decode
from postwright.policy.access import AccessRules
from postwright.policy.mx import parse_hosts
from postwright.policy.resolve import Resolved

ALLOWED: Final[tuple[type[Exception], ...]] = ()
SLOW = 5.0  # seconds of processor time for a few kilobytes
_reads_files = re.compile(r"include", re.IGNORECASE)


def _use(result: LoadResult) -> None:
    settings = result.settings
    assert settings is not None
    AccessRules(settings.relay_domains, settings.relay_addresses, settings.general.host_name)
    resolved = Resolved(settings)
    for name in ("gmail.com", "x.y.example", "[10.1.2.3]", "[IPv6:2001:db8::1]", *[block.pattern for block in settings.domains[:5]]):
        for vmta in ("{default}", *list(settings.vmtas)[:3]):
            queue = resolved.queue(name, vmta)
            if queue.smtp_hosts:
                parse_hosts(queue.smtp_hosts, queue.default_smtp_port)
    for peer in ("192.0.2.1", "10.1.2.3", "2001:db8::1"):
        resolved.source(peer, "{in}", "foo")


def fuzz_one(data: bytes) -> None:
    text = _reads_files.sub("in-clude", decode(data))
    began = time.process_time()
    results = [loads(text, "fuzz", offline=True, tolerant=tolerant) for tolerant in (False, True)]
    assert time.process_time() - began < SLOW
    for result in results:
        failed = any(problem.level == "error" for problem in result.problems)
        assert (result.settings is None) == failed
        for problem in result.problems:
            assert 0 <= problem.column <= len(problem.text) + 1
            assert len(problem.render().split("\n")) <= 6
        if result.settings is not None:
            _use(result)
    strict, tolerant = results
    # what the strict mode takes, the tolerant one takes alike
    assert strict.settings is None or strict.settings == tolerant.settings


SEEDS = [
    b"host-name a.example\nlog-file x.log\nsmtp-listener 127.0.0.1:2525 source={in}\n<source {in}>\nrequire-auth yes\n</source>\n",
    b"<source 0/0>\r\n  require-auth true # all\r\n  allow-starttls yes\r\n"
    b"</source>\r\n<source 10/8>\r\nalways-allow-relaying yes\r\n</source>",
    b'<smtp-user foo>\npassword "se\\"sa\\\\me"\nsource {auth}\n</smtp-user>\n'
    b"relay-domain [*.]a.example\nrelay-address /@foo(bar)?\\.example$/\n",
    b"domain-macro a x, $b,\n y.example\ndomain-macro b c,d\n<domain $a.$b>\n"
    b"max-smtp-out 3\nretry-after 10m,1h\nmax-msg-rate 83/10m\n</domain>\n",
    b"<virtual-mta m>\nsmtp-source-host 192.0.2/24 m.example\n<domain *>\nsmtp-hosts [10.1.2.3]:26;lookup-mx:x.example,y\n</domain>\n"
    b"domain-key s, *, k.pem\n</virtual-mta>\n<virtual-mta-pool p>\nvirtual-mta m\n<domain gmail.com>\nbounce-after 4d12h\n</domain>\n"
    b"</virtual-mta-pool>\n",
    b"<smtp-pattern-list l>\nreply /^421 .*(busy|full)/ mode=backoff,disable-source-ip,reenable-after=7m\n</smtp-pattern-list>\n"
    b'<domain *>\nsmtp-pattern-list L\nqueue-to ""\n</domain>\n',
    b"<pattern-list s>\nheader X-Kind /a b/\n<pattern-list>\n* virtual-mta={default}\n</pattern-list>\nmail-from /x/ recipient-priority=5\n"
    b"</pattern-list>\n<source 10/8>\npattern-list s\n</source>\n",
    b"<bounce-category-patterns>\n/no such user/ bad-mailbox\n// other\n/(?!x)y/quota\n</bounce-category-patterns>\n<mx-rollup-list>\n"
    b"mx *.google.com g.rollup rollup-by-ip\n</mx-rollup-list>\n",
    b"<acct-file |/bin/cat -u>\nrecords d, bounce\nrecord-fields d *,!rcpt,header_X\nmax-size 50M\ndelete-after never\n</acct-file>\n"
    b"<spool /var/spool/x>\npriority 5\nmin-free-space 1g\n</spool>\nspool y\n",
    b"http-access 0/0 monitor,deny-logs\nhttp-access # x\n<unknown b>\n<domain x>\n</unknown>\n421-means-mx-unavailable yes\n",
    "\ufeff# r\u00e9glages\n<domain b\u00fccher.example>\nqueue-priority 7\n"
    "</domain>\n<address-list a>\naddress /x/\n</address-list>\n".encode(),
]

if __name__ == "__main__":
    common.run(fuzz_one, SEEDS)
