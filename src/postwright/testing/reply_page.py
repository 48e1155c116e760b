"""Writes docs/reference/replies.md out of the code and its rows: `python -m postwright.testing.reply_page docs/reference/replies.md`."""

from __future__ import annotations

import sys
from pathlib import Path

from postwright.testing.reply_rows import ROWS

HEAD = """\
# Replies of intake

Every reply that a client can get, why, and what to do. Text for the peer is short and general; the log has the exact reason. `…` stands for
what depends on the case. The page is generated from the code (`python -m postwright.testing.reply_page docs/reference/replies.md`); a test
fails when a reply is missing, and each is provoked by a test.

| reply | status | text | cause | what to do |
|---|---|---|---|---|
"""


def page() -> str:
    """The whole page."""
    return HEAD + "".join([_row(reply) for reply in sorted(ROWS)])


def _row(reply: str) -> str:
    cause, cure = ROWS[reply]
    code, _, rest = reply.partition(" ")
    status, _, text = rest.partition(" ")
    if status.count(".") != 2 and (code, status) != ("553", "…"):
        status, text = "", rest
    if text.startswith("… (") and text.endswith(".py)"):
        text = "…"
    return "| " + " | ".join([cell.replace("|", "\\|").replace("<", "&lt;") for cell in (code, status, text, cause, cure)]) + " |\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), "utf-8")
