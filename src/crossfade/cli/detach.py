"""`crossfade detach`: leave a collection as it was found."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crossfade.cli.lifecycle import AsJson, Uri
from crossfade.cli.output import print_json
from crossfade.operations import detach as detach_collection
from crossfade.stores.uri import redact_uri

__all__ = ["detach"]


def detach(
    uri: Uri,
    export: Annotated[
        Path | None, typer.Option(help="A file for the audit log, which goes with a table.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Leave an attached collection as it was found: what was added goes.

    Exit codes: 0 detached; 2 an upgrade is under way, roll it back first.

    Example: crossfade detach "postgresql://me@db/shop?table=items" --export audit.jsonl
    """
    detach_collection(uri, export=export)
    if json:
        print_json({"uri": redact_uri(uri), "state": "not-started"})
    else:
        typer.echo(f"{redact_uri(uri)}: detached")
