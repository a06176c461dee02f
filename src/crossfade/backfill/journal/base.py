"""What a journal must do: one job, its queue, its workers. Every method is one transaction.

    (not queued) --enqueue--> pending --lease--> leased --settle--> done: struck out, and counted
                                 ^                  |------------->  gone: struck out
                                 |                  |------------->  stale: until the next sweep
                                 |                  `------------->  parked, with its reason
                                 `-- given back, or its worker left, died, or lost its lease

The truth is the store: an item is done when it holds its new vector. So a journal may forget
the last things it was told in a crash of the machine, and two workers that hold one item after
a jump of the clock do no more harm than reading it twice.

A worker is a name that joined and that keeps renewing; it is dead once it has not for the
seconds it asked for. Time is the journal's own clock, the same one for all workers. A clock that
has gone back behind a renewal says nothing about that worker, so it counts as dead as well.

:class:`crossfade.testing.journal_contract.JournalContract` holds the tests that it must pass.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from crossfade.backfill.status import JobState, ParkedItem
from crossfade.errors import JobLocked, StoreError
from crossfade.stores import Id

__all__ = [
    "BATCHES_KEPT",
    "CLOCK_SLACK_SECONDS",
    "REPEATED",
    "Entry",
    "JobRow",
    "Journal",
    "Leased",
    "Page",
    "Parking",
    "QueueCounts",
    "Settled",
    "TimedBatch",
    "joint_rate",
    "locked_by",
]

REPEATED = -1
"""The priority of items that are queued again: behind all that wait for their first time."""
BATCHES_KEPT = 20
"""The rate is that of so many settled batches."""
CLOCK_SLACK_SECONDS = 5.0
"""A clock may step back by so much, as it does when it is set right, and nobody is dead."""


@dataclass(frozen=True)
class JobRow:
    """What is fixed about a job, and where it stands.

    Attributes:
        upgrade_id: a job of another upgrade is another job.
        order: as the user named it, with its argument. seed: of that order.
        filled: whether the first sweep is over, so that there is a whole queue to lease from.
    """

    upgrade_id: str
    order: str
    seed: int
    state: JobState = JobState.RUNNING
    last_error: str | None = None
    filled: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """An item to be queued: its version when it was seen, and its sort key, the lowest first."""

    id: Id
    version: int
    key: float


@dataclass(frozen=True, slots=True)
class Leased:
    """An item that a worker has to itself; whether the encoder has failed on it before."""

    id: Id
    failed_before: bool


@dataclass(frozen=True)
class Page:
    """A part of the gallery that was queued: its last item, or None behind the end, and how
    many were queued.
    """

    last: Id | None
    queued: int


@dataclass(frozen=True)
class Parking:
    """An item to be parked, the version that the encoder failed on, and why it failed."""

    id: Id
    version: int
    reason: str


@dataclass(frozen=True)
class QueueCounts:
    """Items of the queue by state, and how many were done. Stale ones are pending."""

    done: int
    pending: int
    leased: int
    parked: int


@dataclass(frozen=True, eq=False)
class Settled:
    """What became of leased items.

    Attributes:
        done: they hold their new vector, durably.
        stale: rewritten while they were encoded; wait for the next sweep.
        gone: deleted.
        parked: the encoder failed on them.
        back: not touched; they wait where they did.
    """

    done: Sequence[Id] = ()
    stale: Sequence[Id] = ()
    gone: Sequence[Id] = ()
    parked: Sequence[Parking] = ()
    back: Sequence[Id] = ()

    def __len__(self) -> int:
        """How many items have been dealt with; not those given back."""
        return len(self.done) + len(self.stale) + len(self.gone) + len(self.parked)

    def ids(self) -> list[Id]:
        """Those of all that were leased, given back or not."""
        dealt_with = [*self.done, *self.stale, *self.gone, *self.back]
        return [*dealt_with, *(one.id for one in self.parked)]

    def __add__(self, other: Settled) -> Settled:
        return Settled(
            [*self.done, *other.done],
            [*self.stale, *other.stale],
            [*self.gone, *other.gone],
            [*self.parked, *other.parked],
            [*self.back, *other.back],
        )


class Journal(ABC):
    """One job, its queue, its workers. All methods are safe to call from several threads.

    All raise StoreError if the journal can't be read or written, and StoreUnavailable, its
    subclass, if that may pass.
    """

    # The job

    @abstractmethod
    def job(self) -> JobRow | None:
        """The job, or None before the first run."""

    @abstractmethod
    def begin(self, job: JobRow) -> JobRow:
        """Begin a job with an empty queue that is not filled; workers stay.

        Returns:
            The job that is now there: the one given, or the one of the same upgrade that was
            there already and is left as it is. A job of another upgrade is replaced.
        """

    @abstractmethod
    def set_state(self, state: JobState, last_error: str | None = None) -> None:
        """Record where the job stands, if there is one."""

    @abstractmethod
    def pause(self) -> bool:
        """Turn ``running`` into ``paused``; returns whether it did. Nothing is leased after it."""

    @abstractmethod
    def clear(self) -> None:
        """Forget the job, its queue and its rate; workers stay."""

    # Its workers

    @abstractmethod
    def join(self, worker: str, seconds: float) -> None:
        """Become a worker, beside any others; alive for so many seconds.

        Raises:
            JobLocked: one is there that must be alone.
        """

    @abstractmethod
    def join_alone(self, worker: str, seconds: float) -> None:
        """Become the only one, as long as it is alive; for what can't be done beside others.

        Raises:
            JobLocked: others are alive.
        """

    @abstractmethod
    def renew(self, worker: str, seconds: float) -> bool:
        """Stay alive for so many seconds from now; returns whether it still was one."""

    @abstractmethod
    def leave(
        self, worker: str, state: JobState | None = None, last_error: str | None = None
    ) -> None:
        """Stop being a worker. Items leased to it wait again, a sweep of its is nobody's.

        Args:
            state: where the job stands without it. ``paused`` is recorded only if the job is
                ``running`` or ``paused`` and no other worker is alive, so that the last one to
                leave pauses it; other states are recorded in any case; None changes nothing.
            last_error: recorded with the state.
        """

    @abstractmethod
    def evict(self) -> None:
        """Make all workers leave; for whoever knows that none can be alive."""

    @abstractmethod
    def workers(self) -> list[str]:
        """The names of those alive, in the order of names."""

    # Its queue

    @abstractmethod
    def begin_sweep(self, worker: str) -> bool:
        """Become the one who looks for items to queue; False if another living worker is.

        Beginning again a sweep of one's own is allowed: the first was cut off.
        """

    @abstractmethod
    def enqueue(self, entries: Sequence[Entry]) -> int:
        """Queue items that lack their new vector; returns how many.

        Left out are those that wait or are leased, and those parked at this very version.
        Those that were stale or parked come at priority :data:`REPEATED`. Entries are of
        different items.
        """

    @property
    def can_enqueue_at_random(self) -> bool:
        """Whether it lives with the items and computes random keys itself."""
        return False

    def enqueue_at_random(self, space: str, seed: int, after: Id | None = None) -> Page:  # noqa: ARG002
        """Queue the next items that lack a vector of a space, in random order, as
        :meth:`enqueue` does, without sending them here.

        Args:
            after: the last item of the page before, in the store's order of ids.
        """
        raise StoreError("this journal does not see the items: scan them, and enqueue them")

    @abstractmethod
    def end_sweep(self, worker: str) -> None:
        """Say that all is queued: the job is filled. Ignored if the sweep is not the worker's.

        Stale items are forgotten: what still lacks its vector has been queued, or will be by
        the next sweep.
        """

    @abstractmethod
    def lease(
        self, n: int, worker: str, seconds: float, upgrade_id: str | None = None
    ) -> list[Leased]:
        """Up to n pending items for one worker alone, who is alive for so many seconds more.

        The highest priority comes first, then the lowest key, then any fixed order. What dead
        workers held is pending again. A worker that has died meanwhile joins anew.

        Returns:
            Nothing if nothing is pending, the job is not ``running``, or not filled, or if it
            is another upgrade's than the one named.

        Raises:
            JobLocked: another worker is there that must be alone.
        """

    @abstractmethod
    def settle(self, worker: str, settled: Settled, seconds: float = 0.0) -> None:
        """Record what became of leased items, and how long they took; 0 leaves the rate as it is.

        Items that are no longer leased to the worker are left to whoever has them now.
        """

    @abstractmethod
    def prioritise(self, priorities: Mapping[Id, int]) -> int:
        """Move pending items up to priorities above 0; returns how many.

        Left out are items that are not pending or have their priority or a higher one.
        """

    @abstractmethod
    def parked(self, n: int, after: Id | None = None) -> list[ParkedItem]:
        """Up to n parked items and why they are, in a fixed order of ids, behind ``after``."""

    @abstractmethod
    def unpark(self) -> int:
        """Make all parked items pending, at priority :data:`REPEATED`; returns how many."""

    @abstractmethod
    def strike(self, ids: Iterable[Id]) -> None:
        """Forget parked items: they were deleted, or hold their new vector."""

    @abstractmethod
    def counts(self) -> QueueCounts:
        """Items of the queue by state."""

    @abstractmethod
    def rate(self) -> float | None:
        """Items done a second by all workers over the last batches; None before the first."""

    @abstractmethod
    def close(self) -> None:
        """Release it. Closing again is harmless."""


@dataclass(frozen=True, slots=True)
class TimedBatch:
    """Items that were done, when they were settled, and how long they took."""

    items: int
    ended: float
    seconds: float


def joint_rate(batches: Iterable[TimedBatch]) -> float | None:
    """Items a second while anybody worked: workers side by side count once.

    Times between batches, such as a pause, do not count.
    """
    items, busy, until = 0, 0.0, -float("inf")
    for batch in sorted(batches, key=lambda batch: batch.ended - batch.seconds):
        items += batch.items
        started = max(batch.ended - batch.seconds, until)
        busy += max(batch.ended - started, 0.0)
        until = max(until, batch.ended)
    return items / busy if items and busy > 0 else None


def locked_by(worker: str) -> JobLocked:
    """The error for whoever can't join because of another worker."""
    return JobLocked(
        f"a backfill job of {worker} is at work on this gallery; wait for it, or pause it first"
    )
