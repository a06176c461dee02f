"""The job that moves a gallery's items from the old side to the new one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from functools import partial
from typing import Any

from crossfade.backfill.audit_trail import AuditTrail
from crossfade.backfill.crew import Budget, Crew, Outage, Signals
from crossfade.backfill.ending import end_state, parked_pages
from crossfade.backfill.journal import JobRow, open_journal
from crossfade.backfill.membership import (
    LEASE_SECONDS,
    Member,
    working,
    working_alone,
)
from crossfade.backfill.part import LARGEST_PART
from crossfade.backfill.recorded import QuerySource, RecordedQueries
from crossfade.backfill.refitting import Refitting
from crossfade.backfill.reporting import Reporter
from crossfade.backfill.standing import at_rest, read_status
from crossfade.backfill.status import JobState, JobStatus, ParkedItem
from crossfade.backfill.streak import Streak
from crossfade.backfill.sweep import sweep
from crossfade.backfill.throttle import Brake, Throttle
from crossfade.backfill.worker import Pace, Worker
from crossfade.errors import GalleryStateError, InvalidInput, require_instance
from crossfade.gallery import Gallery, Phase
from crossfade.gallery.encoding import Encoder, Encoding, Retry, require_callable
from crossfade.gallery.ends import finish, roll_back
from crossfade.gallery.model import require_model
from crossfade.gallery.moves import check_move
from crossfade.orders import HIGHEST_LEVEL, DemandLevels, Scoring, open_order
from crossfade.stores.checks import plain_ids

__all__ = ["Backfill"]


class Backfill:
    """Embeds items with the new model and moves them, resumably, while searches go on.

    Args:
        gallery: the gallery; the job's journal is kept with its store.
        encoder: the new model, called with items (id, payload); see :class:`Encoder`. Not
            needed to look at a job, finish it or roll it back.
        order: in which order items are moved: one of :mod:`crossfade.orders`, or one registered
            with :func:`register_order`. By default that of the job under way, or ``random``.
        seed: of that order; by default the one of the job under way, or 0.
        batch_size: items given to the encoder at once. As many or more are written together.
        flush_seconds: the store is flushed, and progress recorded, about this often. A killed
            process loses nothing that was written; a crashed machine at most this much work.
        retry: what to do while the encoder can't be reached.
        outage: how long a store that can't be reached is waited for.
        throttle: how far the job is held back.
        lease_seconds: a worker that gives no sign of life for so long is replaced by others.
        refit: fit the forward map again on backfilled items as their number grows, if the
            upgrade can; what a run that was stopped has left is gone on with in any case.
        queries: that the service has answered, from which the gallery learns when it is fitted
            again and when a run begins: a log, a :class:`crossfade.QueryRecorder`, or a path of
            what recorders write, read anew each time; what is not there yet may come later.
        observe: called with the name of each step of a batch (``worker.STEPS``) and of a refit
            (``crossfade.gallery.refit.STEPS``), for tests.
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
        outage: Outage | None = None,
        throttle: Throttle | None = None,
        lease_seconds: float = LEASE_SECONDS,
        refit: bool = True,
        queries: QuerySource | None = None,
        observe: Callable[[str], None] | None = None,
        actor: str | None = None,
    ) -> None:
        if batch_size < 1:
            raise InvalidInput(f"batch_size is {batch_size}, wanted at least 1")
        if not lease_seconds > 0:
            raise InvalidInput(f"lease_seconds is {lease_seconds}, wanted above 0")
        if encoder is not None:
            require_callable(encoder)
        if throttle is not None:
            require_instance(throttle, Throttle, "throttle", "Throttle(max_rate=200)")
        if queries is not None and not refit:
            raise InvalidInput(
                "queries teach a gallery when its map is fitted again, and refit=False leaves that "
                "out; leave one of them out"
            )
        self.gallery = gallery
        self._throttle = throttle or Throttle()
        self._pace = Pace(
            batch_size=self._throttle.batch_size(batch_size),
            flush_seconds=flush_seconds,
            largest_part=self._throttle.batch_size(LARGEST_PART),
        )
        self._encoder = encoder
        self._order = order
        self._seed = seed
        self._retry = retry or Retry()
        self._outage = outage or Outage()
        self._lease_seconds = lease_seconds
        self._refit = refit
        self._recorded = RecordedQueries(queries, gallery.upgrade)
        self._observe = observe or _ignore
        self._actor = actor
        self._journal = open_journal(gallery.store)
        self._audit_trail = AuditTrail(gallery, self._journal, actor)
        self._stop = threading.Event()

    def run(
        self,
        max_items: int | None = None,
        progress: Callable[[JobStatus], None] | None = None,
        workers: int = 1,
    ) -> JobStatus:
        """Start the job or go on with it, until all is moved, it is told to stop, or it fails.

        Several runs may work on one job: in threads of a process, and in several processes
        where the store serves several. For an upgrade on the items' side the old vectors are
        mapped first, without encoder.

        Args:
            max_items: stop after so many items.
            progress: called with the status after batches, from a worker's thread; not after
                each where looking costs more than a little of the time. Called once more at
                the end.
            workers: how many threads call the encoder side by side.

        Returns:
            The status at the end: ``complete``; ``parked`` if the encoder failed on some items;
            ``paused`` if it was stopped; ``behind`` if items are written faster than moved;
            ``running`` if it was stopped and others go on.

        Raises:
            JobLocked: the job is at work in another process that owns the store's folder, or
                is being finished or rolled back.
            GalleryStateError: the gallery is finished or rolled back, or the job under way was
                begun with another order or seed.
            SpaceMismatch: the encoder's width is not the new space's. EncoderMisconfigured: it
                is another model than the job began with, or can't work as it is set up.
            EncoderError: the encoder fails on everything. EncoderUnavailable: or can't be
                reached. StoreUnavailable: the store was away for too long. StoreError: it
                failed, say for want of room. The job is then paused; run it again.
        """
        if self._encoder is None:
            raise InvalidInput("give the backfill an encoder: Backfill(gallery, encoder=...)")
        if workers < 1:
            raise InvalidInput(f"workers is {workers}, wanted at least 1")
        if max_items is not None and max_items < 0:
            raise InvalidInput(f"max_items is {max_items}, wanted at least 0, or None for all")
        self._stop.clear()
        at_work = working(self.gallery.store, self._journal, self._lease_seconds)
        with suppress(_Stopped), at_work as member:
            check_move("backfill", self._at_rest(), self.gallery.uri)
            self.gallery.prepare(progress=self._stop_preparing)
            require_model(self.gallery.store, self.gallery.upgrade, self._encoder)
            job = self._begin(member)
            with self._audit_trail.recording_failure(member):
                crew = self._crew(member, job, self._encoder, workers, max_items, progress)
                member.leave(crew.work())
            self._audit_trail.record_end()
        status = self.status()
        if not status.queries:
            self._recorded.warn_if_none()
        if progress is not None:
            progress(status)
        return status

    def resume(
        self, progress: Callable[[JobStatus], None] | None = None, workers: int = 1
    ) -> JobStatus:
        """Go on with a job that was begun.

        Raises:
            GalleryStateError: there is none; and as :meth:`run` raises.
        """
        if self._journal.job() is None:
            raise GalleryStateError("there is no job to resume; start one with run()")
        return self.run(progress=progress, workers=workers)

    def stop(self) -> None:
        """Let a running :meth:`run` of this object return after its batch, as ``paused``.

        In seconds: a batch that is still in the encoder then is given up, and encoded again by
        the next run.
        """
        self._stop.set()

    def pause(self) -> None:
        """Let all workers of the gallery's running job stop after their batch, whoever runs it."""
        self._journal.pause()

    def prioritise(self, ids: Iterable[Any], priority: int = 2 * HIGHEST_LEVEL) -> int:
        """Move waiting items to the front, while the job runs; returns how many.

        Args:
            ids: those that don't wait, because they are moved, being moved, or parked, are
                left out.
            priority: above 0; the highest goes first. What searches want has at most
                :data:`crossfade.orders.HIGHEST_LEVEL`, less than the default.
        """
        if priority < 1:
            raise InvalidInput(f"priority is {priority}, wanted at least 1")
        return self._journal.prioritise(dict.fromkeys(plain_ids(ids), priority))

    def attach(self) -> None:
        """Take what searches want: ``gallery.search(..., reextract_later=20)`` moves the best
        candidates of its query, as far as they wait in this job, to the front of the queue.

        What is wanted more often, and by a better rank, goes first, by the count of this object
        (:class:`crossfade.orders.DemandLevels`). The job may run in another process. Detach with
        ``gallery.on_wanted = None``.
        """
        levels = DemandLevels()
        self.gallery.on_wanted = lambda wanted: self._journal.prioritise(levels.count(wanted))

    def status(self) -> JobStatus:
        """Look at the job; read from durable state, so anyone may at any time."""
        # A gallery that was begun by an earlier release does not know whether there are refits.
        refits = self._refit and self.gallery.upgrade.refit is not None
        gallery = replace(self.gallery.state, refits=refits)
        return read_status(self.gallery.store, gallery, self._journal)

    def parked_items(self) -> list[ParkedItem]:
        """The items that the encoder failed on, and why."""
        return [item for page in parked_pages(self._journal) for item in page]

    def retry_parked(self) -> int:
        """Put parked items back into the queue; returns how many. Run the job afterwards.

        Raises:
            GalleryStateError: not allowed now. JobLocked: the job is at work; pause it first.
        """
        with self._alone():
            before = self._at_rest()
            check_move("retry-parked", before, self.gallery.uri)
            if items := self._journal.unpark():
                self._journal.set_state(JobState.PAUSED)
                self._audit_trail.record(
                    "retry-parked", JobState.PAUSED, before=before, items=items
                )
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
        with self._alone():
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
        with self._alone():
            finish(self.gallery, present=self._at_rest(), actor=self._actor)
            self._journal.clear()

    def _alone(self) -> AbstractContextManager[None]:
        return working_alone(self.gallery.store, self._journal, self._lease_seconds)

    def _begin(self, member: Member) -> JobRow:
        """Go on with the job in the journal, or begin a new one."""
        before = self._at_rest()
        phase = self.gallery.state.phase
        if phase is not Phase.SERVING:
            raise GalleryStateError(f"the gallery is {phase.value}; there is nothing to backfill")
        job = self._journal.job()
        if job is None or job.upgrade_id != self.gallery.upgrade.id:
            new = JobRow(self.gallery.upgrade.id, self._order or "random", self._seed or 0)
            self._scoring(new)
            job = self._journal.begin(new)
        if self._order not in (None, job.order) or self._seed not in (None, job.seed):
            raise GalleryStateError(
                f"the job under way moves items in order {job.order!r} with seed {job.seed}; "
                "leave order and seed out to go on with it, or roll back first"
            )
        self._journal.set_state(JobState.RUNNING)
        if self._journal.workers() == [member.name]:
            self._audit_trail.record("backfill", JobState.RUNNING, before=before)
        return job

    def _scoring(self, job: JobRow) -> Scoring:
        upgrade = self.gallery.upgrade
        # Some orders go another way where the map is fitted again.
        return open_order(job.order, upgrade if self._refit else upgrade.without_refits(), job.seed)

    def _crew(
        self,
        member: Member,
        job: JobRow,
        encoder: Encoder,
        workers: int,
        max_items: int | None,
        progress: Callable[[JobStatus], None] | None,
    ) -> Crew:
        signals = Signals(self._stop, member, job.upgrade_id)
        brake, streak = Brake(self._throttle, signals.wait), Streak()
        encoding = Encoding(encoder, self.gallery.upgrade.target.dim, self._retry, signals.wait)
        refitting = Refitting(self.gallery, signals.stopped, brake, self._observe, self._recorded)
        if self._journal.workers() == [member.name]:
            refitting.go_on()

        def sweep_once() -> int | None:
            return sweep(
                self.gallery, self._journal, job.order, self._scoring(job), signals.stopped
            )

        return Crew(
            member=member,
            workers=[
                Worker(
                    self.gallery,
                    encoding,
                    member,
                    self._pace,
                    brake,
                    streak,
                    signals.stopped,
                    self._observe,
                )
                for _ in range(workers)
            ],
            signals=signals,
            brake=brake,
            budget=Budget(max_items),
            outage=self._outage,
            sweep=sweep_once,
            conclude=partial(
                end_state, self.gallery.store, self._journal, self.gallery.upgrade.stored.name
            ),
            report=Reporter(self.status, progress).report,
            refit=refitting.after_chunk if self._refit else _rest,
        )

    def _stop_preparing(self, done: int, items: int) -> None:  # noqa: ARG002
        if self._stop.is_set():
            raise _Stopped

    def _at_rest(self) -> JobState:
        """The state, for whoever holds the job and does not work on it yet."""
        return at_rest(self.gallery.store, self.gallery.state, self._journal)


class _Stopped(Exception):
    """The run was told to stop while it prepared."""


def _rest() -> None:
    """Nothing is to be done between chunks."""


def _ignore(step: str) -> None:
    """Nobody observes the steps."""
