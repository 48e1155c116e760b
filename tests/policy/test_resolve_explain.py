"""What `explain_queue` says of values that follow another one, and limits that a pool gives its members."""

from __future__ import annotations

from postwright.policy.resolve import Resolved
from postwright.policy.settings import Assignment, DomainBlock, Origin, PoolSettings, Rate, Settings, VmtaSettings

LINE = Origin("config", 7)


def explained(**assignments: object) -> dict[str, tuple[object, Origin]]:
    block = DomainBlock("*", {name: Assignment(value, LINE) for name, value in assignments.items()})
    rows = Resolved(Settings(domains=(block,))).explain_queue("example.com", "{default}")
    return {row.directive: (row.value, row.origin) for row in rows}


def test_a_backoff_twin_follows_the_normal_value_and_names_its_line() -> None:
    rate = Rate(100, 3600.0)
    rows = explained(max_msg_rate=rate)
    assert rows["max-msg-rate"] == (rate, LINE)
    assert rows["backoff-max-msg-rate"] == (rate, LINE)
    assert rows["backoff-max-connect-rate"] == (None, Origin())


def test_explaining_changes_nothing() -> None:
    block = DomainBlock("*", {"max_msg_rate": Assignment(Rate(1, 1.0), LINE)})
    resolved = Resolved(Settings(domains=(block,)))
    resolved.explain_queue("example.com", "{default}")
    assert list(block.assignments) == ["max_msg_rate"]


def test_a_password_is_not_told() -> None:
    assert explained(auth_password="sesame")["auth-password"] == ("***", LINE)


def test_connections_of_a_virtual_mta_are_its_own_else_its_pools() -> None:
    vmtas = {
        "a": VmtaSettings("a", max_smtp_out=3, pools=("P",)),
        "b": VmtaSettings("b", pools=("Q", "P")),
        "c": VmtaSettings("c", pools=("Q",)),
    }
    resolved = Resolved(Settings(vmtas=vmtas, pools={"p": PoolSettings("P", max_smtp_out=7), "q": PoolSettings("Q")}))
    assert [resolved.vmta_connections(name) for name in ("A", "b", "c", "unknown")] == [3, 7, None, None]
