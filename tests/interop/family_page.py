"""docs/reference/family.md, out of what was said: `./dev exec python -m tests.interop.family_page docs/reference/family.md`.

`fill` sends two messages each way through each server and reads in our log what was offered and used. The test of the family makes the same
page and compares. Versions of the servers are not in it: they are the distribution's.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from tests.conftest import _need as get_program
from tests.interop.family import SEEN, Family, Hop, open_family
from tests.interop.family_servers import SERVERS

PAGE = Path(__file__).resolve().parents[2] / "docs/reference/family.md"
NOTHING, OFFERED = "–", "offered"

HEAD = """\
# What mail systems and Postwright agree on

Postfix, Exim, OpenSMTPD and Sendmail of Debian 12 as relays before and behind Postwright. The table is written by the tests
(`./dev exec python -m tests.interop.family_page docs/reference/family.md`), out of the dialogue in our log, and a test fails when a run
gives another one. What was sent: a message in 8 bits with the parameters of a DSN to three recipients, and one with Cyrillic and Chinese
addresses where the receiving side takes them.

- **used**: the client used what the server offered. For `PIPELINING`: it sent a command before the last one was answered; for
  `ENHANCEDSTATUSCODES`: the replies have them. **offered**: it did not. **–**: the server does not offer it.
- `SIZE`, `8BITMIME`, `SMTPUTF8` and `DSN` are parameters of MAIL and RCPT, `CHUNKING` is BDAT in place of DATA.
- Exim says `BODY=8BITMIME` to nobody, and sends eight bits to all. OpenSMTPD and Sendmail of this distribution know no SMTPUTF8: a message
  that needs it is refused by them, and one that we have for them is returned to its sender (5.6.7).
- This OpenSMTPD offers STARTTLS, and its half of the handshake then fails (it and OpenSSL 3 do not fit, upstream issue 1171). Our TLS is
  opportunistic here, so the message goes without; with `require-starttls` it would wait.
- Where the other side offers no `DSN`, NOTIFY and its like end with us, and we report `relayed` to whoever asked for a report of success
  (RFC 3461 section 5.2.2).
"""


async def fill(family: Family) -> dict[tuple[str, str], Hop]:
    """What was said, by server and way."""
    ways = [(name, way) for name in SERVERS for way in ("from", "to")]
    for name, way in ways:
        await _talk(family, name, way)
    return {(name, way): family.spoken(name, way) for name, way in ways}


async def _talk(family: Family, name: str, way: str) -> None:
    domain = family.domain(name, way)
    three = [f"{user}@{domain}" for user in ("one", "two", "three")]
    content = "Subject: table\r\n\r\nGrüße\r\n".encode()
    sent = await family.send(name, way, content, three, mail="BODY=8BITMIME RET=HDRS ENVID=table", rcpt="NOTIFY=FAILURE")
    assert sent.final.code == 250, sent
    await family.arrived(name, *three)
    if takes_utf8(name):
        rcpt = f"用户@почта.{domain}"
        sent = await family.send(name, way, content, [rcpt], mail="BODY=8BITMIME SMTPUTF8")
        assert sent.final.code == 250, sent
        await family.arrived(name, rcpt)


def takes_utf8(name: str) -> bool:
    return name in ("Postfix", "Exim")


def render(table: dict[tuple[str, str], Hop]) -> str:
    lines = [HEAD, f"| from | to | {' | '.join(SEEN)} | TLS |", f"|---|---|{'---|' * len(SEEN)}---|"]
    for (name, way), hop in table.items():
        pair = (name, "Postwright") if way == "from" else ("Postwright", name)
        used = hop.used()
        cells = ["used" if word in used else OFFERED if word in hop.offered else NOTHING for word in SEEN]
        lines.append(f"| {' | '.join((*pair, *cells, ', '.join(sorted(hop.tls)) or NOTHING))} |")
    return "\n".join(lines) + "\n"


async def _run(folder: Path) -> str:
    async with open_family(folder, get_program) as family:
        return render(await fill(family))


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        page = asyncio.run(_run(Path(name)))
    Path(sys.argv[1]).write_text(page, "utf-8")


if __name__ == "__main__":
    main()
