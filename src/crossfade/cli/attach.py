"""`crossfade attach`: name an existing collection, in place."""

from __future__ import annotations

from typing import Annotated

import typer

from crossfade.cli.lifecycle import AsJson, Uri, print_status
from crossfade.operations import attach as attach_collection

__all__ = ["attach"]


def attach(
    uri: Uri,
    old_vector: Annotated[
        str, typer.Option(help="The column of old vectors; the space, in other stores.")
    ],
    id: Annotated[str | None, typer.Option("--id", help="The column of ids, of a table.")] = None,
    space: Annotated[
        str | None, typer.Option(help="The old model's name, if it is not the column's.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Take an existing collection with old vectors into use, in place; nothing is copied.

    Exit codes: 0 attached; 2 refused, nothing was changed.

    Example: crossfade attach "postgresql://me@db/shop?table=items" --id id --old-vector embedding
    """
    status = attach_collection(uri, old_vector=old_vector, id=id, space=space)
    print_status(status, json=json)
