"""`crossfade finish`: the old side is dropped for good."""

from __future__ import annotations

from crossfade.cli.confirm import confirm
from crossfade.cli.lifecycle import AsJson, Uri, Yes, print_status
from crossfade.operations import check_finish
from crossfade.operations import finish as finish_upgrade
from crossfade.stores.uri import redact_uri

__all__ = ["finish"]


def finish(
    uri: Uri,
    yes: Yes = False,
    json: AsJson = False,
) -> None:
    """Drop the old side for good, once every item is on the new one.

    Exit codes: 0 finished; 1 you said no; 2 items are left, or not allowed now.

    Example: crossfade finish qdrant://gallery --yes
    """
    check_finish(uri)
    confirm(f"Drop the old vectors of {redact_uri(uri)} for good? There is no way back.", yes=yes)
    print_status(finish_upgrade(uri), json=json)
