"""`auto-qualify-domain` and `domain-suffix`: addresses without a whole domain get the rest of it.

`user` becomes `user@SUFFIX`, and `user@host`, a domain without a dot, `user@host.SUFFIX`. Pure; without a suffix nothing is
completed. What would not be an address any more stays as it was, and is judged like any other.
"""

from __future__ import annotations

from collections.abc import Collection

from postwright.model.address import NULL_PATH, Address, parse_mailbox
from postwright.model.errors import AddressError


def qualify(address: Address, suffix: str, ours: Collection[str]) -> Address:
    """`suffix` a domain; `ours` the names of this host in lower case, which are whole however short they are.

    A bare `postmaster` is that of this host (RFC 5321 section 4.1.1.3), the null reverse-path nobody's: both stay.
    """
    domain = address.domain
    if "." in domain or domain.startswith("[") or domain in ours or address == NULL_PATH:
        return address
    if not domain and address.text.lower() == "postmaster":
        return address
    try:
        return parse_mailbox(f"{address.text}.{suffix}" if domain else f"{address.text}@{suffix}", smtputf8=True)
    except AddressError:
        return address
