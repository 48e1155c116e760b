"""The words of the bus: every frame that supervisor, shards and commands exchange. Plain values; no behaviour.

`VERSION` goes up when a frame changes its meaning; both ends say theirs first, and refuse to talk across a difference.
"""

from __future__ import annotations

from msgspec import Struct

from postwright.engine.auth_frames import AuthTalk
from postwright.engine.export_frames import ExportTalk
from postwright.engine.http_frames import HttpTalk
from postwright.engine.injection_frames import InjectionTalk
from postwright.engine.lock_frames import LockTalk
from postwright.engine.views.figures import Figures
from postwright.model.message import SpoolRef
from postwright.store.spool import Mark

VERSION = 2


class Start(Struct, tag="start"):
    """Supervisor to a new shard: who it is and how to behave. `settings` is a pickle made by the same program a moment ago."""

    version: int
    shard: int
    shards: int
    state_dir: str
    settings: bytes
    debug: bool = False
    user: str = ""
    tickets: bytes = b""  # the secret of which all shards make the keys of TLS session tickets


class Ready(Struct, tag="ready"):
    """Shard to supervisor: recovered and taking mail."""

    shard: int
    recovered: int
    seconds: float


class Beat(Struct, tag="beat"):
    """Shard to supervisor, once a second, and before each answer about what there is: my event loop turns. So much has moved since I began
    (`views.traffic.Figures`), so many connections there are in and out, and were at most since I last said so."""

    shard: int
    figures: Figures = Figures()
    connections: tuple[int, int] = (0, 0)
    peaks: tuple[int, int] = (0, 0)


class Drain(Struct, tag="drain"):
    """Supervisor to shard: take no more mail, finish what is in flight within `seconds`, leave."""

    seconds: float


class Question(Struct, tag="question"):
    """Supervisor to shard: reload, reopen-log, status, rotate-acct … The argument's form is the verb's business."""

    number: int
    verb: str
    argument: bytes = b""


class Answer(Struct, tag="answer"):
    """Shard to supervisor: the answer to a Question. `error` empty when it went well."""

    number: int
    shard: int
    error: str = ""
    body: bytes = b""


class Ask(Struct, tag="ask"):
    """A command to the supervisor: `verb` with named arguments, all text."""

    version: int
    verb: str
    arguments: dict[str, str] = {}


class Told(Struct, tag="told"):
    """The supervisor's answer to a command: lines for a person, and `body` (JSON) for a program."""

    ok: bool
    lines: list[str] = []
    body: bytes = b""


class Join(Struct, tag="join"):
    """Shard to shard, first frame on a link: who speaks."""

    version: int
    shard: int


class Handed(Struct, array_like=True):
    """One message's recipients for one queue, by reference: all that the owner needs to schedule them."""

    message_id: int
    ref: SpoolRef
    domain: str
    vmta: str
    recipients: tuple[int, ...]
    due: float
    attempts: int
    first_attempt: float
    received_at: float
    owner: str
    rank: int
    deadline: float = 0.0  # of `model.work.TimedEntry`; 0 for an entry without
    returns: bool = False


class HandOver(Struct, tag="hand-over"):
    """Accepting shard to owning shard: these are yours to deliver; the spool that keeps them is mine."""

    entries: list[Handed]


class Outcomes(Struct, tag="outcomes"):
    """Owning shard to accepting shard: what became of recipients; `batch` numbers it until it is stored."""

    batch: int
    marks: list[Mark]


class OutcomesStored(Struct, tag="outcomes-stored"):
    """Accepting shard to owning shard: batch `batch` and all before it are on disk; forget them."""

    batch: int


class Farewell(Struct, tag="farewell"):
    """Shard to shard, at a stop: I deliver no more, and you have heard of all that I did."""


class Rolled(Struct, array_like=True):
    """What was learnt of a domain: the rollup queue of its mail, where that goes, and until when it holds (Unix seconds). `queue` "": what
    was known of it until then holds no more."""

    domain: str
    queue: str
    hosts: tuple[str, ...]
    until: float


class Learnt(Struct, tag="learnt"):
    """Shard to shard: what the DNS said of domains."""

    rollups: list[Rolled]


class Anew(Struct, tag="anew"):
    """Accepting shard to owning shard: forget what I handed over and what waits; I hand it all over again, by what I know now."""


class Place(Struct, array_like=True):
    """Recipients of a message that were handed over, and where they were said to lie."""

    message_id: int
    ref: SpoolRef
    recipients: tuple[int, ...]


class Forgot(Struct, tag="forgot"):
    """Owning shard to accepting shard: I have, as `Anew` said. These are in flight, and stay with me; what I gave back before this you
    hand over with the rest."""

    in_flight: list[Place]


class Stale(Struct, tag="stale"):
    """Owning shard to accepting shard: these are no longer where their reference says (compaction); hand them over again."""

    places: list[Place]


class GivenBack(Struct, tag="given-back"):
    """Shard to accepting shard: these queues are not mine by my settings; hand them to whom they belong."""

    places: list[Place]


Talk = Join | HandOver | Outcomes | OutcomesStored | Farewell | Stale | GivenBack | Learnt | Anew | Forgot
Frame = Start | Ready | Beat | Drain | Question | Answer | Ask | Told | Talk | AuthTalk | LockTalk | ExportTalk | HttpTalk | InjectionTalk
