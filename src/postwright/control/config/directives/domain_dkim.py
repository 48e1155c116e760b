"""Directives of `<domain>` that sign: `dkim-*`, the same again for a second signature, and ours that seal: `arc-*`."""

from __future__ import annotations

from typing import NamedTuple

from postwright.control.config import kinds as k
from postwright.control.config.directive import Directive, Kind
from postwright.control.config.directives.rows import D, no_effect, works


class _Twin(NamedTuple):
    """What `dkim-NAME` and `second-dkim-NAME` share."""

    name: str
    kind: Kind
    doc: str
    default: str = ""


_TWINS: tuple[_Twin, ...] = (
    _Twin("sign", k.BOOL_OR("if-x-dkim-options-present"), "Sign with DKIM", "no"),
    _Twin("algorithm", k.CHOICE("rsa-sha256", "rsa-sha1", "ed25519-sha256"), "Algorithm of the signature (a=)", "rsa-sha256"),
    _Twin("headers-canon", k.CHOICE("simple", "relaxed"), "Canonical form of the header (c=)", "relaxed"),
    _Twin("body-canon", k.CHOICE("simple", "relaxed"), "Canonical form of the body (c=)", "relaxed"),
    _Twin("identity", k.TEXT, "Who signs (i=): @domain, an address, sender-or-from, strict-from", "sender-or-from"),
    _Twin("identity-fallback", k.TEXT, "Who signs where there is no key for that"),
    _Twin("headers", k.LIST, "More header fields to sign: names and /regex/"),
    _Twin("disallow-adding-headers", k.LIST, "Header fields signed once more than they are there, so that none can be added"),
    _Twin("add-timestamp", k.BOOL, "Say when it was signed (t=)", "no"),
    _Twin("expire-after", k.TIME_OR_NEVER, "How long the signature holds (x=)", "never"),
    _Twin("add-body-limit", k.BOOL, "Say how much of the body is signed (l=)", "no"),
    _Twin("query-method", k.TEXT, "How the key is found (q=)"),
)  # fmt: skip

FIRST: tuple[Directive, ...] = tuple(works(f"dkim-{t.name}", D, t.kind, t.doc, t.default, clears=t.name == "headers") for t in _TWINS)
SECOND: tuple[Directive, ...] = tuple(
    works(f"second-dkim-{t.name}", D, t.kind, f"Second signature: {t.doc[0].lower()}{t.doc[1:]}", t.default, clears=t.name == "headers")
    for t in _TWINS
)
OLD: tuple[Directive, ...] = (
    no_effect("dk-sign", D, k.BOOL, "Sign with DomainKeys", "no", confirmed=False,
              reason="DomainKeys is historic (RFC 4870) and nobody checks it; dkim-sign is its successor"),
)  # fmt: skip

ARC: tuple[Directive, ...] = (
    works("arc-seal", D, k.BOOL, "Seal with ARC what came through a source with check-arc-inbound", "no", ours=True),
    works("signing-failure", D, k.CHOICE("defer", "refuse", "send"),
          "Mail whose key (DKIM or ARC) cannot be used: it waits, it bounces, or it goes without that signature", "defer", ours=True),
    works("arc-seal-identity", D, k.TEXT, "Who seals: @domain; without it the host-name that judged the message", ours=True),
)  # fmt: skip

ROWS: tuple[Directive, ...] = FIRST + SECOND + ARC + OLD
