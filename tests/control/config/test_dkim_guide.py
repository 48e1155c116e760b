"""docs/guides/dkim.md: its configuration loads without a word, and its commands are ours."""

from __future__ import annotations

import re
from pathlib import Path

from postwright.control.cli.dkim import command
from postwright.control.config import loads
from postwright.policy.dkim_keys import KeyRings, choose, identities
from postwright.policy.resolve import Resolved

GUIDE = (Path(__file__).parents[3] / "docs" / "guides" / "dkim.md").read_text("utf-8")
BLOCKS = re.findall(r"(?m)(?:^    .*\n)+", GUIDE)


def test_its_configuration() -> None:
    text = "".join(block for block in BLOCKS if "<domain *>" in block)
    result = loads(f"host-name relay.example\npostmaster you@relay.example\nlog-file log\n{text}", "config", offline=True)
    assert [problem.message for problem in result.problems] == []
    assert result.settings is not None
    queue = Resolved(result.settings).queue("far.example", "{default}")
    assert (queue.dkim_sign, queue.second_dkim_algorithm, queue.dkim_expire_after) == ("yes", "ed25519-sha256", 14 * 86400.0)
    found = choose(KeyRings(result.settings).named("none"), identities("@example.com", (), ()), lambda key: True)
    assert found is None
    assert [key.selector for key in result.settings.domain_keys] == ["pw2026", "pw2026e"]


def test_its_commands() -> None:
    used = set(re.findall(r"postwright dkim ([a-z]+)", GUIDE))
    assert used == set(command.commands)
    options = {option for line in GUIDE.splitlines() if "postwright dkim" in line for option in re.findall(r"--[a-z]+", line)}
    known = {text for one in command.commands.values() for parameter in one.params for text in parameter.opts}
    assert options <= known
