"""Who seals what leaves a queue (ARC, RFC 8617): `arc-seal` and `arc-seal-identity` of its settings.

Sealed is what was judged when it came (`check-arc-inbound`): the seal repeats our own results, and says of the chain before what it was
then. In whose name is ours to say and not the author's: as the host that judged, unless told otherwise. A key is found as for DKIM, and
must be RSA, as hardly anybody verifies another. Where none fits, mail goes unsealed, told once; where one fits and cannot be used, it
waits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog
from msgspec import Struct

from postwright.content import arc, arc_seal
from postwright.content.dkim_canon import Mail
from postwright.content.dkim_key import SigningKey
from postwright.content.dkim_sign import Style
from postwright.engine.dkim_keys import Broken, KeyFiles
from postwright.model.envelope import Judged
from postwright.policy.dkim_keys import Chosen, KeyRing, choose, identities
from postwright.policy.settings import DomainKey, Origin


class Seal(Struct, frozen=True):
    """One set that is to be made. `origin` is the line of the key."""

    key: SigningKey
    selector: str
    domain: str
    judged: Judged
    style: Style
    origin: Origin = Origin()

    @property
    def name(self) -> str:
        """Of the key, for an operator."""
        return f"{self.selector} of {self.domain}"


class Sealing:
    """For all queues of the same settings and virtual MTA. `identity` is `@domain`, an address, or "" for the host that judged; `wanted`
    says which fields are signed."""

    def __init__(
        self,
        identity: str,
        wanted: Callable[[bytes], bool],
        rings: Sequence[KeyRing],
        keys: KeyFiles,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._identity = identity
        self._style = Style(wanted=wanted)
        self._rings = rings
        self._keys = keys
        self._log = log
        self._chosen: dict[str, Chosen | None] = {}  # by host: ours, now and before a reload

    def order(self, judged: Judged) -> Seal | Broken | None:
        """What is to be made for a message; None when no key fits. Broken: one fits and cannot be used now."""
        if judged.host not in self._chosen:
            self._chosen[judged.host] = self._choose(judged.host)
        chosen = self._chosen[judged.host]
        if chosen is None:
            return None
        key = self._keys.get(chosen.key)
        if isinstance(key, Broken):
            return Broken(f"the ARC key {chosen.key.selector} of {chosen.domain}: {key.reason}")
        if key.kind != "rsa":  # came from a vault, after the choice
            return Broken(f"the ARC key {chosen.key.selector} of {chosen.domain}: is no RSA key")
        return Seal(key, chosen.key.selector, chosen.domain, judged, self._style, chosen.key.origin)

    def _choose(self, host: str) -> Chosen | None:
        identity = self._identity or f"@{host}"
        found = choose(self._rings, identities(identity, (), ()), self._fits)
        if found is None:
            self._log.warning("mail goes unsealed (arc-seal): no domain-key fits", identity=identity)
        return found

    def _fits(self, key: DomainKey) -> bool:
        found = self._keys.get(key)
        return isinstance(found, Broken) or found.kind == "rsa"


def unsealed(mail: Mail, order: Seal, now: float) -> arc_seal.Unsealed | None:
    """The set without its signatures, for a message as it leaves; None when it gets no further one. `now` Unix seconds."""
    names = arc_seal.signed_names(mail, order.style)
    judged = order.judged
    return arc_seal.unsealed(mail, arc.read(mail), judged.state, order.key.kind, order.selector, order.domain, judged.host, names, now)
