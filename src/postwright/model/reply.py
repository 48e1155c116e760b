"""An SMTP reply, whichever side speaks it (RFC 5321 section 4.2, RFC 3463)."""

from __future__ import annotations

from msgspec import Struct


class Reply(Struct, frozen=True, gc=False):
    """`code` 200..599, `status` an enhanced status code such as "2.1.0" or "", `lines` without code, status or CRLF."""

    code: int
    status: str
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """The reply on one line, as accounting and logs show it: `250 2.1.0 ok`."""
        head = f"{self.code} {self.status}" if self.status else f"{self.code}"
        body = " ".join(line for line in self.lines if line)
        return f"{head} {body}" if body else head

    @property
    def positive(self) -> bool:
        return 200 <= self.code < 400

    @property
    def transient(self) -> bool:
        return 400 <= self.code < 500

    @property
    def permanent(self) -> bool:
        return 500 <= self.code < 600
