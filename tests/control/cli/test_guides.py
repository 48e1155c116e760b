"""The guides: configurations in them load, commands and options in them exist, and what can be run alone prints what is said.

Guides with a test file of their own are held there as well; here are the rules that hold for all, and the pages about moving over.
"""

from __future__ import annotations

import json
import re
import shlex
import textwrap
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from postwright.control.cli.main import main
from postwright.control.config import loads
from postwright.control.config.directives import BLOCKS, TABLE

DOCS = Path(__file__).resolve().parents[3] / "docs"
GUIDES = sorted((DOCS / "guides").glob("*.md"))
README = DOCS.parent / "README.md"
TO_BE_MENDED = "moving-from-powermta.md"  # its configuration has a word that nobody knows, and the page says so


def blocks(page: Path, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)


CONFIGURATIONS = [(page, text) for page in GUIDES for text in blocks(page, "conf") if page.name != TO_BE_MENDED]


@pytest.mark.parametrize(("page", "text"), CONFIGURATIONS, ids=[page.stem for page, _ in CONFIGURATIONS])
def test_configurations_load(page: Path, text: str) -> None:
    assert [problem.render() for problem in loads(text, page.name, offline=True).errors] == []


# -- commands -----------------------------------------------------------------------------


def commands(page: Path) -> Iterator[list[str]]:
    """Lines of code that call us, without what the shell does round it."""
    text = page.read_text("utf-8")
    fenced = "".join(block for kind in ("sh", "console", "") for block in blocks(page, kind))
    for line in [*re.findall(r"^    .*$", text, re.MULTILINE), *fenced.splitlines()]:
        found = re.match(r"\s*(?:\$ )?(?:.*\| )?(?:\./dev exec )?postwright ([a-z].*)$", line)
        if found is not None and "…" not in line and "..." not in line:
            words = shlex.split(re.split(r" [|<>&]|;|\\$", found[1])[0], comments=True)
            yield [word for word in words[1:] if word not in ("--xml", "--dom", "--json")] if words[0] == "pmta" else words


def refused(words: list[str]) -> str:
    """Which word of a command there is not; "" if all are there. Nothing is run."""
    command: click.Command = main
    context = click.Context(main, info_name="postwright")
    rest = words
    while isinstance(command, click.Group):
        if not rest:
            return ""
        name, found, rest = command.resolve_command(context, rest)
        if found is None:
            return str(name)
        command, context = found, click.Context(found, info_name=name, parent=context)
    known = {option for parameter in command.get_params(context) for option in (*parameter.opts, *parameter.secondary_opts)}
    for word in rest:
        if word.startswith("--") and word.partition("=")[0] not in known:
            return word
    return ""


@pytest.mark.parametrize("page", [*GUIDES, README], ids=lambda page: page.stem)
def test_commands_and_options_exist(page: Path) -> None:
    for words in commands(page):
        try:
            wrong = refused(words)
        except click.UsageError as error:
            wrong = error.format_message()
        assert wrong == "", words


def test_a_wrong_option_is_seen() -> None:
    assert refused(["show", "topqueues", "--maxitem=3"]) == "--maxitem=3"
    assert sum(1 for page in GUIDES for _ in commands(page)) > 150
    assert sum(1 for _ in commands(README)) >= 7


def test_the_first_configuration_of_the_readme_loads() -> None:
    text = README.read_text("utf-8")
    configuration = text.partition("Save this as `config`:\n\n")[2].partition("\nThen ask")[0]
    assert configuration.count("\n") > 30
    assert loads(textwrap.dedent(configuration), "config", offline=True).problems == ()


# -- moving over ----------------------------------------------------------------------------


def run(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


def explained(page: str, domain: str, tmp_path: Path) -> dict[str, str]:
    """The settings of a queue in the configuration of that page, by name."""
    (tmp_path / "relay.conf").write_text(blocks(DOCS / "guides" / page, "conf")[0])
    result = run("config", "explain", domain, "--config", str(tmp_path / "relay.conf"), "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    return {one["directive"]: one["text"] for section in told["sections"] for one in section["settings"]}


def test_from_powermta_the_report_is_what_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = DOCS / "guides" / TO_BE_MENDED
    (tmp_path / "pmta.conf").write_text(blocks(page, "conf")[0])
    monkeypatch.chdir(tmp_path)
    [talk] = blocks(page, "console")
    line, _, output = talk.removeprefix("$ postwright ").partition("\n")
    result = run(*shlex.split(line))
    assert result.stdout.startswith(output)
    assert result.exit_code == 1


def test_from_postfix_the_example_does_the_same(tmp_path: Path) -> None:
    page = "moving-from-postfix.md"
    other = explained(page, "elsewhere.example", tmp_path)
    assert "smtp.provider.example" in str(other["smtp-hosts"])
    assert (other["auth-username"], other["require-starttls"], other["max-smtp-out"]) == ("www", "yes", "10")
    inside = explained(page, "inside.example", tmp_path)
    assert "10.1.2.3" in str(inside["smtp-hosts"])
    assert (inside["auth-username"], inside["require-starttls"], inside["max-smtp-out"]) == ("-", "no", "10")
    partner = explained(page, "partner.example", tmp_path)
    assert (partner["auth-username"], partner["require-starttls"]) == ("-", "yes")


def test_from_kumomta_the_example_does_the_same(tmp_path: Path) -> None:
    found = explained("moving-from-kumomta.md", "elsewhere.example/ip-2", tmp_path)
    assert (found["max-smtp-out"], found["max-msg-per-connection"], found["use-starttls"]) == ("10", "100", "yes")
    assert "mta2.example.com" in str(found["smtp-source-host"])


@pytest.mark.parametrize("name", ["moving-from-postfix.md", "moving-from-kumomta.md"])
def test_translations_lead_to_words_that_there_are(name: str) -> None:
    known = {row.name for row in TABLE} | {block.name for block in BLOCKS}
    rows = re.findall(r"^\| .* \| (.*) \|$", (DOCS / "guides" / name).read_text("utf-8"), re.MULTILINE)
    words = [word for row in rows for word in re.findall(r"`<?([a-z][a-z0-9-]+)[ >`]", row)]
    assert len(words) > 40
    other = {"postwright", "x-virtual-mta", "x-job", "disable-source-ip", "defer-queue"}
    assert set(words) - known - other == set()


# -- the others -----------------------------------------------------------------------------


def test_signing_set_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = DOCS / "guides" / "signing-set-up.md"
    monkeypatch.chdir(tmp_path)
    no_dns = "<domain example.net>\n    smtp-hosts [192.0.2.99]:25\n</domain>\n"
    (tmp_path / "relay.conf").write_text(blocks(page, "conf")[0] + no_dns)
    first, last = blocks(page, "sh")
    keygen, record = [shlex.split(line)[1:] for line in first.splitlines()]
    made = run(*keygen)
    assert made.exit_code == 0, made.output
    assert (tmp_path / "s1.pem").stat().st_mode & 0o77 == 0
    assert run(*record).stdout.startswith("v=DKIM1; k=rsa; p=")
    assert run("check", "relay.conf").exit_code == 0
    [explain] = [shlex.split(line)[1:] for line in last.splitlines() if line.startswith("postwright explain")]
    told = run(*explain)
    assert told.exit_code == 0, told.output
    assert re.search(r"domain-key +s1\._domainkey\.example\.com, for news@example\.com +relay\.conf:6", told.stdout)


def test_a_block_is_sorted_as_the_guide_has_it() -> None:
    page = DOCS / "guides/when-a-provider-blocks-you.md"
    [line] = re.findall(r"^echo \"(.*)\" \| postwright classify$", page.read_text("utf-8"), re.MULTILINE)
    result = CliRunner().invoke(main, ["classify"], input=line + "\n")
    assert result.exit_code == 0
    rules = loads(blocks(page, "conf")[0], offline=True).settings
    assert rules is not None
    assert rules.smtp_pattern_lists["blocking"][0].action.mode == "backoff"


def test_figures_of_capacity_are_those_of_the_bench() -> None:
    figures = re.findall(r"\| `([\d.]+ ?\w*)` \|", (DOCS / "guides/capacity.md").read_text("utf-8"))
    assert len(figures) == 7
    measured = (DOCS / "performance.md").read_text("utf-8")
    assert [figure for figure in figures if not re.search(rf"(?<![\d.]){re.escape(figure)}\b", measured)] == []
