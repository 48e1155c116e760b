"""How events look outside: JSON, CSV, a line; hidden addresses stay hidden in all of them."""

from __future__ import annotations

import csv
import io
import json

import pytest

from postwright.model.privacy import Privacy
from postwright.model.record import Record
from postwright.store import event_frames as frames
from postwright.store.accounting_rows import RowForm
from postwright.store.event_files import Place
from postwright.store.event_forms import EventForm
from postwright.store.event_reader import Event

KEY = 7


def event(record: Record) -> Event:
    return Event(record, frames.pack(record), Place(1, 0), KEY)


DELIVERED = event(Record("d", 1.7e9 + 0.25, 9, 2, rcpt="anne@b.example", dsn_status="2.0.0", dsn_diag="smtp;250 fine, thanks", dlv_size=7))


def test_json_has_what_there_is() -> None:
    found = json.loads(EventForm(("d", "b")).json(DELIVERED))
    assert list(found)[:3] == ["eventId", "time", "type"]
    assert found == {
        "eventId": DELIVERED.id,
        "time": 1.7e9 + 0.25,
        "type": "d",
        "timeLogged": "2023-11-14 22:13:20+0000",
        "rcpt": "anne@b.example",
        "dsnStatus": "2.0.0 (success)",
        "dsnDiag": "smtp;250 fine, thanks",
        "dlvSize": "7",
    }


def test_a_row_has_the_id_where_it_was_asked_for() -> None:
    form = EventForm(("d",), RowForm(("d",), {"d": ("rcpt", "dsnDiag", "eventId")}))
    [row] = csv.DictReader(io.StringIO((form.header_line + form.row(DELIVERED)).decode(), newline=""))
    assert row == {"type": "d", "rcpt": "anne@b.example", "dsnDiag": "smtp;250 fine, thanks", "eventId": DELIVERED.id}
    assert DELIVERED.id.encode() not in EventForm(("d",), RowForm(("d",))).row(DELIVERED)
    assert list(json.loads(form.json(DELIVERED))) == ["eventId", "time", "type", "rcpt", "dsnDiag"]


def test_a_line() -> None:
    assert EventForm(("d",)).line(DELIVERED) == (
        f"2023-11-14 22:13:20  d  anne@b.example  2.0.0 (success)  smtp;250 fine, thanks  [{DELIVERED.id}]"
    )
    of_a_queue = event(Record("tq", 1.7e9, queue="b.example/vm1"))
    assert EventForm(("tq",)).line(of_a_queue).startswith("2023-11-14 22:13:20  tq  b.example/vm1  [")
    assert EventForm(("b",)).line(event(Record("b", 1.7e9, dsn_diag="\x1b[2J\u202e"))).count("\\") == 2


@pytest.mark.parametrize("policy", [Privacy("redact"), Privacy("hmac-sha256", "", b"k" * 32)])
def test_a_hidden_address_is_in_none_of_them(policy: Privacy) -> None:
    form = EventForm(("d",), privacy=policy)
    for text in (form.json(DELIVERED), form.row(DELIVERED), form.line(DELIVERED).encode()):
        assert b"anne" not in text
        assert b"@b.example" in text


def test_an_id_cannot_be_tried_for_without_the_key() -> None:
    """Whoever has all of an event but the address could else try addresses until the id fits."""
    guess = event(DELIVERED.record)
    assert guess.id == DELIVERED.id
    assert Event(guess.record, guess.payload, guess.after, KEY + 1).id.rpartition("-")[2] != DELIVERED.id.rpartition("-")[2]
