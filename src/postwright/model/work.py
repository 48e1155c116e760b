"""Work as the scheduler holds it: queue keys, entries, leases, and the closed list of reasons for a wait.

Plain values. An entry is deliberately small (a million of them must fit a small machine): everything that delivery needs beside is
read from the spool when the entry is leased.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from msgspec import Struct

from postwright.model.envelope import Recipient
from postwright.model.message import Message, SpoolRef
from postwright.model.rank import priority_of

BOUNCE = "{bounce}"
"""The domain of the queues in which wait those who were taken only to be bounced. PowerMTA reserves the name."""


class QueueKey(NamedTuple):
    """`domain/vmta`, PowerMTA's queue name. `domain` is the destination or a rollup, in lower case."""

    domain: str
    vmta: str

    def __str__(self) -> str:
        return f"{self.domain}/{self.vmta}"


def queue_of(message: Message, recipient: Recipient) -> QueueKey:
    """The queue that one of a message's recipients waits in."""
    domain = BOUNCE if recipient.refusal else recipient.address.domain
    return QueueKey(domain, recipient.vmta or message.vmta)


class WaitReason(Enum):
    """Why recipients of a queue are not going now. Shown as it stands in commands, API and records."""

    NONE = "nothing waits"
    READY = "ready: a connection will take it"
    CONNECTING = "a connection is being opened"
    QUEUE_CONNECTIONS = "max-smtp-out of the queue is reached"
    VMTA_CONNECTIONS = "max-smtp-out of the virtual MTA is reached"
    TOTAL_CONNECTIONS = "total-max-smtp-out is reached"
    MESSAGE_RATE = "max-msg-rate is reached"
    DATA_VOLUME = "max-data-volume-rate is reached"
    VMTA_MESSAGE_RATE = "max-smtp-msg-rate of the virtual MTA is reached"
    VMTA_DATA_VOLUME = "max-smtp-data-volume-rate of the virtual MTA is reached"
    MX_CONNECTIONS = "mx-connection-limit is reached at every host"
    IP_CONNECTIONS = "ip-connection-limit is reached at every host"
    SOURCES_DISABLED = "every source address of the queue is disabled"
    SOURCE_CONNECTIONS = "source-ip-max-smtp-out is reached by every source address"
    SOURCE_CONNECT_RATE = "source-ip-max-connect-rate is reached by every source address"
    SOURCE_MESSAGE_RATE = "source-ip-max-msg-rate is reached by every source address"
    SOURCE_DATA_VOLUME = "source-ip-max-data-volume-rate is reached by every source address"
    CONNECT_RATE = "max-connect-rate is reached"
    RAMP_UP = "smtp-out-rampup-interval"
    QUEUE_RETRY = "the queue waits for its next retry"
    RECIPIENT_RETRY = "each recipient waits for its next retry"
    SCHEDULED = "not before its time"
    SUSPENDED = "suspended: an operator has paused the queue"
    JOB_SUSPENDED = "suspended: an operator has paused the job of all that waits"
    STOPPING = "the relay is stopping"


_OF = "\0"  # between job and user; no user name has it (RFC 4013 section 2.3)


def owned_by(job: str, user: str) -> str:
    """Job and user in one text, as entries hold it: a million of them share few. Of who did not log in it is the job."""
    return f"{job}{_OF}{user}" if user or _OF in job else job


def job_of(owner: str) -> str:
    """The job in such a text, "" for none."""
    return owner if _OF not in owner else owner.rpartition(_OF)[0]


class Entry(Struct, gc=False):
    """Live recipients of one message for one queue. `due`, `first_attempt`, `received_at` Unix seconds (the last is when it might first be
    sent, if the sender had it held); `recipients` indexes into the envelope; `attempts` so far (all recipients of an entry share their
    history). `owner` says whose it is (`owned_by`), `rank` how urgent (`model.rank`). Entries are ordered by the time they are due."""

    message_id: int
    ref: SpoolRef
    recipients: tuple[int, ...]
    received_at: float
    due: float = 0.0
    attempts: int = 0
    first_attempt: float = 0.0
    owner: str = ""
    rank: int = 50

    @property
    def job(self) -> str:
        """The job, "" for none."""
        return job_of(self.owner)

    @property
    def user(self) -> str:
        """Who had logged in, "" for nobody."""
        owner = self.owner
        return "" if _OF not in owner else owner.rpartition(_OF)[2]

    @property
    def priority(self) -> int:
        """0 to 100."""
        return priority_of(self.rank)

    @property
    def size(self) -> int:
        """Octets of the content."""
        return self.ref.content_size

    def __lt__(self, other: Entry) -> bool:
        return self.due < other.due or (self.due == other.due and self.message_id < other.message_id)


class TimedEntry(Entry, gc=False):
    """An entry whose sender named a time (DELIVERBY, RFC 2852): at `deadline` what is left of it goes back if it `returns`, else the
    sender is told once that it is late, and `told` is set."""

    deadline: float = 0.0
    returns: bool = False
    told: bool = False


class NotifiedEntry(TimedEntry, gc=False):
    """An entry of which somebody wants to hear when it is late (NOTIFY=DELAY, RFC 3461): at `deadline` he is told, and again an interval of
    the queue's later (`notify-of-delay-every`). 0: nobody tells him anything."""


class Lease(Struct):
    """Recipients of one message, handed out for one transaction at the time `at`, to leave by the address `source` ("": whichever).
    `entry` is what is settled afterwards."""

    key: QueueKey
    entry: Entry
    at: float = 0.0
    source: str = ""
