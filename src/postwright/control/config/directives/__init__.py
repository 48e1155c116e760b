"""The table of directives: every name of the configuration language, once per meaning, and how to look it up.

`TABLE` is what the reference page prints, in that order. A name may have a row per scope (max-rcpt-per-message is one thing in
`<source>` and another in `<domain>`), never two in one scope. Names are found without regard to case. Blocks are in `BLOCKS`, since a
name may be both (`spool DIR` and `<spool DIR>`). What PowerMTA itself has dropped is in the table and not found: an unknown name, as
there. Nothing here fails: what is not known is None, or empty.
"""

from __future__ import annotations

from postwright.control.config.directive import Directive, Scope, State
from postwright.control.config.directives import (
    admission,
    credentials,
    domain_dkim,
    domain_queue,
    domain_smtp,
    events,
    files,
    general,
    http,
    inbound,
    lists,
    oauth,
    oauth_client,
    signals,
    source,
    vmta,
    windows,
)
from postwright.control.config.directives.blocks import BLOCKS

TABLE: tuple[Directive, ...] = (
    *general.ROWS,
    *inbound.ROWS,
    *credentials.ROWS,
    *oauth.ROWS,
    *windows.ROWS,
    *source.ROWS,
    *admission.ROWS,
    *vmta.ROWS,
    *domain_queue.ROWS,
    *domain_smtp.ROWS,
    *oauth_client.ROWS,
    *domain_dkim.ROWS,
    *files.ROWS,
    *events.ROWS,
    *lists.ROWS,
    *http.ROWS,
    *signals.ROWS,
)

_ROWS: dict[tuple[str, Scope], Directive] = {
    (row.name, scope): row for row in TABLE if row.state is not State.REMOVED for scope in row.scopes
}
_TAGS: dict[tuple[str, Scope], Directive] = {(block.name, scope): block for block in BLOCKS for scope in block.scopes}
_SCOPES: dict[str, tuple[Scope, ...]] = {}
_NAMES: dict[Scope, tuple[str, ...]] = {}
for _name, _scope in _ROWS:
    _SCOPES[_name] = (*_SCOPES.get(_name, ()), _scope)
    _NAMES[_scope] = (*_NAMES.get(_scope, ()), _name)


def find(name: str, scope: Scope) -> Directive | None:
    """The row of a directive in a scope."""
    return _ROWS.get((name.lower(), scope))


def scopes_of(name: str) -> tuple[Scope, ...]:
    """Where a directive may stand; empty for a name that there is not."""
    return _SCOPES.get(name.lower(), ())


def names_in(scope: Scope) -> tuple[str, ...]:
    """Every directive of a scope, for suggestions."""
    return _NAMES.get(scope, ())


def find_block(tag: str, scope: Scope) -> Directive | None:
    """The row of a block's tag where the block may stand in `scope`."""
    return _TAGS.get((tag.lower(), scope))


__all__ = ["BLOCKS", "TABLE", "find", "find_block", "names_in", "scopes_of"]
