"""aiosmtpd's own protocol tests (161 of them), aimed at a real relay: all pass but the written list of differences on purpose."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from tests.interop.aiosmtpd_differences import DIFFERENCES
from tests.interop.peers import StartRelay, run

from postwright.testing.sink import SinkServer

CASES = 161
HERE = Path(__file__).parent


async def test_aiosmtpd_protocol_tests(start_relay: StartRelay, tmp_path: Path) -> None:
    outcomes = tmp_path / "outcomes"
    async with SinkServer(keep="nothing") as sink:
        relay = await start_relay(f"""
<source 127.0.0.1/32>
    always-allow-relaying yes
</source>
<domain *>
    smtp-hosts [127.0.0.1]:{sink.port}
</domain>
""")
        environment = {**os.environ, "AIMED_AT": f"127.0.0.1:{relay.port}", "OUTCOMES": str(outcomes), "PYTHONPATH": str(HERE)}
        wish = "TestSMTP and not Auth and not NonDecoding and not WithController"
        await run(
            *(sys.executable, "-m", "pytest", "-q", "-p", "aiosmtpd_plugin", "-p", "no:cacheprovider", "-c", os.devnull),
            *("--rootdir", tmp_path, "--pyargs", "aiosmtpd.tests.test_smtp", "-k", wish),
            env=environment,
            cwd=tmp_path,
            check=False,
        )
    results = {line["test"].lstrip(":"): line for line in map(json.loads, outcomes.read_text("utf-8").splitlines())}
    assert len(results) == CASES
    failed = {test: line["why"] for test, line in results.items() if line["outcome"] != "passed"}
    assert {test: why for test, why in failed.items() if test not in DIFFERENCES} == {}
    assert set(DIFFERENCES) - set(failed) == set(), "listed as a difference, and is none any more"
