"""`crossfade rollback`: the old system exactly."""

from __future__ import annotations

from typing import Annotated

import typer

from crossfade.cli.confirm import confirm
from crossfade.cli.lifecycle import AsJson, Uri, Yes, print_status
from crossfade.operations import check_roll_back, roll_back
from crossfade.stores.uri import redact_uri

__all__ = ["rollback"]


def rollback(
    uri: Uri,
    leave_out: Annotated[
        bool, typer.Option("--leave-out", help="Leave out items that hold no old vector.")
    ] = False,
    yes: Yes = False,
    json: AsJson = False,
) -> None:
    """Restore the old system exactly: the new vectors and the job are dropped.

    Exit codes: 0 rolled back; 1 you said no; 2 not allowed now, or items hold no old vector.

    Example: crossfade rollback qdrant://gallery --yes
    """
    check_roll_back(uri, leave_out=leave_out)
    confirm(f"Drop all new vectors of {redact_uri(uri)}?", yes=yes)
    print_status(roll_back(uri, leave_out=leave_out), json=json)
