"""From the text of a configuration to what happens to addresses: the directives of aliases, lists and recipients, read and in force."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from postwright.control.config.loader import load
from postwright.testing.world import World

ME, YOU = "me@sender.example", "you@example.com"

HEAD = """
host-name relay.example
postmaster admin@home.example
postmaster second@home.example
domain-macro gone  left, dead
smtp-listener 192.0.2.1:25
log-file log
<spool spool>
</spool>
<acct-file acct.csv>
  records d,b,r
</acct-file>
<virtual-mta a>
  smtp-source-host 192.0.2.10 a.relay.example
</virtual-mta>
<virtual-mta b>
  smtp-source-host 192.0.2.11 b.relay.example
  rewrite-list masked
</virtual-mta>
<rewrite-list masked>
  mail-from *@sender.example bounces@out.example
</rewrite-list>
<aliases>
  alias sales you@example.com, two@example.com
</aliases>
alias *@old.example you@example.com
<address-list Never>
  address /^spamtrap/
  address-file lists/never.txt
  domain $gone.example
</address-list>
<pattern-list streams>
  header X-Stream /^ news$/ virtual-mta=b
  mail-from /@sender\\.example$/
  <pattern-list>
    rcpt-to /@example\\.com$/ virtual-mta=a,recipient-priority=70
    * call-to:rest
  </pattern-list>
</pattern-list>
<pattern-list rest>
  rcpt-to // virtual-mta={default},recipient-priority=10
</pattern-list>
"""


@pytest.fixture
def world(tmp_path: Path) -> Callable[[str], World]:
    """`world(source)` is a relay with these lines in the source of everybody that we trust."""

    def make(lines: str) -> World:
        (tmp_path / "lists").mkdir(exist_ok=True)
        (tmp_path / "lists" / "never.txt").write_text("Filed@example.com\n")
        file = tmp_path / "relay.conf"
        file.write_text(HEAD + f"<source 192.0.2.0/24>\n always-allow-relaying yes\n {lines}\n</source>\n")
        result = load(file)
        assert result.settings is not None, [str(problem) for problem in result.problems]
        return World(result.settings)

    return make


def test_aliases_and_patterns(world: Callable[[str], World]) -> None:
    with world("pattern-list Streams") as relay:
        relay.domain("example.com")
        relay.domain("elsewhere.example")
        relay.submit(ME, ["sales@relay.example", YOU, "x@elsewhere.example"])
        relay.submit(ME, [YOU], headers={"X-Stream": "news"})
        relay.run_until_empty()
        assert sorted((r.rcpt, r.vmta) for r in relay.of("r")) == [
            ("two@example.com", "{default}"), ("x@elsewhere.example", "{default}"),
            (YOU, "a"), (YOU, "b"), (YOU, "{default}"),
        ]  # fmt: skip
        assert {(message.sender, tuple(message.recipients)) for message in relay.messages()} >= {("bounces@out.example", (YOU,))}


def test_a_wildcard_of_our_own_and_postmasters(world: Callable[[str], World]) -> None:
    with world("bcc archive@home.example\n jobid-prefix j-\n process-x-job yes") as relay:
        mx, home = relay.domain("example.com"), relay.domain("home.example")
        relay.submit(ME, ["anybody@old.example"], headers={"x-job": "7"})
        relay.submit(ME, ["postmaster@relay.example"])
        relay.run_until_empty()
        assert mx.recipients == [YOU]
        assert sorted(home.recipients) == ["admin@home.example", "archive@home.example", "archive@home.example", "second@home.example"]
        assert "j-7" in {r.job_id for r in relay.of("r")}


def test_suppression(world: Callable[[str], World]) -> None:
    held = ["spamtrap1@example.com", "filed@example.com", "x@left.example", "x@dead.example"]
    with world("suppression-lists Never") as relay:
        replies = relay.submit(ME, [*held, YOU]).rcpt
        assert [reply.code for reply in replies if reply] == [550, 550, 550, 550, 250]
        assert replies[0] is not None
        assert 'list "Never"' in replies[0].text
    with world("suppression-lists Never\n accept-invalid-recipients yes\n suppress-local-dsn yes") as relay:
        assert relay.submit(ME, held).accepted
        relay.run_until_empty()
        assert sorted(r.rcpt for r in relay.of("b")) == sorted(held)


def test_an_empty_remove_header_clears_what_a_wider_source_said(world: Callable[[str], World], tmp_path: Path) -> None:
    with world('remove-header X-Secret\n</source>\n<source 192.0.2.5>\n remove-header ""') as relay:
        mx = relay.domain("example.com")
        for peer in ("192.0.2.4", "192.0.2.5"):
            relay.submit(ME, [YOU], headers={"X-Secret": "s"}, peer=peer)
            relay.run_until_empty()
        assert [message.parsed["X-Secret"] for message in mx.messages] == [None, "s"]


def test_a_list_of_addresses_that_is_not_there_is_an_error(world: Callable[[str], World], tmp_path: Path) -> None:
    with world("suppression-lists Never"):
        pass
    (tmp_path / "lists" / "never.txt").unlink()
    result = load(tmp_path / "relay.conf")
    assert result.settings is None
    assert any("never.txt" in str(problem) for problem in result.problems)


@pytest.mark.parametrize(
    "line",
    ["mail-from a@b.example c..d@e.example", "mail-from a@b.example nobody@", "from-domain a..b c.example", "from-domain a.example b..c"],
)
def test_a_rewriting_that_means_nothing_is_told_at_its_line(line: str, tmp_path: Path) -> None:
    file = tmp_path / "relay.conf"
    file.write_text(f"host-name relay.example\n<rewrite-list x>\n  {line}\n</rewrite-list>\n")
    result = load(file)
    assert result.settings is None
    assert any(problem.line == 3 for problem in result.problems)


@pytest.mark.parametrize(
    "line",
    [
        "mail-from * *@b.example",
        "mail-from a.example @b.example",
        "mail-from *@[*.]a.example x@b.example",
        "from-domain *.a.example b.example",
    ],
)
def test_rewritings_that_mean_something(line: str, tmp_path: Path) -> None:
    file = tmp_path / "relay.conf"
    file.write_text(f"host-name relay.example\n<rewrite-list x>\n  {line}\n</rewrite-list>\n")
    result = load(file)
    assert result.settings is not None
    with World(result.settings) as relay:  # it compiles
        assert relay.node.intake.epoch.addressing.rewriting.keys() == {"x"}


GUIDE = Path(__file__).resolve().parents[3] / "docs" / "guides" / "addresses.md"


def test_the_guide_s_configuration_is_one(tmp_path: Path) -> None:
    """All its blocks together, with the virtual MTAs that they name."""
    blocks = "\n".join([line for line in GUIDE.read_text().splitlines() if line.startswith("    ")])
    assert blocks.count("<source 10/8>") == 2
    known = "\n".join(
        [f"<virtual-mta {name}>\n smtp-source-host 192.0.2.1 {name}.example.com\n</virtual-mta>" for name in ("news", "gmail", "shop")]
    )
    (tmp_path / "unsubscribed.txt").write_text("x@example.com\n")
    file = tmp_path / "relay.conf"
    file.write_text(f"host-name relay.example\nlog-file log\n{known}\n{blocks}\n")
    result = load(file)
    assert result.settings is not None, [str(problem) for problem in result.problems]
    assert not [str(problem) for problem in result.problems if "not yet" in str(problem)]
    with World(result.settings) as relay:
        rules = relay.node.intake.epoch.addressing.rules(relay.node.resolved.source("10.1.2.3"))
        assert rules.selection is not None
        assert rules.aliases is not None
