"""What the commands of the lifecycle share: their arguments, and how a state is printed."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from crossfade.backfill import JobStatus
from crossfade.backfill.progress import describe_refits
from crossfade.cli.output import message, print_json
from crossfade.operations import Status

__all__ = ["AsJson", "Uri", "Yes", "duration", "print_status", "status_fields"]

Uri = Annotated[str, typer.Argument(help="The collection, e.g. qdrant://gallery.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Yes = Annotated[bool, typer.Option("--yes", help="Don't ask.")]

_SHOWN_PARKED = 5


def status_fields(status: Status) -> dict[str, Any]:
    """A status as JSON values."""
    return asdict(status)


def print_status(status: Status, *, json: bool) -> None:
    """A status on stdout."""
    if json:
        print_json(status_fields(status))
        return
    typer.echo(f"{status.uri}: {status.state.value}")
    if status.job is not None:
        _echo_job(status.job)
    if status.new_model is not None:
        typer.echo(f"  {status.old_model} -> {status.new_model}, encoder {status.encoder}")
    for item in status.parked_items[:_SHOWN_PARKED]:
        typer.echo(f"  parked {item.id!r}: {item.reason}")
    if status.last_move is not None:
        typer.echo(f"  last move: {status.last_move}")
    if status.held_by is not None:
        message(f"note: {status.held_by} has the collection; read from outside")
    typer.echo(f"next: {status.next}")


def _echo_job(job: JobStatus) -> None:
    words = [f"coverage {job.coverage:.1%} of {job.items:,} items"]
    if job.pending:
        words.append(f"{job.pending:,} waiting")
    if job.parked:
        words.append(f"{job.parked:,} parked")
    if job.rate is not None and job.pending:
        words.append(f"{job.rate:,.0f} items/s")
    if job.seconds_left is not None and job.pending:
        words.append(f"{duration(job.seconds_left)} left")
        if job.refits:
            words.append(f"{describe_refits(job, duration)}, none with --no-refit")
    if job.generation:
        words.append(f"generation {job.generation} of the map")
    if job.queries:
        words.append(f"learned from {job.queries:,} recorded queries")
    typer.echo(f"  {', '.join(words)}")
    if job.last_error:
        typer.echo(f"  last error: {job.last_error}")


def duration(seconds: float) -> str:
    """A time span in words, e.g. ``2 d 3 h``."""
    left = round(seconds)
    units = [("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)]
    words: list[str] = []
    for name, size in units:
        count, left = divmod(left, size)
        if count or (name == "s" and not words):
            words.append(f"{count} {name}")
    return " ".join(words[:2])
