"""`postwright metrics`: the metrics of a running relay on standard output, or in a file for the textfile collector of node_exporter."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from postwright.control.cli.asking import question, state_dir_option

NOT_DONE = 1


@click.command("metrics")
@state_dir_option
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="File to write, replaced at once; else standard output.")
@click.option("--openmetrics", is_flag=True, help="In the form of OpenMetrics 1.0.")
@click.option("--reference", type=click.Path(path_type=Path, dir_okay=False), help="Write the page of all metrics there; ask no relay.")
def command(state_dir: Path | None, output: Path | None, openmetrics: bool, reference: Path | None) -> None:
    """The metrics of a running relay, as Prometheus reads them.

    \b
    Example: postwright metrics
             postwright metrics --output /var/lib/prometheus/node-exporter/postwright.prom
    Exit status: 0 told, 1 the relay could not or the file cannot be written, 2 wrong command line, 3 no relay runs there.
    """
    try:
        if reference is not None:
            from postwright.control.metrics.page import page

            reference.write_text(page(), "utf-8")
            return
        _show(_text(state_dir, openmetrics), output)
    except OSError as error:
        click.echo(f"postwright: {error.filename}: {error.strerror}", err=True)
        sys.exit(NOT_DONE)


def _text(state_dir: Path | None, openmetrics: bool) -> bytes:
    from postwright.control.metrics.exposition import text, view_of  # who asks no relay pays for no Prometheus

    told = question(state_dir, "view-metrics")
    if not told.ok:
        click.echo("\n".join(told.lines), err=True)
        sys.exit(NOT_DONE)
    return text(view_of(told.body), "application/openmetrics-text; version=1.0.0" if openmetrics else "")[0]


def _show(exposition: bytes, output: Path | None) -> None:
    if output is None:
        click.echo(exposition, nl=False)
        return
    draft = output.with_name(f".{output.name}.{os.getpid()}")  # a collector must not read half of it, nor a name that it takes for metrics
    try:
        draft.write_bytes(exposition)
        draft.replace(output)
    finally:
        draft.unlink(missing_ok=True)
