"""Moving items from the old side to the new one. The order of effects, written once:

    1. take     a chunk of ids from the journal; they stay pending
       for each batch of the chunk, until a flush is due:
    2. read     the items: version, payload, and whether they hold the new vector already
    3. encode   those that don't
    4. write    the vectors, each only if its item still has the version read
       then, once for all batches:
    5. flush    the store: the vectors survive a crash of the machine, too
    6. journal  done, stale, gone and parked items, in one transaction

Killed anywhere before 6, the chunk is taken again, and what was written is not encoded again,
because step 2 looks. Writes are conditional, so a user's write or delete that comes after 2
beats the vector computed from what was read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from crossfade.backfill.encoding import Encoded, Encoding
from crossfade.backfill.old_journal import Journal, Parking, Settled
from crossfade.errors import EncoderError
from crossfade.gallery import Gallery
from crossfade.stores import Id, Item, Outcome, VectorWrite

__all__ = ["STEPS", "Pace", "Worker"]

STEPS = ("taken", "read", "encoded", "written", "flushed", "journaled")
"""Names of the steps, in order; an observer is called after each."""

_MOST_BATCHES = 64
_HOPELESS = 8
"""So many failed items before the first success mean that the encoder is at fault."""
_HOPELESS_LATER = 256
"""So many failed items in a row after a success mean the same."""


@dataclass(frozen=True)
class Pace:
    """How much is done at once.

    Attributes:
        batch_size: items read, encoded and written together.
        flush_seconds: a flush is due after so long; it costs some ten milliseconds, on a busy
            disk a hundred, whatever there is to flush.
    """

    batch_size: int
    flush_seconds: float

    @property
    def chunk(self) -> int:
        """The most items between two flushes."""
        return self.batch_size * _MOST_BATCHES


class Worker:
    """Moves items.

    Args:
        observe: called with the name of each step when it is over.
    """

    def __init__(
        self,
        gallery: Gallery,
        encoding: Encoding,
        journal: Journal,
        pace: Pace,
        observe: Callable[[str], None],
    ) -> None:
        self._gallery = gallery
        self._encoding = encoding
        self._journal = journal
        self._pace = pace
        self._observe = observe
        self._failures_in_a_row = 0
        self._succeeded = False

    def move(self, most: int | None = None) -> int:
        """Move a chunk of items; returns how many, 0 if none is pending.

        Raises:
            EncoderError: the encoder fails on everything, or can't be reached.
        """
        started = time.monotonic()
        ids = self._journal.take(self._pace.chunk if most is None else min(most, self._pace.chunk))
        self._observe("taken")
        if not ids:
            return 0
        settled = Settled()
        try:
            for batch in self._batches(ids):
                settled += self._move_batch(batch)
                if time.monotonic() - started >= self._pace.flush_seconds:
                    break
        finally:
            self._gallery.store.flush()
            self._observe("flushed")
            self._journal.settle(settled, time.monotonic() - started)
            self._observe("journaled")
        return len(settled)

    def _batches(self, ids: Sequence[Id]) -> Iterator[Sequence[Id]]:
        for start in range(0, len(ids), self._pace.batch_size):
            yield ids[start : start + self._pace.batch_size]

    def _move_batch(self, ids: Sequence[Id]) -> Settled:
        found = self._gallery.store.get(ids, vectors=[self._space])
        self._observe("read")
        items = [item for item in found if item is not None]
        waiting = [item for item in items if self._space not in item.vectors]
        encoded = self._encoding.encode(waiting)
        self._refuse_hopeless(encoded)
        self._observe("encoded")
        outcomes = self._write(waiting, encoded)
        self._observe("written")
        return _settled(ids, items, waiting, encoded, outcomes)

    def _write(self, waiting: Sequence[Item], encoded: Encoded) -> dict[Id, Outcome]:
        ready = [item for item in waiting if item.id in encoded.vectors]
        if not ready:
            return {}
        new = np.stack([encoded.vectors[item.id] for item in ready])
        writes = [
            VectorWrite(item.id, item.version, row)
            for item, row in zip(ready, self._gallery.upgrade.store_new(new), strict=True)
        ]
        outcomes = self._gallery.store.set_vectors(self._space, writes)
        return {item.id: outcome for item, outcome in zip(ready, outcomes, strict=True)}

    def _refuse_hopeless(self, encoded: Encoded) -> None:
        """Stop a job whose encoder can't do anything before it parks the whole gallery."""
        if encoded.vectors:
            self._failures_in_a_row, self._succeeded = 0, True
            return
        self._failures_in_a_row += len(encoded.failures)
        # An encoder that has worked may meet a run of bad items; one that dies, an endless run.
        if self._failures_in_a_row >= (_HOPELESS_LATER if self._succeeded else _HOPELESS):
            which = "last" if self._succeeded else "first"
            reason = next(iter(encoded.failures.values()))
            raise EncoderError(
                f"the encoder failed on all of the {which} {self._failures_in_a_row} items: "
                f"{reason}. The items stay in the queue; mend the encoder and run again"
            )

    @property
    def _space(self) -> str:
        return self._gallery.upgrade.stored.name


def _settled(
    ids: Sequence[Id],
    items: Sequence[Item],
    waiting: Sequence[Item],
    encoded: Encoded,
    outcomes: dict[Id, Outcome],
) -> Settled:
    there = {item.id for item in items}
    moved_before = there - {item.id for item in waiting}

    def having(outcome: Outcome) -> list[Id]:
        return [id for id in ids if outcomes.get(id) is outcome]

    return Settled(
        done=[id for id in ids if id in moved_before] + having(Outcome.APPLIED),
        stale=having(Outcome.STALE),
        gone=[id for id in ids if id not in there] + having(Outcome.GONE),
        parked=[
            Parking(item.id, item.version, encoded.failures[item.id])
            for item in waiting
            if item.id in encoded.failures
        ],
    )
