"""docs/guides/spf-dmarc.md: its configuration loads without a word, its records are valid, its command is ours."""

from __future__ import annotations

import re
from pathlib import Path

from postwright.control.cli.check_spf import command
from postwright.control.config import loads
from postwright.policy import dmarc_record, spf_record
from postwright.policy.resolve import Resolved

GUIDE = (Path(__file__).parents[3] / "docs" / "guides" / "spf-dmarc.md").read_text("utf-8")
BLOCKS = re.findall(r"(?m)(?:^    .*\n)+", GUIDE)


def test_its_configuration() -> None:
    text = "".join(block for block in BLOCKS if "<" in block)
    top = "host-name relay.example\npostmaster you@relay.example\nlog-file log\nsmtp-source-host 192.0.2.1 mta1.example.com\n"
    result = loads(top + text, "config", offline=True)
    assert [problem.message for problem in result.problems] == []
    assert result.settings is not None
    resolved = Resolved(result.settings)
    source = resolved.source("192.0.2.9")
    assert (source.check_spf_inbound, source.check_dmarc_inbound, source.check_iprev_inbound) == (True, True, True)
    assert resolved.queue("far.example", "{default}").check_spf_outbound


def test_its_records() -> None:
    texts = re.findall(r'TXT  "(.*)"', GUIDE) + re.findall(r"`(v=(?:spf1|DMARC1)[^`]*)`", GUIDE)
    spf = [spf_record.parse(text) for text in texts if spf_record.is_spf(text)]
    policies = [dmarc_record.parse(text) for text in texts if dmarc_record.is_dmarc(text)]
    assert [record.mechanisms[-1].text for record in spf] == ["-all"] * 3
    assert [record.policy for record in policies if record is not None] == ["none", "reject", "reject"]
    assert len(texts) == 6


def test_its_command() -> None:
    (words,) = re.findall(r"(?m)^    postwright check spf (.*)$", GUIDE)
    assert len(words.split()) == len([one for one in command.params if one.param_type_name == "argument"])
