"""`postwright pmta ...`: the same commands under PowerMTA's name, for scripts that say `pmta`.

We install no program of that name: a real PowerMTA may be on the same machine. Whoever wants it makes a link (`ln -s .../postwright
/usr/local/sbin/pmta`), or an alias of the shell for `postwright pmta`.
"""

from __future__ import annotations

import click


@click.command("pmta", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False, "help_option_names": []})
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="COMMAND...")
def command(words: tuple[str, ...]) -> None:
    """Any command, as one types it after `pmta`.

    \b
    Example: postwright pmta --xml show status
    Exit status: that of the command.
    """
    from postwright.control.cli.main import main  # it names this module, and imports it when it is asked for

    main.main(args=list(words) or ["--help"], prog_name="pmta")
