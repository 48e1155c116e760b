"""Which of several proxies serves, and for how long one that failed is passed over."""

from __future__ import annotations

import pytest

from postwright.engine.proxy_turns import REST, ProxyTurns
from postwright.model.route import Proxy, SourceHost

C = SourceHost("203.0.113.3", "c", Proxy("p3", 1, "198.51.100.3", 1))
B = SourceHost("203.0.113.2", "b", Proxy("p2", 1, "198.51.100.2", 1), C)
A = SourceHost("203.0.113.1", "a", Proxy("p1", 1, "198.51.100.1", 1), B)


@pytest.mark.directive("use-proxy")
def test_the_first_that_has_not_failed_lately() -> None:
    turns = ProxyTurns()
    assert turns.first(A, 0) is A
    assert turns.failed(A, 10) is B
    assert turns.first(A, 11) is B
    assert turns.failed(B, 11) is C
    assert turns.first(A, 12) is C
    assert turns.first(A, 10 + REST) is A
    assert turns.failed(C, 12) is None
    assert turns.first(A, 13) is A, "all have failed: begin anew"
