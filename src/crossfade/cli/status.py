"""`crossfade status`: where an upgrade stands."""

from __future__ import annotations

from crossfade.cli.lifecycle import AsJson, Uri, print_status
from crossfade.operations import status as read_status

__all__ = ["status"]


def status(
    uri: Uri,
    json: AsJson = False,
) -> None:
    """Say where an upgrade stands, and what to type next. Changes nothing.

    Exit codes: 0; 2 there is no such collection.

    Example: crossfade status qdrant://gallery
    """
    print_status(read_status(uri), json=json)
