"""docs/reference/clients.md, out of the table of clients: `./dev exec python -m tests.interop.client_page docs/reference/clients.md`.

The test of the table makes the same page and compares: all but the versions of the clients, which are those of one run, must be as it is
written; and rows of a client that even CI may lack (Jakarta Mail) are compared where it is.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from pathlib import Path

from tests.conftest import _need as get_program
from tests.conftest import find_program
from tests.interop.client_drivers import CLIENTS, PORTS, Client
from tests.interop.client_office import open_office
from tests.interop.client_table import Table, fill

PAGE = Path(__file__).resolve().parents[2] / "docs/reference/clients.md"
OPTIONAL = "Jakarta Mail"

HEAD = """\
# Clients that are known to work

Real clients, each way to log in that they know, at each port. The table is written by the tests
(`./dev exec python -m tests.interop.client_page docs/reference/clients.md`), and a test fails when a run gives another one. The relay is
the one that `postwright init` writes, with an acceptor for every mechanism added; its record is the judge, not the client: a cell has the
version of TLS that our log and the accounting file have for a login that succeeded, by that port, of the right user, whose message arrived
with `ESMTPSA` in its Received field.

- **25** is a listener with STARTTLS and logins, as many sites have it. (`init` gives port 25 no logins: the rows `nobody` are mail to a
  domain of ours at that one.) **587** and **2525** are STARTTLS and then a login, **465** is TLS from the first octet.
- **wrong secret**: our reply to a wrong password or token. `EXTERNAL` is a client certificate, `GSSAPI` a ticket of a real MIT KDC.
- "–": the client cannot, or there is nothing to try. gsasl has no TLS from the first octet; it logs in and sends nothing.
- **NTLM version 1** can be broken within hours by whoever listens, and is refused on purpose: swaks (Authen::NTLM) and msmtp (GNU SASL,
  libntlm) know no other. curl and Jakarta Mail speak version 2. See [the guide](../guides/microsoft-logins.md).
- **334**: a token is refused by a challenge that says why (RFC 7628); the client hangs up where it ought to answer, and never sees the 535.

What each mechanism needs, and when it is offered: [authentication.md](authentication.md). What to type into the panels of Joomla and
WordPress, which send with PHPMailer: [the guide](../guides/joomla-wordpress.md).
"""


def render(table: Table) -> str:
    lines = [HEAD, f"| client | login | {' | '.join(PORTS)} | wrong secret |", f"|---|---|{'---|' * len(PORTS)}---|"]
    lines += [f"| {row.client} | {row.login} | {' | '.join(row.cells)} | {row.wrong} |" for row in table.rows]
    lines += ["", "In that run:", "", "| client | version |", "|---|---|"]
    lines += [f"| {name} | {version} |" for name, version in table.versions.items()]
    return "\n".join(lines) + "\n"


def comparable(page: str, *, optional: bool) -> str:
    """The page without what may differ from machine to machine."""
    lines = page.splitlines()
    if not optional:
        lines = [line for line in lines if not line.startswith(f"| {OPTIONAL} |")]
    return "\n".join(re.sub(r"^(\| [^|]+ \|) [\d.]+ \|$", r"\1 |", line) for line in lines)


def clients_here() -> tuple[Client, ...]:
    """All clients; an optional one where it is."""
    return tuple(client for client in CLIENTS if client.name != OPTIONAL or find_program(client.program) is not None)


async def _run(folder: Path) -> Table:
    clients = clients_here()
    async with open_office(folder, [client.name for client in clients], get_program) as office:
        return await fill(office, get_program, clients)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        table = asyncio.run(_run(Path(name)))
    for row in table.rows:
        for trouble in row.troubles:
            print(f"{row.client} {row.login}: {trouble}", file=sys.stderr)
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(render(table), "utf-8")
    raise SystemExit(any(row.troubles for row in table.rows))


if __name__ == "__main__":
    main()
