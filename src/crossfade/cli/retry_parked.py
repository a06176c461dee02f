"""`crossfade retry-parked`: put parked items back into the queue."""

from __future__ import annotations

import typer

from crossfade.cli.lifecycle import AsJson, Uri
from crossfade.cli.output import print_json
from crossfade.operations import retry_parked as put_back
from crossfade.stores.uri import redact_uri

__all__ = ["retry_parked"]


def retry_parked(
    uri: Uri,
    json: AsJson = False,
) -> None:
    """Put the items that the encoder failed on back into the queue.

    Exit codes: 0, also if there was none; 2 not allowed now.

    Example: crossfade retry-parked qdrant://gallery
    """
    items = put_back(uri)
    following = f"crossfade backfill {redact_uri(uri)}"
    if json:
        print_json({"items": items, "next": following})
    else:
        typer.echo(f"{items:,} items wait again" if items else "no items are parked")
        typer.echo(f"next: {following}")
