"""Where things are when nobody says so. Apart from the commands, so that one that asks a relay does not import what a relay is made of."""

from __future__ import annotations

import os
from pathlib import Path


def default_state_dir() -> Path:
    """`/var/lib/postwright` for root, else below the user's state folder (XDG)."""
    if os.geteuid() == 0:
        return Path("/var/lib/postwright")
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "postwright"
