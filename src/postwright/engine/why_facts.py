"""What `why` answers, as values: a queue, what binds it, how close its limits are. Apart from who finds it out, for who only shows it."""

from __future__ import annotations

from msgspec import Struct


class Limit(Struct):
    """How close one limit is. `until` None: it holds nothing up now; -1: until something ends it. `origin` FILE:LINE, or the default."""

    reason: str
    used: float
    limit: float
    until: float | None
    origin: str
    source: str = ""
    place: str = ""


class Disabled(Struct):
    """A source address that the queue may not use; `until` -1: until somebody ends it. `because`: who did it, "" if that is past."""

    address: str
    until: float
    because: str = ""


class Why(Struct):
    """One queue. `reason` is the binding one of the closed list (its name), `text` says it in words; `seconds` until it is drained, None
    when nobody can tell, and `because`. `held` recipients are of paused jobs, `held_by` says which and by whom. `due` and `attempts` are a
    message's own where one was asked for."""

    queue: str
    reason: str
    text: str
    origin: str
    recipients: int
    ready: int
    scheduled: int
    in_flight: int
    connections: int
    until: float | None
    limits: list[Limit]
    seconds: float | None
    because: str
    mode: str = "normal"
    mode_reason: str = ""
    mode_until: float | None = None
    step: int = 0
    last_error: str = ""
    disabled: list[Disabled] = []
    held: int = 0
    held_by: list[str] = []
    due: float | None = None
    attempts: int | None = None
