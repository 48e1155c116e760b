"""`postwright manual`: writes the manual pages of all commands (what packages ship), and the pages of reference. Asks no relay."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from postwright import __version__


@click.command("manual")
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), help="Folder for the pages: one file a command.")
@click.option("--gzip", "packed", is_flag=True, help="Packed, as Debian wants them.")
@click.option("--exit-codes", "exits_file", type=click.Path(path_type=Path, dir_okay=False), help="Write the table of exit statuses there.")
@click.option("--reference", "reference_file", type=click.Path(path_type=Path, dir_okay=False), help="Write the page of commands there.")
@click.option("--wait-reasons", "waits_file", type=click.Path(path_type=Path, dir_okay=False), help="Write the page of wait reasons there.")
@click.argument("name", nargs=-1, metavar="[COMMAND]...")
def command(
    output: Path | None, packed: bool, exits_file: Path | None, reference_file: Path | None, waits_file: Path | None, name: tuple[str, ...]
) -> None:
    """Write the manual pages of the commands, or print one.

    \b
    Example: postwright manual spool verify | man -l -
             postwright manual --output /usr/share/man/man1 --gzip
    Exit status: 0 written, 1 there is no such command or a file cannot be written, 2 wrong command line.
    """
    from postwright.control.cli.main import main  # it names us
    from postwright.control.manual import exits, reference, roff, waits
    from postwright.control.manual.entries import ROOT, entries

    found = entries(main)
    try:
        if output is not None:
            click.echo(f"{len(roff.write(found, output, __version__, packed=packed))} pages in {output}", err=True)
        if exits_file is not None:
            exits_file.write_text(exits.page(found), "utf-8")
        if reference_file is not None:
            reference_file.write_text(reference.page(found), "utf-8")
        if waits_file is not None:
            waits_file.write_text(waits.page(), "utf-8")
    except OSError as error:
        click.echo(f"postwright: {error.filename}: {error.strerror}", err=True)
        sys.exit(1)
    if all(one is None for one in (output, exits_file, reference_file, waits_file)):
        _print({entry.path: roff.page(entry, __version__) for entry in found}, (ROOT, *name))


def _print(pages: dict[tuple[str, ...], str], path: tuple[str, ...]) -> None:
    if path not in pages:
        click.echo(f"postwright: no such command: {' '.join(path[1:])}", err=True)
        sys.exit(1)
    click.echo(pages[path], nl=False)
