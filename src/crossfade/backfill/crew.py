"""One run of a job: its workers, each a thread, until all is moved, they are stopped, or fail.

A worker goes round: move what is pending; if nothing is, wait for what others have in hand; if
nobody has, sweep the gallery for what was written meanwhile; if there is nothing, the job is at
its end. Stores that can't be reached are waited for.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from crossfade.backfill.gate import Gate
from crossfade.backfill.membership import Member
from crossfade.backfill.status import JobState
from crossfade.backfill.throttle import Brake
from crossfade.backfill.worker import Worker
from crossfade.errors import EncoderUnavailable, GalleryStateError, StoreUnavailable
from crossfade.gallery.encoding import Retry

__all__ = ["GRACE_SECONDS", "Budget", "Crew", "Outage", "Signals"]

GRACE_SECONDS = 8.0
"""How long a stop waits for workers that are in their encoder; then it goes without them."""
_CATCH_UPS = 5
"""Sweeps after the queue is worked off, for what was written meanwhile; bounded, so that a job
never chases its writer for ever."""
_LOOK_SECONDS = 1.0
_IDLE_SECONDS = 0.05


@dataclass(frozen=True)
class Outage:
    """How long a store that can't be reached is waited for.

    Attributes:
        limit_seconds: counted from the first failure in a row; then the job gives up, paused.
        pauses: how long to wait between attempts; its number of attempts does not count.
    """

    limit_seconds: float = 600.0
    pauses: Retry = field(default_factory=Retry)


class Budget:
    """How many items may still be moved, for all workers of a run; None for any number."""

    def __init__(self, items: int | None) -> None:
        self._lock = threading.Lock()
        self._left = items
        self._reserved = 0

    @property
    def is_unlimited(self) -> bool:
        """Whether any number may be moved."""
        return self._left is None

    @property
    def is_spent(self) -> bool:
        """Whether all has been moved, and nobody can give anything back."""
        with self._lock:
            return self._left == 0 and not self._reserved

    def reserve(self, most: int) -> int:
        """Take up to so many; :meth:`settle` must follow."""
        with self._lock:
            granted = most if self._left is None else min(most, self._left)
            self._reserved += granted
            if self._left is not None:
                self._left -= granted
            return granted

    def settle(self, granted: int, moved: int) -> None:
        """Say how many of those granted were moved."""
        with self._lock:
            self._reserved -= granted
            if self._left is not None:
                self._left += granted - moved


class Signals:
    """What tells workers to stop: the user, the job's state in the journal, or one another.

    Args:
        stop: set by the user. upgrade_id: of the job that is worked on.
    """

    def __init__(self, stop: threading.Event, member: Member, upgrade_id: str) -> None:
        self._stop = stop
        self._member = member
        self._upgrade_id = upgrade_id
        self._over = threading.Event()
        self._look_at = 0.0
        self.ended: JobState | None = None
        self.errors: list[BaseException] = []

    def end(self, state: JobState) -> None:
        """Let all stop: the job has come to an end."""
        self.ended = self.ended or state
        self._over.set()

    def fail(self, error: BaseException) -> None:
        """Let all stop: a worker has failed."""
        self.errors.append(error)
        self._over.set()

    def stopped(self) -> bool:
        """Whether to stop at once; looks at no journal."""
        return self._stop.is_set() or self._over.is_set()

    def over(self) -> bool:
        """Whether to stop, for any reason.

        Raises:
            StoreUnavailable: the journal can't be reached.
        """
        if self.stopped():
            return True
        job = self._member.journal.job()
        if job is not None and job.upgrade_id != self._upgrade_id:
            self.fail(
                GalleryStateError(
                    "another upgrade's job has taken this one's place since; open the gallery again"
                )
            )
        elif job is None or job.state is not JobState.RUNNING:
            self.end(JobState.PAUSED if job is None else job.state)
        return self._over.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait, and return whether to stop; sees a stop at once, a pause within a second."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self.stopped():
            self._sleep(min(left, _LOOK_SECONDS))
            if time.monotonic() >= self._look_at:
                self._look_at = time.monotonic() + _LOOK_SECONDS
                self._look()
        return self.stopped()

    def _sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self.stopped():
            self._stop.wait(min(left, _IDLE_SECONDS))

    def _look(self) -> None:
        try:
            self.over()
        except StoreUnavailable:
            return


@dataclass(frozen=True, eq=False)
class Crew:
    """The workers of one run and what they share.

    Attributes:
        sweep: queues what lacks its new vector; how many items, or None if it was stopped.
        conclude: the state to end in, once nothing is pending.
        report: called after a chunk was moved. refit: likewise, after it.
    """

    member: Member
    workers: Sequence[Worker]
    signals: Signals
    brake: Brake
    budget: Budget
    outage: Outage
    sweep: Callable[[], int | None]
    conclude: Callable[[], JobState]
    report: Callable[[], None]
    refit: Callable[[], None]
    _gate: Gate = field(default_factory=Gate)
    _swept: list[int] = field(default_factory=list)
    _unsure: threading.Event = field(default_factory=threading.Event)

    def work(self) -> JobState:
        """Let the workers work.

        Returns:
            The state that the job is in afterwards; ``paused`` if they were stopped.

        Raises:
            CrossfadeError: what the first worker that failed has raised.
        """
        threads = [
            threading.Thread(target=self._guarded, args=(worker,), name="backfill", daemon=True)
            for worker in self.workers
        ]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                while thread.is_alive() and not self.signals.stopped():
                    # Briefly, so that the handler of a signal gets its turn.
                    thread.join(_IDLE_SECONDS)
        except BaseException as error:
            self.signals.fail(error)
        self._wait_for(threads)
        if self.signals.errors:
            raise self.signals.errors[0]
        return self.signals.ended or JobState.PAUSED

    def _wait_for(self, threads: Sequence[threading.Thread]) -> None:
        until = time.monotonic() + GRACE_SECONDS
        for thread, worker in zip(threads, self.workers, strict=True):
            thread.join(max(until - time.monotonic(), 0.0))
            if thread.is_alive():
                worker.forsake()

    def _guarded(self, worker: Worker) -> None:
        try:
            self._go_round(worker)
        except BaseException as error:
            self.signals.fail(error)

    def _go_round(self, worker: Worker) -> None:
        failing_since: float | None = None
        attempts = 0
        while not self.signals.stopped():
            try:
                self._turn(worker)
                failing_since, attempts = None, 0
            except EncoderUnavailable:
                if not self.signals.stopped():
                    raise
            except StoreUnavailable:
                self._unsure.set()
                failing_since = failing_since or time.monotonic()
                attempts += 1
                if time.monotonic() - failing_since >= self.outage.limit_seconds:
                    raise
                self.signals.wait(self.outage.pauses.pause_seconds(attempts))

    def _turn(self, worker: Worker) -> None:
        if self.signals.over() or self.brake.hold():
            return
        with self._gate.moving() as may_move:
            moved = self._move_on(worker) if may_move else 0
        if moved:
            self.report()
            self.refit()
            return
        counts = self.member.journal.counts()
        if self.budget.is_spent and counts.pending:
            self.signals.end(JobState.PAUSED)
            return
        with self._gate.sweeping() as may_sweep:
            if may_sweep and not counts.leased:
                self._catch_up()
                return
            if may_sweep and self._unsure.is_set():
                # A lease whose answer was lost: the journal has it, and no worker here.
                self.member.start_over()
                self._unsure.clear()
                return
        self.signals.wait(_IDLE_SECONDS)

    def _move_on(self, worker: Worker) -> int:
        """Move a chunk, and those leased ahead."""
        moved = self._move(worker)
        try:
            while worker.has_leased_ahead and not self.signals.over():
                self.report()
                self.refit()
                moved += self._move(worker)
        finally:
            worker.let_go()
        return moved

    def _move(self, worker: Worker) -> int:
        granted = self.budget.reserve(worker.chunk)
        moved = 0
        try:
            # What is leased ahead would be kept from others while there is nothing to do with it.
            ahead = self.budget.is_unlimited and not self.brake.is_set
            moved = worker.move(granted, lease_ahead=ahead) if granted else 0
        finally:
            self.budget.settle(granted, moved)
        return moved

    def _catch_up(self) -> None:
        journal, name = self.member.journal, self.member.name
        job = journal.job()
        is_filled = job is not None and job.filled
        if is_filled and len(self._swept) >= _CATCH_UPS:
            self._conclude()
        elif not journal.begin_sweep(name):
            self.signals.wait(_IDLE_SECONDS)
        elif (queued := self.sweep()) is not None:
            journal.end_sweep(name)
            if is_filled:
                self._swept.append(queued)
            # A first sweep that was cut off has left items in the queue for this one.
            if not queued and not journal.counts().pending:
                self._conclude()

    def _conclude(self) -> None:
        if not self.signals.over() and not self.member.journal.counts().leased:
            self.signals.end(self.conclude())
