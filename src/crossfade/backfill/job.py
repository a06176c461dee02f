"""The job that moves a gallery's items from the old side to the new one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from crossfade.backfill.encoding import Encoder, Encoding, Retry
from crossfade.backfill.joblock import holding_job, is_held_here
from crossfade.backfill.model import require_model
from crossfade.backfill.old_journal import JobRow, Settled, open_journal
from crossfade.backfill.order import order_ids
from crossfade.backfill.status import JobState, JobStatus, ParkedItem
from crossfade.backfill.worker import Pace, Worker
from crossfade.errors import CrossfadeError, GalleryStateError, InvalidInput
from crossfade.gallery import Gallery, Phase
from crossfade.gallery.lifecycle import finish, roll_back
from crossfade.gallery.moves import check_move
from crossfade.gallery.record import log_move
from crossfade.stores import Id, Item

__all__ = ["Backfill"]

_SCAN_ROWS = 2048
_CATCH_UPS = 5
"""Sweeps after the queue is worked off, for what was written meanwhile; bounded, so that a job
never chases its writer for ever."""
_ENDS = {
    JobState.COMPLETE: "complete",
    JobState.PARKED: "park",
    JobState.BEHIND: "fall-behind",
    JobState.PAUSED: "pause",
}
"""The move that is recorded at the end of a run."""
_STATUS_SHARE = 20
"""Looking at the status takes at most one part in so many of the job's time."""


class Backfill:
    """Embeds items with the new model and moves them, resumably, while searches go on.

    Args:
        gallery: the gallery; its store's folder also holds the job's journal.
        encoder: the new model, called with items (id, payload); see :class:`Encoder`. Not
            needed to look at a job, finish it or roll it back.
        order: in which order items are moved: ``random``, ``gallery``, or one registered with
            :func:`register_order`. By default the order of the job under way, or ``random``.
        seed: of that order; by default the one of the job under way, or 0.
        batch_size: items given to the encoder at once, and written together.
        flush_seconds: the store is flushed, and progress recorded, about this often. A killed
            process loses nothing that was written; a crashed machine at most this much work.
        retry: what to do while the encoder can't be reached.
        observe: called with the name of each step of a batch (``worker.STEPS``), for tests.
        actor: who acts, for the audit log; by default user@host.
    """

    def __init__(
        self,
        gallery: Gallery,
        encoder: Encoder | None = None,
        order: str | None = None,
        seed: int | None = None,
        batch_size: int = 64,
        flush_seconds: float = 1.0,
        retry: Retry | None = None,
        observe: Callable[[str], None] | None = None,
        actor: str | None = None,
    ) -> None:
        if batch_size < 1:
            raise InvalidInput(f"batch_size is {batch_size}, wanted at least 1")
        self.gallery = gallery
        self._pace = Pace(batch_size, flush_seconds)
        self._encoder = encoder
        self._order = order
        self._seed = seed
        self._retry = retry or Retry()
        self._observe = observe or _ignore
        self._actor = actor
        self._journal = open_journal(gallery.store)
        self._stop = threading.Event()

    def run(
        self,
        max_items: int | None = None,
        progress: Callable[[JobStatus], None] | None = None,
    ) -> JobStatus:
        """Start the job or go on with it, until all is moved, it is told to stop, or it fails.

        For an upgrade on the items' side the old vectors are mapped first, without encoder.

        Args:
            max_items: stop after so many items.
            progress: called with the status after batches; not after each where looking costs
                more than a little of the time. Called once more at the end.

        Returns:
            The status at the end: ``complete``; ``parked`` if the encoder failed on some items;
            ``paused`` if it was stopped; ``behind`` if items are written faster than moved.

        Raises:
            JobLocked: another job is at work on the gallery.
            GalleryStateError: the gallery is finished or rolled back, or the job under way was
                begun with another order or seed.
            SpaceMismatch: the encoder's width is not the new space's. EncoderMisconfigured: it
                is another model than the job began with, or can't work as it is set up.
            EncoderError: the encoder fails on everything. EncoderUnavailable: or can't be
                reached. The job is then paused; run it again.
        """
        if self._encoder is None:
            raise InvalidInput("give the backfill an encoder: Backfill(gallery, encoder=...)")
        dim = self.gallery.upgrade.target.dim
        encoding = Encoding(self._encoder, dim, self._retry, self._stop.wait)
        worker = Worker(self.gallery, encoding, self._journal, self._pace, self._observe)
        reporter = _Reporter(self, progress)
        with holding_job(self.gallery.store):
            self._stop.clear()
            check_move("backfill", self._at_rest(), self.gallery.uri)
            self.gallery.prepare()
            require_model(self.gallery, self._encoder)
            before = self._at_rest()
            self._begin()
            self._log("backfill", JobState.RUNNING, before=before)
            with self._recording_failure():
                ended = self._work(worker, max_items, reporter)
                self._journal.set_state(ended)
            status = self.status()
            self._log(_ENDS[ended], ended, items=status.items, coverage=round(status.coverage, 6))
        if progress is not None:
            progress(status)
        return status

    def resume(self, progress: Callable[[JobStatus], None] | None = None) -> JobStatus:
        """Go on with a job that was begun.

        Raises:
            GalleryStateError: there is none; and as :meth:`run` raises.
        """
        if self._journal.job() is None:
            raise GalleryStateError("there is no job to resume; start one with run()")
        return self.run(progress=progress)

    def stop(self) -> None:
        """Let a running :meth:`run` of this object return after its batch, as ``paused``."""
        self._stop.set()

    def pause(self) -> None:
        """Let the gallery's running job stop after its batch, whoever runs it."""
        self._journal.pause()

    def status(self) -> JobStatus:
        """Look at the job; read from durable state, so anyone may at any time."""
        counts, rate = self._journal.counts(), self._journal.rate()
        job = self._journal.job()
        return JobStatus(
            state=self._state(job),
            coverage=self.gallery.coverage,
            items=self.gallery.count,
            done=counts.done,
            pending=counts.pending,
            parked=counts.parked,
            rate=rate,
            seconds_left=counts.pending / rate if rate else None,
            last_error=job.last_error if job else None,
            order=job.order if job else "",
            seed=job.seed if job else 0,
        )

    def parked_items(self) -> list[ParkedItem]:
        """The items that the encoder failed on, and why."""
        return self._journal.parked()

    def retry_parked(self) -> int:
        """Put parked items back into the queue; returns how many. Run the job afterwards."""
        with holding_job(self.gallery.store):
            before = self._at_rest()
            check_move("retry-parked", before, self.gallery.uri)
            if items := self._journal.unpark():
                self._journal.set_state(JobState.PAUSED)
                self._log("retry-parked", JobState.PAUSED, before=before, items=items)
            return items

    def rollback(self, *, leave_out: bool = False) -> None:
        """Restore the old system exactly: drop the new and mapped vectors, and the job.

        Args:
            leave_out: go back though some items hold no old vector; they stay stored, but no
                search finds them until they get one.

        Raises:
            GalleryStateError: there are such items, or the gallery is finished.
            JobLocked: the job is at work; pause it first.
        """
        with holding_job(self.gallery.store):
            # Killed in between, a cleared queue is made anew; an old one would speak for the
            # next start of the same upgrade.
            roll_back(
                self.gallery,
                leave_out=leave_out,
                before=self._journal.clear,
                present=self._at_rest(),
                actor=self._actor,
            )

    def finish(self) -> None:
        """Drop the old and mapped vectors for good; there is no way back.

        Raises:
            GalleryStateError: items are left on the old side.
            JobLocked: the job is at work.
        """
        with holding_job(self.gallery.store):
            finish(self.gallery, present=self._at_rest(), actor=self._actor)
            self._journal.clear()

    def _begin(self) -> None:
        """Go on with the job in the journal, or write a new one with its whole queue."""
        phase = self.gallery.state.phase
        if phase is not Phase.SERVING:
            raise GalleryStateError(f"the gallery is {phase.value}; there is nothing to backfill")
        job = self._journal.job()
        if job is None or job.upgrade_id != self.gallery.upgrade.id:
            order, seed = self._order or "random", self._seed or 0
            ids = [item.id for item in self._lacking()]
            new = JobRow(self.gallery.upgrade.id, order, seed, JobState.RUNNING, None)
            self._journal.begin(new, order_ids(order, self.gallery, ids, seed))
            return
        if self._order not in (None, job.order) or self._seed not in (None, job.seed):
            raise GalleryStateError(
                f"the job under way moves items in order {job.order!r} with seed {job.seed}; "
                "leave order and seed out to go on with it, or roll back first"
            )
        self._journal.set_state(JobState.RUNNING)

    def _work(self, worker: Worker, max_items: int | None, reporter: _Reporter) -> JobState:
        moved, catch_ups = 0, 0
        while True:
            if self._must_stop():
                return JobState.PAUSED
            if max_items is not None and moved >= max_items and self._journal.take(1):
                return JobState.PAUSED
            taken = worker.move(None if max_items is None else max_items - moved)
            moved += taken
            if taken:
                reporter.report()
            elif catch_ups == _CATCH_UPS or not self._catch_up():
                return self._end()
            else:
                catch_ups += 1

    def _must_stop(self) -> bool:
        job = self._journal.job()
        return self._stop.is_set() or job is None or job.state is not JobState.RUNNING

    def _catch_up(self) -> int:
        """Queue what was written without a new vector since the queue was made."""
        return self._journal.enqueue(self._lacking())

    def _lacking(self) -> Iterator[Item]:
        after: Id | None = None
        while True:
            batch = self.gallery.store.scan(
                after=after, n=_SCAN_ROWS, lacks=self.gallery.upgrade.stored.name
            )
            if not batch:
                return
            yield from batch
            after = batch[-1].id

    def _end(self) -> JobState:
        self._tidy_parked()
        counts = self._journal.counts()
        left = self.gallery.store.count(lacks=self.gallery.upgrade.stored.name)
        if left > counts.parked:
            return JobState.BEHIND
        return JobState.PARKED if left else JobState.COMPLETE

    def _tidy_parked(self) -> None:
        """Strike out parked items that were deleted, or written with a new vector, since."""
        ids = [item.id for item in self._journal.parked()]
        space = self.gallery.upgrade.stored.name
        found = dict(zip(ids, self.gallery.store.get(ids, vectors=[space]), strict=True))
        self._journal.settle(
            Settled(
                done=[id for id, item in found.items() if item and space in item.vectors],
                gone=[id for id, item in found.items() if item is None],
            )
        )

    @contextmanager
    def _recording_failure(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            reason = str(error) or type(error).__name__
            self._journal.set_state(JobState.PAUSED, reason)
            # A store that is gone must not hide why the job failed.
            with suppress(CrossfadeError):
                self._log("pause", JobState.PAUSED, error=reason)
            raise

    def _log(
        self, move: str, after: JobState, *, before: JobState | None = None, **details: Any
    ) -> None:
        log_move(self.gallery.store, move, after, before=before, actor=self._actor, details=details)

    def _at_rest(self) -> JobState:
        """The state, for whoever holds the job and does not work on it yet."""
        state = self._state(self._journal.job())
        return JobState.INTERRUPTED if state is JobState.RUNNING else state

    def _state(self, job: JobRow | None) -> JobState:
        phase = self.gallery.state.phase
        if phase is not Phase.SERVING:
            return phase.state
        if job is None or job.upgrade_id != self.gallery.upgrade.id:
            return JobState.NEW
        if job.state is JobState.RUNNING and not is_held_here(self.gallery.store):
            return JobState.INTERRUPTED
        return job.state


class _Reporter:
    """Calls a progress function as often as looking at the status is cheap."""

    def __init__(self, job: Backfill, progress: Callable[[JobStatus], None] | None) -> None:
        self._job = job
        self._progress = progress
        self._next = 0.0

    def report(self) -> None:
        started = time.monotonic()
        if self._progress is None or started < self._next:
            return
        status = self._job.status()
        now = time.monotonic()
        self._next = now + _STATUS_SHARE * (now - started)
        self._progress(status)


def _ignore(step: str) -> None:
    """Nobody observes the steps."""
