"""docs/guides/arc.md: its configuration loads without a word, and seals as the page says."""

from __future__ import annotations

import re
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa

from postwright.content.dkim_canon import header_fields
from postwright.content.dkim_key import SigningKey
from postwright.control.config import loads
from postwright.testing.world import World

GUIDE = (Path(__file__).parents[3] / "docs" / "guides" / "arc.md").read_text("utf-8")
BLOCKS = re.findall(r"(?m)(?:^(?:    .*)?\n)+", GUIDE)


def test_its_story(tmp_path: Path) -> None:
    (configuration,) = [block for block in BLOCKS if "<domain *>" in block]
    (shown,) = [block for block in BLOCKS if "ARC-Seal:" in block]
    key = tmp_path / "arc2026.pem"
    key.write_bytes(SigningKey(rsa.generate_private_key(65537, 1024)).pem())
    text = f"postmaster you@example.com\nlog-file log\nsmtp-listener 192.0.2.1:25\n{configuration}"
    result = loads(text, "config", offline=True)
    assert [problem.message for problem in result.problems] == []
    settings = loads(text.replace("/etc/postwright/dkim/arc2026.pem", str(key)), "config", offline=True).settings
    assert settings is not None
    with World(settings) as world:
        world.domain("far.example")
        world.zone["a.example"] = {"TXT": ['"v=spf1 ip4:192.0.2.77 -all"']}
        world.zone["_dmarc.a.example"] = {"TXT": ['"v=DMARC1; p=reject"']}
        content = "From: joe@a.example\r\nTo: ann@far.example\r\nSubject: x\r\n\r\nhello\r\n"
        assert world.submit("joe@a.example", ["ann@far.example"], content).accepted
        world.run_until_empty()
        content = world.messages()[0].content
    made = [" ".join(field.raw.decode().split()) for field in header_fields(content)[:3]]
    for field, line in zip(made, [line.strip() for line in shown.splitlines() if line.strip()], strict=True):
        assert re.fullmatch(re.escape(line).replace("…", ".*").replace("dkim=pass", "dkim=none"), field), field
    assert made[2].endswith("dmarc=pass (p=reject) header.from=a.example; arc=none")
