"""The table of clients: every client logs in in every way that it knows, at each port, and our record is asked what came of it.

`fill` runs them all. A cell is what our record has: the version of TLS for a login that succeeded and a message that came by it, with the
right user, by the right port, and, where the client sends, at the receiver with ESMTPSA in its Received field. All else is a trouble, told.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

from msgspec import Struct
from tests.interop.client_drivers import BEARER, CLIENTS, PORTS, Client, Said, Try
from tests.interop.client_office import FAR, NEAR, ROBOT, USER, Office, Seen, protocol
from tests.interop.peers import Needs

AT_ONCE = 2  # clients, on a machine of two cores
NO_SECRET = ("EXTERNAL", "GSSAPI")
NOTHING = "–"


class Row(Struct):
    """`cells`: what our record has for each of PORTS; `wrong`: our reply to a wrong secret; `troubles`: what is not as it should be."""

    client: str
    login: str
    cells: list[str]
    wrong: str
    troubles: list[str]


class Table(Struct):
    rows: list[Row]
    versions: dict[str, str]


def _label(client: Client) -> str:
    return re.sub(r"[^a-z]+", "-", client.name.lower())


def good(office: Office, client: Client) -> list[Try]:
    """Every login at every port, and one message without a login to us at port 25 as `init` has it."""
    tries = [_try(office, client, mechanism, role) for role in client.roles for mechanism in client.mechanisms]
    if client.sends:
        name = f"{_label(client)}.nobody"
        tries.append(Try(name, office.ports["mx"], "starttls", "", "", "", f"{name}@{NEAR}"))
    return tries


def _try(office: Office, client: Client, mechanism: str, role: str) -> Try:
    name = f"{_label(client)}.{mechanism.lower()}.{role}"
    secret = "" if mechanism in NO_SECRET else office.token if mechanism in BEARER else office.password
    user = ROBOT if mechanism == "EXTERNAL" else USER
    return Try(name, office.ports[role], "ssl" if role == "465" else "starttls", mechanism, user, secret, f"{name}@{FAR}")


def wrong(office: Office, client: Client) -> list[Try]:
    """Every login that has a secret, with a wrong one, at the client's own port for these."""
    port = office.ports[f"wrong {client.name}"]
    names = [(mechanism, f"{_label(client)}.{mechanism.lower()}.wrong") for mechanism in client.mechanisms if mechanism not in NO_SECRET]
    return [
        Try(name, port, "starttls", mechanism, USER, office.bad_token if mechanism in BEARER else "wrong", f"{name}@{FAR}")
        for mechanism, name in names
    ]


async def fill(office: Office, needs: Needs, clients: Sequence[Client] = CLIENTS) -> Table:
    """All clients do all that they can; then our record is read."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def use(client: Client) -> tuple[Said, str]:
        async with turns:
            return await client.drive(office, needs, good(office, client) + wrong(office, client)), await client.version(needs)

    told = await asyncio.gather(*(use(client) for client in clients))
    try:
        await office.settled([attempt.recipient for client in clients for attempt in _that_arrive(office, client)])
    except TimeoutError:
        pass  # the cells tell which did not
    record = Record(office)
    rows = [row for client, (said, _) in zip(clients, told, strict=True) for row in record.rows(client, said)]
    return Table(rows, {client.name: version for client, (_, version) in zip(clients, told, strict=True)})


def _that_arrive(office: Office, client: Client) -> list[Try]:
    return [attempt for attempt in good(office, client) if client.sends and attempt.mechanism not in client.old]


class Record:
    """Our record, read once."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._receipts, self._arrived = office.receipts(), office.arrived()
        self._at: dict[int, list[Seen]] = {}
        self._of: dict[str, Seen] = {}
        for seen in office.sessions():
            self._at.setdefault(seen.port, []).append(seen)
            for address in (*seen.taken, *seen.senders):
                self._of.setdefault(address, seen)

    def rows(self, client: Client, said: Said) -> list[Row]:
        rows = [self._row(client, mechanism, said) for mechanism in client.mechanisms]
        if client.sends:
            attempt = good(self._office, client)[-1]
            cell, trouble = self._cell(client, attempt)
            troubles = [f"{trouble}; the client says {said.get(attempt.name)!r}"] if trouble else []
            rows.insert(0, Row(client.name, "nobody", [cell, *[NOTHING] * 3], NOTHING, troubles))
        return rows

    def _row(self, client: Client, mechanism: str, said: Said) -> Row:
        row = Row(client.name, mechanism, [], NOTHING, [])
        for role in PORTS:
            attempt = _try(self._office, client, mechanism, role)
            cell, trouble = (NOTHING, "") if role not in client.roles else self._cell(client, attempt)
            row.cells.append(cell)
            if trouble:
                row.troubles.append(f"port {role}: {trouble}; the client says {said.get(attempt.name, 'that all is well')!r}")
        if mechanism not in NO_SECRET:
            row.wrong = " ".join(sorted(set(self._refusals(client, mechanism, f"wrong {client.name}")))) or "nothing"
            if row.wrong not in (("535", "334") if mechanism in BEARER else ("535",)):
                row.troubles.append(f"a wrong secret is answered {row.wrong}")
        return row

    def _refusals(self, client: Client, mechanism: str, role: str) -> list[str]:
        """A token is refused by a 334 that says why (RFC 7628); the 535 comes when the client has answered that. Some hang up instead."""
        at = self._at.get(self._office.ports[role], [])
        return [code or "334" for seen in at if not seen.taken for used, code in seen.logins if used == mechanism]

    def _cell(self, client: Client, attempt: Try) -> tuple[str, str]:
        """What to write, and what is wrong."""
        if attempt.mechanism in client.old:
            return self._refused_as_old(client, attempt)
        seen = self._of.get(attempt.recipient)
        if seen is None:
            return "", "our log knows of no such message"
        if (seen.port, seen.starttls) != (attempt.port, attempt.security == "starttls"):
            return "", f"it came otherwise: {seen}"
        if seen.logins[-1:] != ([(attempt.mechanism, "235")] if attempt.mechanism else []):
            return "", f"its logins were {seen.logins}"
        return seen.tls, self._in_record(attempt, seen) if client.sends else ""

    def _in_record(self, attempt: Try, seen: Seen) -> str:
        row, message = self._receipts.get(attempt.recipient), self._arrived.get(attempt.recipient)
        if row is None or message is None:
            return "not in the accounting file" if row is None else "it did not arrive"
        if (row.get("rcvSmtpUser", ""), row.get("rcvTlsProtocol")) != (attempt.user, seen.tls):
            return f"the accounting file has {row}"
        expected = "ESMTPSA" if attempt.mechanism else "ESMTPS"
        return "" if protocol(message) == expected else f"Received says {protocol(message)}"

    def _refused_as_old(self, client: Client, attempt: Try) -> tuple[str, str]:
        at = self._at.get(attempt.port, [])
        codes = {code for seen in at for used, code in seen.logins if used == attempt.mechanism and code != "235"}
        trouble = "" if codes == {"535"} and attempt.recipient not in self._of else f"it was answered {codes}"
        return "535 (version 1)", trouble
