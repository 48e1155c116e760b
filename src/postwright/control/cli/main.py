"""`postwright`: the group of all commands.

Holds only names and one-line descriptions; a command's module is imported when it is asked for, so that `postwright status`
in a shell loop does not pay for the relay, and `postwright --help` pays for nothing. It never does work of its own. An unknown
name, or one whose module fails to import, is told as click tells a usage error or as the exception that it is.

The shipped test tools are named here by strings only: `control` does not import `testing`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

import click

from postwright import __version__
from postwright.control.cli.words import chosen, forms_behind

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class Lazy(NamedTuple):
    """Where a command lives: `module` has a click command called `command`."""

    module: str
    help: str


COMMANDS: dict[str, Lazy] = {
    "run": Lazy("postwright.control.cli.run", "Run the relay in the foreground until SIGTERM."),
    "init": Lazy("postwright.control.cli.init", "Write a first configuration: safe, commented, ready to run."),
    "check": Lazy("postwright.control.cli.check", "Read a configuration and tell every error in it."),
    "migrate": Lazy("postwright.control.cli.migrate", "What a configuration of PowerMTA means here, and what is to be done."),
    "config": Lazy("postwright.control.cli.config", "Explain effective settings; write the reference of directives."),
    "status": Lazy("postwright.control.cli.status", "Queues, connections, rates and shards of a running relay."),
    "metrics": Lazy("postwright.control.cli.metrics", "Figures of a running relay, as Prometheus reads them."),
    "top": Lazy("postwright.control.cli.top", "Watch a running relay on a terminal: how much moves, what waits and why."),
    "show": Lazy("postwright.control.cli.show", "What a running relay has in its hands: status, queues, domains, jobs, locks ..."),
    "clear": Lazy("postwright.control.cli.clear", "Have a running relay forget what it learned: dnscache, secretscache."),
    "reset": Lazy("postwright.control.cli.reset", "Have a running relay count its traffic anew."),
    "rotate": Lazy("postwright.control.cli.rotate", "Have a running relay begin new accounting files, or a new log."),
    "test": Lazy("postwright.control.cli.try_config", "Try something without doing it: config."),
    "resolve": Lazy("postwright.control.cli.resolve", "How mail for a domain would be routed, asked of the DNS step by step."),
    "why": Lazy("postwright.control.cli.why", "Why mail of a queue waits, which line says so, and for how long."),
    "explain": Lazy("postwright.control.cli.explain", "What would become of a message: each step, and the line that says so."),
    "lint": Lazy("postwright.control.cli.lint", "What a message lacks of what large mailbox providers want of it."),
    "classify": Lazy("postwright.control.cli.classify", "Which bounce category a reply belongs to, and which rule says so."),
    "list": Lazy("postwright.control.cli.order_list", "Recipients that wait: of queues, a job, a sender, older than something."),
    "delete": Lazy("postwright.control.cli.order_delete", "Delete mail that waits, of queues or of a job."),
    "pause": Lazy("postwright.control.cli.order_pause", "Hold mail back: of queues, or of a job."),
    "resume": Lazy("postwright.control.cli.order_resume", "Let paused mail go: of queues, or of a job."),
    "schedule": Lazy("postwright.control.cli.order_schedule", "Try queues now that wait for their next retry."),
    "disable": Lazy("postwright.control.cli.order_disable", "Take a source address of a queue out of use."),
    "enable": Lazy("postwright.control.cli.order_enable", "Put a source address of a queue back into use."),
    "set": Lazy("postwright.control.cli.order_set", "Put a queue into backoff or normal mode; give mail another priority."),
    "events": Lazy("postwright.control.cli.events", "What happened to mail: live, from a time on, or once more for a consumer."),
    "trace": Lazy("postwright.control.cli.trace", "Watch the dialogue of a queue's next connection."),
    "unlock": Lazy("postwright.control.cli.unlock", "Release a user or a network that failed logins have locked."),
    "reload": Lazy("postwright.control.cli.reload", "Have a running relay read its configuration again."),
    "dkim": Lazy("postwright.control.cli.dkim", "Keys that sign mail: make, publish, check, change them."),
    "suppress": Lazy("postwright.control.cli.suppress", "Who must not be sent to: add, remove, find, list, import, export."),
    "user": Lazy("postwright.control.cli.user", "Add, change, list, remove and try the users who may log in."),
    "key": Lazy("postwright.control.cli.key", "Make, list and remove the keys of programs that use the HTTP interfaces."),
    "spool": Lazy("postwright.control.cli.spool", "List, show, verify, export, import and repair a spool, offline."),
    "doctor": Lazy("postwright.control.cli.doctor", "What is wrong with this relay and its surroundings, and what cures it."),
    "probe": Lazy("postwright.control.cli.probe", "Look at an SMTP server as a client sees it: TLS, logins, latency, DNS."),
    "send": Lazy("postwright.control.cli.send", "Send a test message, and be told what is wrong and what to change."),
    "sendmail": Lazy("postwright.control.cli.sendmail", "Send the message on standard input, as programs call sendmail."),
    "acct": Lazy("postwright.control.cli.acct", "Search and count in accounting files, ours and PowerMTA's."),
    "digest": Lazy("postwright.control.cli.digest", "The digest that privacy-policy puts in the place of a local part."),
    "auth": Lazy("postwright.control.cli.auth", "Encode and decode the Base64 of SMTP logins."),
    "pmta": Lazy("postwright.control.cli.pmta", "The same commands under PowerMTA's name, for scripts that say pmta."),
    "completion": Lazy("postwright.control.cli.completion", "What makes Tab complete commands and options in bash, zsh or fish."),
    "manual": Lazy("postwright.control.cli.manual", "Manual pages of all commands, printed or written for a package."),
    "sink": Lazy("postwright.testing.cli_sink", "A scriptable receiver that delivers nothing: for tests and trials."),
    "load": Lazy("postwright.testing.cli_load", "A load generator that speaks SMTP and reports latencies."),
}


class LazyGroup(click.Group):
    """A click group that imports a command's module when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        lazy = COMMANDS.get(cmd_name)
        if lazy is None:
            return None
        command = import_module(lazy.module).command
        if not isinstance(command, click.Command):
            raise TypeError(f"{lazy.module}.command is not a click command")
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-"):
            name = chosen(ctx, args[0], COMMANDS)
            if name not in COMMANDS:
                ctx.fail(f"no such command: {name!r}{_did_you_mean(name)}")
            args = [name, *args[1:]]
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, forms_behind(ctx, self, args))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        # click's own version imports every command to ask for its help, at each press of Tab.
        from click.shell_completion import CompletionItem

        named = [CompletionItem(name, help=lazy.help) for name, lazy in COMMANDS.items() if name.startswith(incomplete)]
        return [*named, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # click's own version imports every command to ask for its help.
        with formatter.section("Commands"):
            formatter.write_dl([(name, lazy.help) for name, lazy in COMMANDS.items()])


def _did_you_mean(name: str) -> str:
    from difflib import get_close_matches  # an error path: 4 ms that no good command should pay

    near = get_close_matches(name, COMMANDS, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__, "-V", "--version", prog_name="postwright", message="%(prog)s %(version)s")
def main() -> None:
    """Postwright, an outbound mail relay of the PowerMTA class."""


if __name__ == "__main__":
    main()
