"""What a client is told whose mail is not on disk, and so not ours: to come again. General words; why is in our log."""

from __future__ import annotations

from typing import Final

from postwright.model.errors import SpoolFull
from postwright.model.reply import Reply

FULL: Final = Reply(452, "4.3.1", ("insufficient system storage, try again later",))
BROKEN: Final = Reply(451, "4.3.0", ("local error, try again later",))


def not_kept(error: BaseException) -> Reply:
    """The reply for what a spool said (SpoolFull, SpoolBroken)."""
    return FULL if isinstance(error, SpoolFull) else BROKEN
