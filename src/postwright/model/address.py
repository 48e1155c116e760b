"""Mailbox addresses as RFC 5321 and RFC 6531 allow them in an envelope.

Parses and canonicalises; never looks anything up. What is not an envelope address (comments, folding white space,
obsolete forms of RFC 5322) is refused with `AddressError`.
"""

from __future__ import annotations

from msgspec import Struct


class Address(Struct, frozen=True, gc=False):
    """A reverse-path or forward-path without its angle brackets.

    `text` is what was received (source route removed), `domain` what decisions are made on: lower case, A-labels for
    international names (RFC 5890), literals as `[192.0.2.1]` / `[IPv6:…]`. The null reverse-path has both empty;
    a bare `postmaster` (RFC 5321 section 4.1.1.3) has an empty domain.
    """

    text: str
    domain: str

    @property
    def local(self) -> str:
        """The local part as received, quotes and all."""
        return self.text.rpartition("@")[0] if self.domain else self.text


NULL_PATH = Address("", "")
