"""What a mail merge adds to an envelope (PowerMTA's XMRG, XDFN, XPRT): what is a recipient's own, and how the content is cut into parts.

Plain values. A message that is no merge has none of them, and nothing of them in the spool.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from postwright.model.address import Address


class Own(Struct, frozen=True, gc=False, omit_defaults=True):
    """What XDFN defined for one recipient. `variables` by name in lower case, without those reserved ones that have a field here.

    `parts` the numbers of those it gets, in this order, () for all; `sender`, `envid` and `job` None and "" where they are the message's,
    `vmta` the name that was asked for (virtual MTA or pool); `priority` 0 to 100, -1 for the message's; `windows` as in `Wishes`, and
    `not_before` Unix seconds, when the first of them opens.
    """

    variables: dict[str, str] = {}
    parts: tuple[int, ...] = ()
    sender: Address | None = None
    envid: str = ""
    job: str = ""
    vmta: str = ""
    priority: int = -1
    windows: tuple[tuple[float, float], ...] = ()
    not_before: float = 0.0

    def changes(self) -> dict[str, Any]:
        """Which fields of an envelope are another's for this recipient."""
        made: dict[str, Any] = {}
        if self.sender is not None:
            made["reverse_path"] = self.sender
        if self.envid:
            made["envid"] = self.envid
        return made


class Merge(Struct, frozen=True, gc=False, omit_defaults=True):
    """How the stored content of a merge is cut: first `ahead` octets that are ours and no template (trace fields), then each part.

    `parts` (number, octets) in order of number. `keeps_undefined`: a variable that nobody defined stays as it was written.
    """

    parts: tuple[tuple[int, int], ...] = ()
    ahead: int = 0
    keeps_undefined: bool = False
