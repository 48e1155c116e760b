"""The answer of `explain` as plain values: sections of facts, each with the line that said so, and for each queue its routes in order."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from postwright.policy.list_settings import Origin


class Fact(Struct, frozen=True):
    """One thing that holds. `name` is a directive where `scope` says of which kind (`domain`, `source`, `virtual-mta`, `global`), else
    words; `value` of the directive's type, or a text. `origin` is the line, or none for what nobody wrote."""

    name: str
    value: Any = ""
    origin: Origin = Origin()
    scope: str = ""


class Section(Struct, frozen=True):
    """Facts that belong together."""

    title: str
    facts: tuple[Fact, ...]


class Hop(Struct, frozen=True):
    """One attempt: from which address of ours, under which name, through whom, to which address of which host, with how much TLS."""

    host: str
    address: str
    port: int
    source: str
    name: str
    proxy: str
    tls: str


class Path(Struct, frozen=True):
    """What becomes of some recipients: their `queue`, `others` that share this kind of mail with it, and the `hops` in order of attempt.

    `error` says why there are none, `permanent` that this is for good (then after `bounce-upon-no-mx`).
    """

    queue: str
    vmta: str
    recipients: tuple[str, ...]
    others: tuple[str, ...]
    sections: tuple[Section, ...]
    hops: tuple[Hop, ...]
    error: str = ""
    permanent: bool = False


class Journey(Struct, frozen=True):
    """The whole way. Refused on the way in, it has `refusal` (what is answered, and after which verb) and no `paths`."""

    subject: str
    sections: tuple[Section, ...]
    paths: tuple[Path, ...] = ()
    refusal: str = ""
