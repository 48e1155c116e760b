"""What a load generator is to send: sizes, domains, recipients, and the messages made of them.

Pure: chance comes from the plan's seed. The `parse_` functions raise ValueError with a text fit for a command line, and nothing else.
"""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Sequence
from itertools import accumulate
from random import Random
from typing import Generic, TypeVar

from msgspec import Struct

T = TypeVar("T")

_UNITS = {"": 1, "k": 1024, "m": 1024 * 1024}
_SIZE = re.compile(r"(\d{1,9})([km]?)", re.ASCII | re.IGNORECASE)
_RANGE = re.compile(r"\{(\d{1,9})\.\.(\d{1,9})\}", re.ASCII)
_MOST_DOMAINS = 1_000_000
_LINE = b"The quick brown fox jumps over the lazy dog, and the relay carries it on: 01234.\r\n"
_MINIMUM = 256  # octets: room for the header


class Spread(Struct, frozen=True):
    """`low` to `high` octets, all sizes between alike, in `weight` of the messages."""

    low: int
    high: int
    weight: float = 1.0


class LoadPlan(Struct, frozen=True, kw_only=True):
    """One run. `rate` messages a second over all connections, 0: as fast as it goes; `seconds` 0: until all `messages` are sent.

    `recipients` is the most per message (by chance between 1 and that with `vary_recipients`), `domains` names with weights, `headers`
    whole header lines. `per_connection` messages, then a new connection; 0: no limit. `overlap` sends the next envelope in the same write
    as content, when the peer offers PIPELINING; times then begin with the content. `auth` is a pair of user and password.
    """

    host: str = "127.0.0.1"
    port: int = 2525
    messages: int = 1000
    seconds: float = 0.0
    connections: int = 10
    rate: float = 0.0
    sizes: tuple[Spread, ...] = (Spread(4096, 4096),)
    recipients: int = 1
    vary_recipients: bool = False
    domains: tuple[tuple[str, float], ...] = (("sink.example", 1.0),)
    sender: str = "load@source.example"
    headers: tuple[str, ...] = ()
    helo: str = "source.example"
    per_connection: int = 0
    starttls: bool = False
    auth: tuple[str, str] | None = None
    overlap: bool = False
    timeout: float = 60.0
    seed: int = 0


class LoadMessage(Struct):
    """A message to be sent; `begun` is when it was due or sent, `refused` the first reply that spoke against it."""

    number: int
    envelope: list[bytes]
    content: bytes
    recipients: int
    begun: float = 0.0
    accepted_recipients: int = 0
    refused: str = ""


class Factory:
    """Makes the messages of a plan, the same ones for the same seed."""

    def __init__(self, plan: LoadPlan) -> None:
        self._plan = plan
        self._chance = Random(plan.seed)
        self._made = 0
        self._sizes = _Weighted(plan.sizes, [spread.weight for spread in plan.sizes])
        self._domains = _Weighted([name for name, _ in plan.domains], [weight for _, weight in plan.domains])
        largest = max(spread.high for spread in plan.sizes)
        self._text = _LINE * (largest // len(_LINE) + 1)
        self._mail = f"MAIL FROM:<{plan.sender}>\r\n".encode()
        self._extra = "".join(f"{header}\r\n" for header in plan.headers).encode()

    def make(self) -> LoadMessage:
        """The next message. Its Message-ID tells seed and number, so that losses and duplicates can be told at the other end."""
        chance = self._chance
        self._made += 1
        number = self._made
        plan = self._plan
        count = chance.randint(1, plan.recipients) if plan.vary_recipients else plan.recipients
        domain = self._domains.draw(chance)
        rcpts = [b"RCPT TO:<r%d.%d@%s>\r\n" % (number, k, domain.encode()) for k in range(count)]
        return LoadMessage(number, [self._mail, *rcpts, b"DATA\r\n"], self._content(number, domain), count)

    def _content(self, number: int, domain: str) -> bytes:
        spread = self._sizes.draw(self._chance)
        size = spread.low if spread.low == spread.high else self._chance.randint(spread.low, spread.high)
        header = (
            b"From: <%s>\r\nTo: <r%d@%s>\r\nSubject: load %d\r\nMessage-ID: <%d.%d@source.example>\r\n"
            b"Date: Thu, 01 Jan 2026 00:00:00 +0000\r\n%s\r\n"
        ) % (self._plan.sender.encode(), number, domain.encode(), number, self._plan.seed, number, self._extra)
        text = self._text[: max(size - len(header) - 2, 0)]
        # The cut may fall between CR and LF, or before a CRLF; neither may leave a bare CR.
        return header + text.rstrip(b"\r\n") + b"\r\n"


class _Weighted(Generic[T]):
    """Draws by weight, in the logarithm of the number of choices; one choice costs nothing."""

    def __init__(self, choices: Sequence[T], weights: Sequence[float]) -> None:
        self._choices = choices
        self._sums = list(accumulate(weights))

    def draw(self, chance: Random) -> T:
        if len(self._choices) == 1:
            return self._choices[0]
        return self._choices[bisect(self._sums, chance.random() * self._sums[-1], hi=len(self._choices) - 1)]


def parse_sizes(text: str) -> tuple[Spread, ...]:
    """`4k`, `1k-100k`, or several with weights: `1k:70,10k-50k:25,1m:5`. Octets of the whole message; less than 256 is taken as 256."""
    spreads = []
    for item, weight in _weighted(text):
        low, dash, high = item.partition("-")
        least = _size(low)
        most = _size(high) if dash else least
        if most < least:
            raise ValueError(f"the range {item!r} runs backwards")
        spreads.append(Spread(max(least, _MINIMUM), max(most, _MINIMUM), weight))
    return tuple(spreads)


def parse_domains(text: str) -> tuple[tuple[str, float], ...]:
    """`a.example`, `a.example:70,b.example:30`, or many: `d{1..1000}.example` (the weight is shared among them)."""
    domains: list[tuple[str, float]] = []
    for item, weight in _weighted(text):
        found = _RANGE.search(item)
        if found is None:
            domains.append((item, weight))
            continue
        first, last = int(found[1]), int(found[2])
        count = last - first + 1
        if not 0 < count <= _MOST_DOMAINS:
            raise ValueError(f"the range in {item!r} is empty or too long")
        domains += [(f"{item[: found.start()]}{n}{item[found.end() :]}", weight / count) for n in range(first, last + 1)]
    return tuple(domains)


def _weighted(text: str) -> list[tuple[str, float]]:
    pairs = []
    for item in text.split(","):
        name, colon, weight = item.strip().partition(":")
        try:
            number = float(weight) if colon else 1.0
        except ValueError:
            raise ValueError(f"{weight!r} is not a weight") from None
        if not name or not 0 < number < 1e9:
            raise ValueError(f"{item.strip()!r} is not NAME or NAME:WEIGHT")
        pairs.append((name, number))
    return pairs


def _size(text: str) -> int:
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not a size such as 512, 4k or 1m")
    return int(found[1]) * _UNITS[found[2].lower()]
