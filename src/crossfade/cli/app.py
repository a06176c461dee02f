"""The `crossfade` command: verbs, exit codes, and errors as one line.

Exit codes: 0 success; 1 done, but something is left that needs you (parked items, a broken audit
log, an answer that was no, an upgrade that `assess` refused); 2 bad input, usage, not allowed now,
or runs of a benchmark that failed; 130 interrupted.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from typing import Annotated, TextIO

import typer

import crossfade
from crossfade.cli.arguments import spread_lists
from crossfade.cli.assess import assess
from crossfade.cli.attach import attach
from crossfade.cli.audit import audit
from crossfade.cli.backfill import backfill, resume
from crossfade.cli.bench import bench
from crossfade.cli.chain import chain
from crossfade.cli.demo import demo
from crossfade.cli.detach import detach
from crossfade.cli.evaluate import evaluate
from crossfade.cli.finish import finish
from crossfade.cli.fit import fit
from crossfade.cli.output import message as tell
from crossfade.cli.pause import pause
from crossfade.cli.retry_parked import retry_parked
from crossfade.cli.rollback import rollback
from crossfade.cli.search import search
from crossfade.cli.start import start
from crossfade.cli.status import status
from crossfade.cli.stores import stores
from crossfade.errors import CrossfadeError
from crossfade.stores.uri import redact_text

__all__ = ["app", "main"]

BAD_INPUT = 2
INTERRUPTED = 130

app = typer.Typer(
    name="crossfade",
    help="Upgrade the embedding model of a live search index, online.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(demo)
app.command()(fit)
app.command()(chain)
app.command()(evaluate)
app.command()(assess)
app.command()(stores)
app.add_typer(bench, name="bench")
app.command()(attach)
app.command()(start)
app.command()(backfill)
app.command()(status)
app.command()(pause)
app.command()(resume)
app.command("retry-parked")(retry_parked)
app.command()(rollback)
app.command()(finish)
app.command()(search)
app.command()(audit)
app.command()(detach)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"crossfade {crossfade.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Upgrade the embedding model of a live search index, online."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; exits the process."""
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            app(args=spread_lists(sys.argv[1:] if arguments is None else arguments))
    except CrossfadeError as error:
        tell(f"error: {redact_text(str(error))}")
        sys.exit(BAD_INPUT)
    except KeyboardInterrupt:
        tell("interrupted")
        sys.exit(INTERRUPTED)


def _show_warning(
    message: Warning | str,
    category: type[Warning],  # noqa: ARG001
    filename: str,  # noqa: ARG001
    lineno: int,  # noqa: ARG001
    file: TextIO | None = None,  # noqa: ARG001
    line: str | None = None,  # noqa: ARG001
) -> None:
    tell(f"warning: {message}")
