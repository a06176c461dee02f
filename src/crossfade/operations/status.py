"""`status`: where an upgrade stands, also while another process has the collection."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field

from crossfade.backfill import JobStatus, ParkedItem
from crossfade.backfill.journal import Journal, SqliteJournal
from crossfade.backfill.standing import last_refit_seconds, read_status, refits_left
from crossfade.gallery import Phase, State
from crossfade.gallery.moves import next_command
from crossfade.gallery.record import Record, read_record
from crossfade.operations.opening import Collection, look
from crossfade.stores.peek import Held
from crossfade.stores.uri import redact_uri

__all__ = ["Status", "status"]

_SHOWN_PARKED = 20


@dataclass(frozen=True)
class Status:
    """One look at an upgrade.

    Attributes:
        uri: without credentials. next: the command to type next.
        job: coverage, counts, rate, time left; None before a start. Where another process has
            the collection, the coverage is that of the job's queue.
        upgrade: its id. encoder: as ``start`` was told. old_model, new_model: names.
        parked_items: some of those that the encoder failed on, and why.
        held_by: the process that has the collection, if another one has.
        last_move: the last line of the audit log in words, or None.
    """

    uri: str
    state: State
    next: str
    job: JobStatus | None = None
    upgrade: str | None = None
    encoder: str | None = None
    old_model: str | None = None
    new_model: str | None = None
    parked_items: list[ParkedItem] = field(default_factory=list)
    held_by: str | None = None
    last_move: str | None = None


def status(uri: str) -> Status:
    """Look at an upgrade; changes nothing.

    Raises:
        InvalidInput: there is no such collection.
        StoreError: it can't be read.
    """
    return look(uri, _inside, lambda held: _outside(redact_uri(uri), held))


def _inside(collection: Collection) -> Status:
    record = collection.record
    if record is None or record.state is None:
        return _status(collection.uri, collection.state, record, None, None)
    job = read_status(collection.store, record.state, collection.journal)
    return _status(collection.uri, job.state, record, job, collection.journal)


def _outside(uri: str, held: Held) -> Status:
    record = read_record(held.read_pointer)
    path = held.folder / "journal.sqlite3"
    if record is None or record.state is None or not path.is_file():
        state = record.state.phase.state if record and record.state else State.NOT_STARTED
        return _status(uri, state, record, None, None, held.owner)
    with closing(SqliteJournal(str(path))) as journal:
        job = _seen_from_outside(record, journal)
        return _status(uri, job.state, record, job, journal, held.owner)


def _seen_from_outside(record: Record, journal: Journal) -> JobStatus:
    """From the journal alone: its queue knows how many items there were to move."""
    assert record.state is not None
    counts, rate, job = journal.counts(), journal.rate(), journal.job()
    waiting = counts.pending + counts.leased
    items = counts.done + waiting + counts.parked
    workers = journal.workers()
    state = record.state.phase.state
    if record.state.phase is Phase.SERVING and job and job.upgrade_id == record.state.upgrade_id:
        state = job.state
        if state is State.RUNNING and not workers:
            state = State.INTERRUPTED
    coverage = counts.done / items if items else 0.0
    return JobStatus(
        state=state,
        coverage=coverage,
        items=items,
        done=counts.done,
        pending=waiting,
        parked=counts.parked,
        rate=rate,
        seconds_left=waiting / rate if rate else None,
        last_error=job.last_error if job else None,
        order=job.order if job else "",
        seed=job.seed if job else 0,
        workers=len(workers),
        generation=record.state.fitted.number if record.state.fitted else 0,
        refits=refits_left(record.state, coverage),
        refit_seconds=last_refit_seconds(record.state),
        queries=record.state.fitted.queries if record.state.fitted else 0,
    )


def _status(
    uri: str,
    state: State,
    record: Record | None,
    job: JobStatus | None,
    journal: Journal | None,
    held_by: str | None = None,
) -> Status:
    gallery = record.state if record else None
    line = record.line if record else None
    settings = gallery.settings if gallery else None
    return Status(
        uri=uri,
        state=state,
        next=next_command(state, uri, is_told=settings is not None),
        job=job,
        upgrade=gallery.upgrade_id if gallery else None,
        encoder=settings.encoder if settings else None,
        old_model=gallery.source.name if gallery else None,
        new_model=settings.model if settings else None,
        parked_items=journal.parked(_SHOWN_PARKED, None) if journal and job and job.parked else [],
        held_by=held_by,
        last_move=f"{line.move} by {line.actor}, {line.time}" if line else None,
    )
