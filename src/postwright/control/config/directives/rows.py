"""How a row of the table is written: short names for scopes, and one maker per state.

`works(...)` is a directive that does what it says today. A maker for what a later landing brings carries the reason that is told at
load, so that no row of such a file can forget it. Nothing here looks anything up; see the package for that.
"""

from __future__ import annotations

from typing import TypedDict, Unpack

from postwright.control.config.directive import Directive, Kind, Scope, State

G = Scope.GLOBAL
S = Scope.SOURCE
D = Scope.DOMAIN
V = Scope.VMTA
P = Scope.POOL


class More(TypedDict, total=False):
    """The rarer columns of a row; see `Directive`."""

    setting: str
    repeat: bool
    clears: bool
    deprecated: str
    confirmed: bool
    ours: bool


class Maker:
    """Makes rows of one state, with one reason unless the row gives its own."""

    def __init__(self, state: State, reason: str = "") -> None:
        self._state = state
        self._reason = reason

    def __call__(
        self,
        name: str,
        scopes: Scope | tuple[Scope, ...],
        kind: Kind,
        doc: str,
        default: str = "",
        *,
        reason: str = "",
        **more: Unpack[More],
    ) -> Directive:
        """A row: `doc` is one sentence for an operator, without its full stop; `default` as one would write it, or a remark in brackets."""
        where = scopes if isinstance(scopes, tuple) else (scopes,)
        return Directive(name, where, kind, doc, default=default, state=self._state, reason=reason or self._reason, **more)


works = Maker(State.EFFECTIVE)
no_effect = Maker(State.WITHOUT_EFFECT)

# What the other rows wait for. An operator reads this after "not yet: ", at load and in the reference.
protection = Maker(State.NOT_YET, "comes with logins, TLS and the protection of intake")
delivery = Maker(State.NOT_YET, "comes with the delivery engine")
feedback = Maker(State.NOT_YET, "comes with signing, bounces and events")
steering = Maker(State.NOT_YET, "comes with the monitor, the HTTP interfaces and pickup")
