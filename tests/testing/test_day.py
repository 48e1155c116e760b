"""A simulated day: of real configurations where they are, and of a small one of our own; limits are judged from the receivers' side."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from postwright.control.config import load, loads
from postwright.model.work import WaitReason
from postwright.policy.resolve import Resolved
from postwright.policy.settings import Settings
from postwright.testing import day
from postwright.testing.provider_report import breaches

LIMITS = {WaitReason.MESSAGE_RATE, WaitReason.QUEUE_CONNECTIONS, WaitReason.VMTA_CONNECTIONS, WaitReason.TOTAL_CONNECTIONS}
OURS = """
host-name relay.example
<source 127.0.0.1>
  always-allow-relaying yes
</source>
smtp-source-host 192.0.2.10 relay.example
<virtual-mta fast>
  smtp-source-host 192.0.2.11 fast.relay.example
</virtual-mta>
<domain *>
  max-smtp-out 4
  max-msg-per-connection 20
  retry-after 20m
</domain>
<domain gmail.com>
  max-msg-rate 60/h
  max-smtp-out 1
</domain>
"""


def settings(text: str = OURS) -> Settings:
    found = loads(text, name="ours.conf", offline=True, tolerant=True).settings
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("number", "messages", "bound"),
    [("22", 4000, {WaitReason.MESSAGE_RATE}), ("02", 2000, set()), ("04", 2000, set()), ("07", 2000, set()), ("13", 2000, set())],
)
def test_a_day_of_a_real_configuration(shared: Path, number: str, messages: int, bound: set[WaitReason]) -> None:
    """Every message has one fate or waits, no receiver saw a limit exceeded, and what bound is told."""
    [file] = (shared / "powermta-configs").glob(f"{number}-*.conf")
    loaded = load(file, offline=True, tolerant=True).settings
    assert loaded is not None
    found = day.simulate(loaded, seed=3, messages=messages)
    assert (found.breaches, found.lost) == ([], [])
    assert found.report.accepted == messages
    assert found.report.fates["delivered"] >= 0.95 * messages
    assert found.report.fates.total() == messages
    assert len({hour for hour, _, _ in found.report.sent}) >= 20
    assert bound <= set(found.report.waits)
    assert found.report.refused


def test_the_limit_that_binds_is_named_and_kept() -> None:
    found = day.simulate(settings(), seed=1, messages=1500)
    assert (found.breaches, found.lost) == ([], [])
    assert found.report.bound["google", WaitReason.MESSAGE_RATE] > 60, "for hours after each mailing"
    assert not {name for name, reason in found.report.bound if reason in LIMITS} - {"google", "companies"}
    most = dict.fromkeys(range(25), 0)
    for (hour, _, provider), count in found.report.sent.items():
        most[hour] += count if provider == "google" else 0
    assert max(most.values()) <= 2 * 60 * 2, "of two virtual MTAs, in parts of two windows each"


def test_what_exceeds_a_limit_is_found() -> None:
    """Held against stricter limits than it was run by, the same day has breaches: the judge can see."""
    own = settings()
    found = day.simulate(own, seed=1, messages=800)
    stricter = settings(OURS.replace("60/h", "5/h").replace("on 20", "on 1"))
    said = " ".join(breaches(found.providers, Resolved(stricter)))
    assert "recipients within 3600 s, 5 are allowed" in said
    assert "messages on one connection, 1 are allowed" in said
    assert not breaches(found.providers, Resolved(own))


def test_the_same_seed_tells_the_same_day_and_another_another() -> None:
    days = [day.simulate(settings(), seed=seed, messages=400) for seed in (5, 5, 6)]
    texts = [one.report.as_text() for one in days]
    assert texts[0] == texts[1] != texts[2]
    assert [one.providers.ledger.taken for one in days[:2]] == [days[0].providers.ledger.taken] * 2


def test_nothing_of_a_configuration_runs_programs_or_reads_files() -> None:
    own = settings(OURS + '<domain pipe.example>\n  type pipe\n  command "/bin/false"\n</domain>\n')
    adapted = day.adapted(replace(own, general=replace(own.general, users_file=("/etc/users",))))
    assert adapted.general.users_file == ()
    assert Resolved(adapted).queue("pipe.example", "fast").type == "smtp"
    assert not Resolved(adapted).queue("pipe.example", "fast").command


def test_the_command(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text(OURS)
    result = CliRunner().invoke(day.command, [str(file), "--messages", "200", "--seed", "2"])
    assert result.exit_code == 0, result.output
    assert "accepted 200 recipients" in result.output
    assert "which limit bound" in result.output
    file.write_text("<domain *>\n max-smtp-out many\n")
    assert CliRunner().invoke(day.command, [str(file)]).exit_code == 2
    file.write_text(f"postmaster admin@YOUR_DOMAIN\n{OURS}")
    assert CliRunner().invoke(day.command, [str(file)]).exit_code == 2
