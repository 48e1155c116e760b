"""LMTP has ports of its own."""

from __future__ import annotations

from postwright.control.config.loader import loads


def test_never_on_port_25() -> None:
    text = "host-name a.example\npostmaster p@a.example\n<smtp-listener 127.0.0.1:{}>\n protocol lmtp\n</smtp-listener>\n"
    [problem] = [found for found in loads(text.format(25)).problems if found.level == "error"]
    assert "LMTP is never spoken on port 25" in problem.message
    assert [found for found in loads(text.format(2424)).problems if found.level == "error"] == []
