"""The envelope of one transaction: reverse-path, recipients and their parameters (RFC 5321 section 2.3.1, RFC 3461)."""

from __future__ import annotations

from enum import IntFlag

from msgspec import Struct

from postwright.model.address import Address


class Notify(IntFlag):
    """NOTIFY= of RFC 3461 section 4.1; ABSENT means that the client said nothing (treated as FAILURE)."""

    ABSENT = 0
    NEVER = 1
    SUCCESS = 2
    FAILURE = 4
    DELAY = 8


class Recipient(Struct, gc=False):
    """One forward-path with its own parameters. `orcpt` is `type;address`, xtext decoded; empty when absent."""

    address: Address
    notify: int = 0
    orcpt: str = ""


class Envelope(Struct):
    """`ret` is "", "FULL" or "HDRS"; `body` "7BIT", "8BITMIME" or "BINARYMIME"; `declared_size` octets, 0 if not said."""

    reverse_path: Address
    recipients: list[Recipient]
    ret: str = ""
    envid: str = ""
    body: str = "7BIT"
    smtputf8: bool = False
    declared_size: int = 0
