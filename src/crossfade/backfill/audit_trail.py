"""What a job's moves leave in the gallery's audit log: its start, how it ended, and who asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from crossfade.backfill.journal import Journal
from crossfade.backfill.membership import Member
from crossfade.backfill.pausing import take_note
from crossfade.backfill.status import JobState
from crossfade.errors import CrossfadeError
from crossfade.gallery import Gallery
from crossfade.gallery.coverage import share_moved
from crossfade.gallery.record import log_move, read_record

__all__ = ["AuditTrail"]

_ENDS = {
    JobState.COMPLETE: "complete",
    JobState.PARKED: "park",
    JobState.BEHIND: "fall-behind",
    JobState.PAUSED: "pause",
}
"""The move that is recorded at the end of a run."""


class AuditTrail:
    """A job's part of the audit log.

    Args:
        actor: who acts; None for user@host.
    """

    def __init__(self, gallery: Gallery, journal: Journal, actor: str | None) -> None:
        self._gallery = gallery
        self._journal = journal
        self._actor = actor

    def record(
        self,
        move: str,
        after: JobState,
        *,
        before: JobState | None = None,
        actor: str | None = None,
        **details: Any,
    ) -> None:
        """Record a move, by default of the job's own actor."""
        actor = actor or self._actor
        log_move(self._gallery.store, move, after, before=before, actor=actor, details=details)

    def record_end(self, **details: Any) -> None:
        """Record how the job stands, unless others go on with it."""
        job = self._journal.job()
        if job is None or job.state not in _ENDS or self._journal.workers():
            return
        asked_by = take_note(self._gallery.store)
        if job.state is JobState.PAUSED and self._is_recorded_as_paused():
            return  # by whoever paused it
        items = self._gallery.count
        left = self._gallery.store.count(lacks=self._gallery.upgrade.stored.name)
        details |= {"items": items, "coverage": round(share_moved(items, left), 6)}
        self.record(_ENDS[job.state], job.state, actor=asked_by, **details)

    @contextmanager
    def recording_failure(self, member: Member) -> Iterator[None]:
        """If the block fails, pause the job and record why, and raise all the same."""
        try:
            yield
        except BaseException as error:
            reason = str(error) or type(error).__name__
            # A store that is gone must not hide why the job failed; the lease runs out by itself.
            with suppress(CrossfadeError):
                member.leave(JobState.PAUSED, reason)
                self.record_end(error=reason)
            raise

    def _is_recorded_as_paused(self) -> bool:
        record = read_record(self._gallery.store.read_pointer)
        return record is not None and record.shown is JobState.PAUSED
