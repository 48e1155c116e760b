"""What content work costs per message: trace, transform, reports, downgrade; microseconds, the best of several rounds.

python bench/bench_content.py [--rounds N]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from postwright.content import dsn, trace
from postwright.content.downgrade import to_7bit
from postwright.content.dsn import RecipientReport
from postwright.content.transform import prepare
from postwright.model.address import Address
from postwright.model.envelope import Envelope, Recipient
from postwright.model.message import Arrival, Message
from postwright.wire.body import scan

NOW = 1_795_515_476.0
ARRIVAL = Arrival(peer="192.0.2.1", peer_name="client.example", protocol="ESMTPS", tls="TLSv1.3", cipher="TLS_AES_256_GCM_SHA384")
NAMES = ("From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type", "List-Unsubscribe", "Reply-To", "DKIM-Signature",
         "Feedback-ID", "List-ID", "Precedence", "X-Mailer", "Received")  # fmt: skip
HEADER = "".join([f"{name}: a value of this field that is about as long as they are\r\n" for name in NAMES]).encode()
PLAIN = HEADER + b"\r\n" + b"A line of text that is as long as lines of text are wont to be.\r\n" * 47
LABELLED = b"X-Virtual-MTA: mta1\r\nX-Job: job-1\r\n" + PLAIN
WIDE = PLAIN.replace(b"\r\n\r\n", "\r\n\r\nGr\u00fcezi\r\n".encode()).replace(b"MIME-Version: a", b"X-Other: a")


def work() -> dict[str, Callable[[], object]]:
    """Name -> one piece of work."""
    plain, labelled, wide = scan(PLAIN), scan(LABELLED), scan(WIDE)
    received = trace.received(ARRIVAL, "mail.example", "0abcdefghjkmn", "bob@c.example", NOW, False)
    envelope = Envelope(Address("a@b.example", "b.example"), [Recipient(Address("bob@c.example", "c.example"))])
    message = Message(1, NOW, envelope, plain, ARRIVAL)
    report = [RecipientReport("bob@c.example", "", "5.1.1", "smtp;550 5.1.1 no such user", "mx.c.example (192.0.2.1)", NOW)]
    add_id, add_date = b"Message-ID: <a@b>\r\n", b"Date: now\r\n"

    def build() -> bytes:
        return dsn.build(
            "failed", message, report, PLAIN, host="m.example", now=NOW, message_id="x", from_header="", full=False, boundary="=_x"
        )

    return {
        "received": lambda: trace.received(ARRIVAL, "mail.example", "0abcdefghjkmn", "bob@c.example", NOW, False),
        "prepare, Received only": lambda: prepare(PLAIN, plain, received=received),
        "prepare, looking for x-virtual-mta and x-job in vain": lambda: prepare(
            PLAIN, plain, received=received, process_vmta=True, process_job=True
        ),
        "prepare, all of it, nothing to cut": lambda: prepare(
            PLAIN,
            plain,
            received=received,
            add_message_id=add_id,
            add_date=add_date,
            process_vmta=True,
            process_job=True,
            process_envid=True,
        ),
        "prepare, two fields cut": lambda: prepare(LABELLED, labelled, received=received, process_vmta=True, process_job=True),
        "report": build,
        "downgrade": lambda: to_7bit(WIDE, wide),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    print(f"{len(PLAIN)} octets, {len(NAMES)} fields")
    for name, one in work().items():
        times = 2000
        best = min([_round(one, times) for _ in range(rounds)])
        print(f"{best * 1e6:8.2f} us  {name}")


def _round(one: Callable[[], object], times: int) -> float:
    begin = time.perf_counter()
    for _ in range(times):
        one()
    return (time.perf_counter() - begin) / times


if __name__ == "__main__":
    main()
