"""Which queues an operator means: `domain/vmta`, with `*` for any text wherever he likes (powermta.md section 3).

Only `*` means something else than itself: `[` begins an address literal, and `?` is no wildcard of PowerMTA's. Case does not matter. A
match costs the same order as the name is long, whatever the pattern: the parts between stars are looked for from left to right, so that
nobody can write a pattern that takes for ever. Pure; nothing is raised.
"""

from __future__ import annotations

from postwright.model.work import QueueKey

ANY = "*"


class Glob:
    """A text in which `*` stands for any text, also none."""

    __slots__ = ("_first", "_last", "_middle", "_whole")

    def __init__(self, text: str, *, exactly: bool = False) -> None:
        """`exactly`: case matters, in names as well."""
        parts = (text if exactly else text.lower()).split("*")
        self._whole = parts[0] if len(parts) == 1 else None
        self._first, self._last = parts[0], parts[-1]
        self._middle = [part for part in parts[1:-1] if part]

    def fits(self, name: str) -> bool:
        """Does it? `name` in lower case."""
        if self._whole is not None:
            return name == self._whole
        at, end = len(self._first), len(name) - len(self._last)
        if at > end or not name.startswith(self._first) or not name.endswith(self._last):
            return False
        for part in self._middle:
            found = name.find(part, at, end)
            if found < 0:
                return False
            at = found + len(part)
        return True

    @property
    def everything(self) -> bool:
        """Does it fit any name?"""
        return self._whole is None and not (self._first or self._last or self._middle)

    @property
    def exact(self) -> str | None:
        """The one name that it fits, in lower case; None if there may be more."""
        return self._whole


class QueuePattern:
    """`DOMAIN[/VMTA]`; without a virtual MTA it is `vmta` (all of them, unless whoever asks says otherwise). "" is every queue."""

    __slots__ = ("_domain", "_vmta", "text")

    def __init__(self, text: str = "", vmta: str = ANY) -> None:
        domain, slash, under = text.strip().partition("/")
        under = under if slash else ANY if domain in ("", ANY) else vmta
        self.text = f"{domain or ANY}/{under or ANY}"
        self._domain, self._vmta = Glob(domain or ANY), Glob(under or ANY)

    def fits(self, key: QueueKey) -> bool:
        """Is this queue meant?"""
        return self._domain.fits(key.domain.lower()) and self._vmta.fits(key.vmta.lower())

    def covers(self, other: QueuePattern) -> bool:
        """Is every queue meant that `other` means? A star of it is a character like others here, which only a star stands for."""
        domain, _, vmta = other.text.lower().partition("/")
        return self._domain.fits(domain) and self._vmta.fits(vmta)

    @property
    def everything(self) -> bool:
        """Are all queues meant?"""
        return self._domain.everything and self._vmta.everything

    @property
    def exact(self) -> QueueKey | None:
        """The one queue that is meant, in lower case; None if there may be several."""
        domain, vmta = self._domain.exact, self._vmta.exact
        return QueueKey(domain, vmta) if domain is not None and vmta is not None else None
