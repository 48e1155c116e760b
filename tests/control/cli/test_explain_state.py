"""`postwright explain --state-dir`: whom the relay's suppression store holds."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from postwright.control.cli.main import main
from postwright.engine.orders.book import Book, MailOrder, QueueRule, Why, with_mail, with_queues
from postwright.engine.orders.desk import write_book
from postwright.engine.orders.selection import Selection
from postwright.model.suppression import Suppressed
from postwright.store.suppression import FILE, SuppressionStore

CONFIG = """\
host-name relay.example
log-file relay.log
smtp-listener 127.0.0.1:2525
<source 127.0.0.1>
    always-allow-relaying yes
</source>
<domain *>
    smtp-hosts 127.0.0.1:2626
</domain>
"""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir()
    (tmp_path / "relay.conf").write_text(CONFIG)
    store = SuppressionStore(folder / FILE, create=True)
    store.add([Suppressed("gone@a.example", "", "bad-mailbox", "bounce", time.time(), None)])
    store.close()
    return folder


def explain(state: Path, to: str, *more: str) -> Result:
    return CliRunner().invoke(main, ["explain", "--from", "me@x.example", "--to", to, "--config", str(state.parent / "relay.conf"), *more])


def test_who_is_in_the_store_is_refused(state: Path) -> None:
    result = explain(state, "gone@a.example", "--state-dir", str(state))
    assert result.exit_code == 1, result.output
    assert "refused: 550 5.7.1 recipient is suppressed (bad-mailbox): <gone@a.example> (after RCPT TO)" in result.output


def test_others_are_not_and_without_the_folder_nobody_is(state: Path) -> None:
    assert explain(state, "you@a.example", "--state-dir", str(state)).exit_code == 0
    assert explain(state, "gone@a.example").exit_code == 0


def test_a_store_is_closed_at_the_end(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, closed, make, close = 0, 0, SuppressionStore.__init__, SuppressionStore.close

    def counted(self: SuppressionStore, path: Path, **more: Any) -> None:
        nonlocal opened
        make(self, path, **more)
        opened += 1

    def counted_out(self: SuppressionStore) -> None:
        nonlocal closed
        close(self)
        closed += 1

    monkeypatch.setattr(SuppressionStore, "__init__", counted)
    monkeypatch.setattr(SuppressionStore, "close", counted_out)
    assert explain(state, "you@a.example", "--state-dir", str(state)).exit_code == 0
    assert (opened, closed) == (1, 1)


def test_a_store_is_read_and_not_changed(state: Path) -> None:
    before = (state / FILE).read_bytes()
    explain(state, "gone@a.example", "--state-dir", str(state))
    assert (state / FILE).read_bytes() == before


def test_what_an_operator_has_paused_is_told(state: Path) -> None:
    book = with_queues(Book(), QueueRule("a.example/*", True, Why("root", 1_700_000_000.0, "they block us")))
    write_book(state, with_mail(book, MailOrder(0, Selection(queue="*"))))
    result = explain(state, "you@a.example", "--state-dir", str(state))
    assert result.exit_code == 0, result.output
    [line] = [line for line in result.output.splitlines() if "they block us" in line]
    assert "queue a.example/* paused since " in line
    assert "they block us" not in explain(state, "you@b.example", "--state-dir", str(state)).output
    assert "they block us" not in explain(state, "you@a.example").output
