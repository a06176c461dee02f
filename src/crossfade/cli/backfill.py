"""`crossfade backfill` and `crossfade resume`: run the job, or go on with it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from crossfade.backfill import JobState, JobStatus, Throttle, progress_bar
from crossfade.backfill.recorded import why_nothing_learned
from crossfade.cli.lifecycle import AsJson, Uri
from crossfade.cli.output import message, print_json
from crossfade.gallery.moves import next_command
from crossfade.operations import Pace
from crossfade.operations import backfill as run_backfill
from crossfade.stores.uri import redact_uri

__all__ = ["backfill", "resume"]

LEFT_OVER = 1

_MaxItems = Annotated[int | None, typer.Option(min=1, help="Stop after so many items.")]
_BatchSize = Annotated[int, typer.Option(min=1, help="Items given to the encoder at once.")]
_Workers = Annotated[int, typer.Option(min=1, help="Threads that call the encoder.")]
_MaxRate = Annotated[float | None, typer.Option(help="Items a second at most.")]
_MaxLoad = Annotated[float | None, typer.Option(help="Rest while the load average is above.")]
_Quiet = Annotated[str | None, typer.Option(help="Rest at these hours, e.g. 08:00-18:00.")]
_Refit = Annotated[bool, typer.Option(help="Fit the forward map again as items are moved.")]
_Queries = Annotated[
    Path | None,
    typer.Option(help="Queries that the service records, in place of what start was told."),
]
_Encoder = Annotated[str | None, typer.Option(help="In place of what start was told.")]
_Upgrade = Annotated[Path | None, typer.Option(help="The upgrade folder, if it was moved.")]


def backfill(
    uri: Uri,
    max_items: _MaxItems = None,
    batch_size: _BatchSize = 64,
    workers: _Workers = 1,
    max_rate: _MaxRate = None,
    max_load: _MaxLoad = None,
    quiet_hours: _Quiet = None,
    refit: _Refit = True,
    queries: _Queries = None,
    encoder: _Encoder = None,
    source: _Encoder = None,
    upgrade: _Upgrade = None,
    json: AsJson = False,
) -> None:
    """Run the backfill or go on with it. Kill it at any moment, and run it again.

    Exit codes: 0 complete, or stopped on purpose; 1 items are left: parked, or written faster
    than moved; 2 refused or failed, the job is paused; 130 interrupted twice.

    Example: crossfade backfill qdrant://gallery --max-rate 200
    """
    throttle = Throttle(max_rate=max_rate, max_load=max_load, quiet_hours=quiet_hours)
    pace = Pace(max_items, batch_size, workers, throttle, refit, queries)
    with progress_bar() as progress:
        status = run_backfill(
            uri, pace, progress=progress, encoder=encoder, source=source, upgrade=upgrade
        )
    _report(uri, status, queries, is_told=encoder is None or upgrade is None, json=json)


def resume(
    uri: Uri,
    max_items: _MaxItems = None,
    batch_size: _BatchSize = 64,
    workers: _Workers = 1,
    max_rate: _MaxRate = None,
    max_load: _MaxLoad = None,
    quiet_hours: _Quiet = None,
    refit: _Refit = True,
    queries: _Queries = None,
    encoder: _Encoder = None,
    source: _Encoder = None,
    upgrade: _Upgrade = None,
    json: AsJson = False,
) -> None:
    """Go on with a backfill that was paused or interrupted.

    Exit codes: as those of backfill.

    Example: crossfade resume qdrant://gallery
    """
    throttle = Throttle(max_rate=max_rate, max_load=max_load, quiet_hours=quiet_hours)
    pace = Pace(max_items, batch_size, workers, throttle, refit, queries)
    with progress_bar() as progress:
        status = run_backfill(
            uri,
            pace,
            move="resume",
            progress=progress,
            encoder=encoder,
            source=source,
            upgrade=upgrade,
        )
    _report(uri, status, queries, is_told=encoder is None or upgrade is None, json=json)


def _report(
    uri: str, status: JobStatus, queries: Path | None, *, is_told: bool, json: bool
) -> None:
    shown = redact_uri(uri)
    following = next_command(status.state, shown, is_told=is_told)
    if json:
        print_json({**asdict(status), "next": following})
    else:
        typer.echo(
            f"{status.state.value}: coverage {status.coverage:.1%} of {status.items:,} items"
            + (f", {status.parked:,} parked" if status.parked else "")
        )
        typer.echo(f"next: {following}")
    if queries is not None and not status.queries:
        why = why_nothing_learned(queries)
        if why is not None:
            message(why)
    if status.state in (JobState.PARKED, JobState.BEHIND):
        if status.parked:
            message(f"{status.parked} items were not encoded; see why: crossfade status {shown}")
        raise typer.Exit(LEFT_OVER)
