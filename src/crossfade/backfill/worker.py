"""Moving items from the old side to the new one. The order of effects, written once:

    1. lease    a chunk of ids from the journal, to this worker alone
       for each part of the chunk, until a flush is due:
    2. read     the items: version, payload, and whether they hold the new vector already
    3. encode   those that don't, a batch at a time
    4. write    the vectors, each only if its item still has the version read
       then, once for all parts:
    5. flush    the store: the vectors survive a crash of the machine, too
    6. journal  done, stale, gone and parked items, and those given back, in one transaction

A part is a batch, or as many as are encoded in a fraction of a second, since stores like large
writes. It is written while the next ones are read and encoded; and while the last are written, the
next chunk is leased.

Killed anywhere before 6, the lease runs out and the chunk is leased again, and what was written
is not encoded again, because step 2 looks. Writes are conditional, so a user's write or delete
that comes after 2 beats the vector computed from what was read. A worker that lost its lease
on the way, because it hung or a clock jumped, writes the same vector that its successor would,
and the journal no longer listens to it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from crossfade.backfill.behind import Behind
from crossfade.backfill.journal import Leased, Settled
from crossfade.backfill.membership import Member
from crossfade.backfill.part import Part, PartSize
from crossfade.backfill.streak import Streak
from crossfade.backfill.throttle import Brake
from crossfade.errors import CrossfadeError, StoreUnavailable
from crossfade.gallery import Gallery
from crossfade.gallery.encoding import Encoding
from crossfade.gallery.write_back import write_back
from crossfade.stores import Id

__all__ = ["STEPS", "Pace", "Worker"]

STEPS = ("leased", "read", "encoded", "written", "flushed", "journaled")
"""Names of the steps, in order; an observer is called after each."""

_LARGEST_CHUNK = 16_384
"""Items, or a single batch that is larger."""
_FASTER = 16
"""A chunk is at most so many times the one before: each ends with a flush, so few are small."""
_WRITES_AT_ONCE = 3
"""Parts that are on their way to the store while another is read and encoded."""
_LEASED_AHEAD = 1024
"""Chunks of so many items and more are leased while the one before is still being written."""
_WORK_A_FLUSH = 9
"""The least time of work for each flush, in units of the flush."""


@dataclass(frozen=True)
class Pace:
    """How much is done at once.

    Attributes:
        batch_size: items that the encoder is given at once.
        largest_part: as many items are read, and written, at once, or a batch if that is more.
        flush_seconds: a flush is due after so long, or later where flushing takes more than a
            tenth of the time: it costs some ten milliseconds, on a busy disk a hundred,
            whatever there is to flush.
    """

    batch_size: int
    flush_seconds: float
    largest_part: int

    def flush_after(self, last_flush_seconds: float) -> float:
        """How long to work until the next flush; 0 asks for one after every batch."""
        if not self.flush_seconds:
            return 0.0
        return max(self.flush_seconds, _WORK_A_FLUSH * last_flush_seconds)

    def next_chunk(self, items: int, seconds: float, last_flush_seconds: float) -> int:
        """How many items to lease, after so many took so long.

        About as many as are done until a flush is due, so that others find enough to lease,
        and what is moved to the front does not wait behind a long lease.
        """
        fitting = items * self.flush_after(last_flush_seconds) / max(seconds, 1e-6)
        batches = round(min(fitting, _FASTER * items, _LARGEST_CHUNK) / self.batch_size)
        return self.batch_size * max(batches, 1)


class Worker:
    """Moves items; used by one thread.

    Args:
        stopped: whether to let go of the chunk after the batch at hand.
        observe: called with the name of each step when it is over.

    Attributes:
        chunk: how many items it leases next.
    """

    def __init__(
        self,
        gallery: Gallery,
        encoding: Encoding,
        member: Member,
        pace: Pace,
        brake: Brake,
        streak: Streak,
        stopped: Callable[[], bool],
        observe: Callable[[str], None],
    ) -> None:
        self._gallery = gallery
        self._encoding = encoding
        self._member = member
        self._pace = pace
        self._brake = brake
        self._streak = streak
        self._stopped = stopped
        self._observe = observe
        self._size = PartSize(pace.batch_size, pace.largest_part)
        self.chunk = pace.batch_size
        self._held: list[Id] = []
        self._next_lease = 0
        self._ahead: Behind[list[Leased]] | None = None
        self._flush_seconds = 0.0
        self._forsaken = threading.Event()

    def forsake(self) -> None:
        """Let it write nothing any more; it is still in its encoder, and waited for no longer."""
        self._forsaken.set()

    def move(self, most: int, *, lease_ahead: bool = False) -> int:
        """Move up to so many items, a chunk at most; returns how many, 0 if none is pending.

        Args:
            lease_ahead: whether the next chunk may be leased while this one is still being
                written; if :attr:`has_leased_ahead` then, move on or :meth:`let_go`.

        Raises:
            EncoderError: the encoder fails on everything, or can't be reached.
            StoreUnavailable: store or journal can't be reached; may be called again.
        """
        self._give_back()
        started = time.monotonic()
        leased = self._lease(min(most, self.chunk))
        if not leased:
            return 0
        self._next_lease = self.chunk if lease_ahead and self.chunk >= _LEASED_AHEAD else 0
        self._observe("leased")
        failed_before = {one.id for one in leased if one.failed_before}
        settled = Settled()
        try:
            for written in self._written(failed_before, started):
                settled += written
        finally:
            worked = time.monotonic() - started
            known = set(settled.ids())
            self._settle(
                settled + Settled(back=[id for id in self._held if id not in known]), started
            )
        self.chunk = self._pace.next_chunk(
            max(len(settled), self._pace.batch_size), worked, self._flush_seconds
        )
        return len(settled)

    @property
    def has_leased_ahead(self) -> bool:
        """Whether the next chunk is leased, or being leased."""
        return self._ahead is not None

    def let_go(self) -> None:
        """Give back what was leased ahead."""
        if self._ahead is not None:
            ahead, self._ahead = self._ahead, None
            # A store that is gone is told when it is back, or forgets it with this worker.
            with suppress(StoreUnavailable):
                self._held += [one.id for one in ahead.result()]
                self._give_back()

    def _written(self, failed_before: set[Id], started: float) -> Iterator[Settled]:
        """Encode part after part, each while the one before it is written."""
        unread = list(self._held)
        writing: deque[Behind[Settled]] = deque()
        try:
            while unread and not self._stopped():
                ids = unread[: self._size.items]
                if self._brake.pace(len(ids)):
                    break
                part, error = self._encoded(ids, failed_before)
                while len(writing) >= _WRITES_AT_ONCE:
                    yield writing[0].result()
                    writing.popleft()
                writing.append(Behind(partial(self._write, part)))
                # What was encoded before the encoder failed is not encoded again.
                if error is not None:
                    yield from _results(writing)
                    raise error
                del unread[: len(part.ids)]
                is_due = time.monotonic() - started >= self._pace.flush_after(self._flush_seconds)
                if self._next_lease and (is_due or not unread) and not self._stopped():
                    self._ahead = Behind(partial(self._leased, self._next_lease))
                if is_due:
                    break
            yield from _results(writing)
        finally:
            for one in writing:
                one.wait()

    def _lease(self, n: int) -> list[Leased]:
        ahead, self._ahead = self._ahead, None
        # What was leased ahead may be nothing, while others have given items back since.
        leased = (ahead.result() if ahead is not None else []) or self._leased(n)
        self._held = [one.id for one in leased]
        return leased

    def _leased(self, n: int) -> list[Leased]:
        if self._forsaken.is_set():
            return []
        member = self._member
        return member.journal.lease(n, member.name, member.seconds, self._gallery.upgrade.id)

    def _settle(self, settled: Settled, started: float) -> None:
        if self._forsaken.is_set():
            return
        if settled:
            self._flush()
        self._observe("flushed")
        seconds = time.monotonic() - started if settled else 0.0
        self._member.journal.settle(self._member.name, settled, seconds)
        self._held = []
        self._observe("journaled")

    def _flush(self) -> None:
        before = time.monotonic()
        self._gallery.store.flush()
        self._flush_seconds = time.monotonic() - before

    def _give_back(self) -> None:
        """What could not be settled last time, because store or journal was gone."""
        if self._held:
            self._member.journal.settle(self._member.name, Settled(back=self._held))
            self._held = []

    def _encoded(
        self, ids: Sequence[Id], failed_before: set[Id]
    ) -> tuple[Part, CrossfadeError | None]:
        """Read items and encode them, as many as there is time for, or until the encoder fails."""
        started = time.monotonic()
        found = self._gallery.store.get(ids, vectors=[self._space])
        self._observe("read")
        part = Part()
        step = self._pace.batch_size
        for at in range(0, len(ids), step):
            if at and (self._stopped() or self._size.is_used_up(time.monotonic() - started)):
                break
            there = [item for item in found[at : at + step] if item is not None]
            waiting = [item for item in there if self._space not in item.vectors]
            try:
                encoded = self._encoding.encode(waiting)
                self._streak.check(encoded, failed_before)
            except CrossfadeError as error:
                return part, error
            part.add(ids[at : at + step], there, waiting, encoded)
        self._size.adapt(len(part.ids), time.monotonic() - started)
        self._observe("encoded")
        return part, None

    def _write(self, part: Part) -> Settled:
        if self._forsaken.is_set():
            return Settled()
        outcomes = write_back(
            self._gallery.store, self._gallery.upgrade, part.waiting, part.encoded
        )
        self._observe("written")
        return part.settled(outcomes)

    @property
    def _space(self) -> str:
        return self._gallery.upgrade.stored.name


def _results(writing: deque[Behind[Settled]]) -> Iterator[Settled]:
    while writing:
        yield writing[0].result()
        writing.popleft()
