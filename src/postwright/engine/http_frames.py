"""The words between supervisor and HTTP process, beside those of the bus. Plain values."""

from __future__ import annotations

from msgspec import Struct

from postwright.model.masked import masked


class Serve(Struct, tag="serve"):
    """Supervisor to HTTP process: what holds from now on. `settings` is a pickle, as in `Start`; `reopen`: only open the log anew.

    `secret` makes the tokens against forged requests: it outlives the process, so that a page that is open does too.
    """

    settings: bytes = b""
    state_dir: str = ""
    debug: bool = False
    user: str = ""
    secret: bytes = b""
    shards: int = 1
    reopen: bool = False

    def __repr__(self) -> str:
        return masked(self, "settings", "secret")


class Serving(Struct, tag="serving"):
    """HTTP process to supervisor: I answer."""

    pid: int


HttpTalk = Serve | Serving
