"""The `crossfade` command: verbs, exit codes, and errors as one line.

Exit codes: 0 success; 2 bad input or usage (nothing was changed), or runs of a benchmark that
failed; 130 interrupted.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from typing import Annotated, TextIO

import typer

import crossfade
from crossfade.cli.arguments import spread_lists
from crossfade.cli.bench import bench
from crossfade.cli.demo import demo
from crossfade.cli.evaluate import evaluate
from crossfade.cli.fit import fit
from crossfade.cli.output import message as tell
from crossfade.cli.stores import stores
from crossfade.errors import CrossfadeError

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
app.command()(evaluate)
app.command()(stores)
app.add_typer(bench, name="bench")


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
        tell(f"error: {error}")
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
