"""`crossfade pause`: stop a running backfill, whichever process runs it."""

from __future__ import annotations

from typing import Annotated

import typer

from crossfade.cli.lifecycle import AsJson, Uri, print_status
from crossfade.operations import pause as pause_job

__all__ = ["pause"]


def pause(
    uri: Uri,
    wait_seconds: Annotated[
        float, typer.Option(help="How long to wait until it has stopped.")
    ] = 30.0,
    json: AsJson = False,
) -> None:
    """Stop a running backfill after its batch, whichever process runs it.

    Exit codes: 0 paused; 2 nothing is running.

    Example: crossfade pause qdrant://gallery
    """
    print_status(pause_job(uri, wait_seconds=wait_seconds), json=json)
