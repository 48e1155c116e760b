"""`postwright completion`: the lines for a shell that make Tab complete commands and options. Prints them; installs nothing."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_POSTWRIGHT_COMPLETE"


def script(shell: str) -> str:
    """The lines for one of SHELLS. The shell itself is not asked for its version: packages are made where it may not be."""
    kind = get_completion_class(shell)
    if kind is None:
        raise ValueError(f"no completion for {shell}")
    completion = kind(click.Command("postwright"), {}, "postwright", VARIABLE)
    return completion.source_template % completion.source_vars()


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
def command(shell: str) -> None:
    """Print what makes Tab complete `postwright` in a shell.

    \b
    Example: postwright completion bash > /etc/bash_completion.d/postwright
             postwright completion zsh > /usr/local/share/zsh/site-functions/_postwright
             postwright completion fish > ~/.config/fish/completions/postwright.fish
    Exit status: 0 printed, 2 wrong command line.
    """
    click.echo(script(shell), nl=False)
