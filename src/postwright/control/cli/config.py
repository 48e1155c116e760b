"""`postwright config`: which setting holds and which line says so (`explain`); what all directives are (`reference`).

Reads a configuration or the table of directives, and changes nothing but the file that `reference --output` names.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import click
import msgspec

from postwright.control.cli.check import ERRORS, coloured
from postwright.control.cli.words import ShortGroup
from postwright.control.config import load
from postwright.control.config.explain import Explanation, Section, Setting, Unknown, queue, source
from postwright.policy.settings import Settings

USUAL = Path("/etc/postwright/config")
NOT_THERE = 1
_WIDEST = 40  # columns of a value; a longer one pushes its line's last column out


@click.group("config", cls=ShortGroup)
def config_group() -> None:
    """Explain effective settings; write the reference of directives."""


@config_group.command("explain")
@click.argument("what", nargs=-1, required=True, metavar="DOMAIN[/VMTA] | source ADDRESS")
@click.option("--config", "config", type=click.Path(path_type=Path, dir_okay=False), help=f"Configuration file; else {USUAL}.")
@click.option("--user", default="", help="With source: a client that has logged in as this smtp-user.")
@click.option("--listener-source", default="", help="With source: the named source of the listener that the client came to.")
@click.option("--changed", is_flag=True, help="Only what the configuration sets, no defaults.")
@click.option("--tolerant", is_flag=True, help="Read the file as `run --tolerant` does.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def explain(
    what: tuple[str, ...], config: Path | None, user: str, listener_source: str, changed: bool, tolerant: bool, as_json: bool
) -> None:
    """Every effective setting of a queue or of a client, with the line that won.

    \b
    Examples: postwright config explain example.com/mta1 --config FILE
              postwright config explain source 192.0.2.1 --user foo --config FILE
    Exit status: 0 explained, 1 there is no such virtual MTA, source or user, 2 the configuration has errors.
    """
    about_source = what[0].lower() == "source"
    if len(what) != 1 + about_source:
        raise click.UsageError("say DOMAIN, DOMAIN/VMTA, or: source ADDRESS")
    if not about_source and (user or listener_source):
        raise click.UsageError("--user and --listener-source belong to: explain source ADDRESS")
    settings = settings_of(config, tolerant)
    try:
        if about_source:
            explanation = source(settings, what[1], listener_source, user)
        else:
            domain, _, vmta = what[0].partition("/")
            explanation = queue(settings, domain, vmta)
    except Unknown as error:
        click.echo(f"postwright: {error}", err=True)
        sys.exit(NOT_THERE)
    if changed:
        explanation = _only_changed(explanation)
    click.echo(_json(explanation) if as_json else _text(explanation))


def settings_of(config: Path | None, tolerant: bool) -> Settings:
    """The settings of a file; its errors end the command. What is missing on this machine does not matter here."""
    path = config or USUAL
    if config is None and not path.is_file():
        raise click.UsageError(f"which configuration? Say --config FILE; there is no {USUAL} here")
    result = load(path, tolerant=tolerant, offline=True)
    errors = [problem for problem in result.problems if problem.level == "error"]
    if errors or result.settings is None:
        for problem in errors:
            click.echo(coloured(problem), err=True)
        click.echo("the configuration has errors; nothing is explained", err=True)
        sys.exit(ERRORS)
    return result.settings


def _only_changed(explanation: Explanation) -> Explanation:
    sections = (Section(s.title, tuple(setting for setting in s.settings if setting.changed)) for s in explanation.sections)
    return msgspec.structs.replace(explanation, sections=tuple(section for section in sections if section.settings))


def _json(explanation: Explanation) -> bytes:
    sections = [
        {
            "title": section.title,
            "settings": [
                {"directive": s.directive, "value": s.value, "text": s.text, "file": s.origin.file, "line": s.origin.line, "state": s.state}
                for s in section.settings
            ],
        }
        for section in explanation.sections
    ]
    return msgspec.json.encode({"subject": explanation.subject, "sections": sections})


def _text(explanation: Explanation) -> str:
    """Sections with a title each; names, values and lines in columns, defaults dimmed."""
    every = [setting for section in explanation.sections for setting in section.settings]
    if not every:
        return f"{explanation.subject}: nothing is set, all is default"
    names = max(len(setting.directive) for setting in every)
    values = min(max(len(setting.text) for setting in every), _WIDEST)
    return "\n\n".join("\n".join(_section(section, names, values)) for section in explanation.sections)


def _section(section: Section, names: int, values: int) -> Iterable[str]:
    yield click.style(section.title, bold=True)
    for setting in section.settings:
        line = f"  {setting.directive:{names}}  {setting.text:{values}}  {_where(setting)}"
        yield line if setting.changed else click.style(line, dim=True)


def _where(setting: Setting) -> str:
    return f"{setting.origin}  ({setting.state})" if setting.state else str(setting.origin)


@config_group.command("reference")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="File to write; else standard output.")
def reference(output: Path | None) -> None:
    """Write the reference of all directives, in Markdown.

    \b
    Example: postwright config reference --output docs/reference/directives.md
    Exit status: 0 written, 1 the file cannot be written, 2 wrong command line.
    """
    from postwright.control.config.reference import page  # no other command pays for it

    if output is None:
        click.echo(page(), nl=False)
        return
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(page())
    except OSError as error:
        click.echo(f"postwright: {output} cannot be written: {error.strerror}", err=True)
        sys.exit(NOT_THERE)


command = config_group
