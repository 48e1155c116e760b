"""Directives of `<virtual-mta>` and `<virtual-mta-pool>` outside of the `<domain>` blocks in them."""

from __future__ import annotations

from postwright.control.config import kinds as k
from postwright.control.config.directive import Directive, State
from postwright.control.config.directives.rows import Maker, P, V, works

_gone = Maker(State.REMOVED, "PowerMTA has dropped it in 4.5; name the cold virtual MTA: cold-virtual-mta")

ROWS: tuple[Directive, ...] = (
    works("virtual-mta", P, k.NAME, "A member of the pool; members take turns", setting="members", repeat=True),
    works("max-smtp-out", V, k.COUNT_OR_UNLIMITED, "Connections of all queues of the virtual MTA at a time", "unlimited"),
    works("max-smtp-out", P, k.COUNT_OR_UNLIMITED, "Connections of all queues of each member that does not say otherwise", "unlimited"),
    works("max-smtp-msg-rate", (V, P), k.RATE, "Recipients attempted per interval by the virtual MTA", "unlimited"),
    works("max-smtp-data-volume-rate", (V, P), k.DATA_RATE, "Octets delivered per interval by the virtual MTA", "unlimited"),
    works("cold-virtual-mta", (V, P), k.NAME, "Virtual MTA that is being warmed up with a part of the mail", repeat=True),
    works("proxy-protocol", V, k.CHOICE("1", "2"), "Version of the PROXY protocol towards smtp-proxy-source-host", "1"),
    _gone("auto-cold-virtual-mta", V, k.WORDS, "Warm-up by virtual MTAs that PowerMTA chose itself"),
)  # fmt: skip
