"""A part of a chunk: some items that are read, encoded and written together, and what became of
them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from crossfade.backfill.journal import Parking, Settled
from crossfade.gallery.encoding import Encoded
from crossfade.stores import Id, Item, Outcome

__all__ = ["LARGEST_PART", "Part", "PartSize"]

LARGEST_PART = 2048
"""Items; above it stores gain nothing."""
_PART_SECONDS = 0.2
"""What a killed process would encode again, about: a part is read and encoded in so long."""


@dataclass(eq=False)
class Part:
    """Items as they were read, and what the encoder made of those that it has seen.

    Attributes:
        ids: those that are through the encoder, or need not go there.
        there: the items of these ids that exist. waiting: those that lacked their new vector.
    """

    ids: list[Id] = field(default_factory=list)
    there: list[Item] = field(default_factory=list)
    waiting: list[Item] = field(default_factory=list)
    encoded: Encoded = field(default_factory=Encoded)

    def add(
        self, ids: Sequence[Id], there: Sequence[Item], waiting: Sequence[Item], encoded: Encoded
    ) -> None:
        """Add a batch."""
        self.ids += ids
        self.there += there
        self.waiting += waiting
        self.encoded.vectors.update(encoded.vectors)
        self.encoded.failures.update(encoded.failures)

    def settled(self, outcomes: Mapping[Id, Outcome]) -> Settled:
        """What became of each, after the write had these outcomes."""
        there = {item.id for item in self.there}
        moved_before = there - {item.id for item in self.waiting}

        def having(outcome: Outcome) -> list[Id]:
            return [id for id in self.ids if outcomes.get(id) is outcome]

        failures = self.encoded.failures
        return Settled(
            done=[id for id in self.ids if id in moved_before] + having(Outcome.APPLIED),
            stale=having(Outcome.STALE),
            gone=[id for id in self.ids if id not in there] + having(Outcome.GONE),
            parked=[
                Parking(item.id, item.version, failures[item.id])
                for item in self.waiting
                if item.id in failures
            ],
        )


class PartSize:
    """How many items to take at once: a batch, or more as long as that is quick.

    Args:
        batch_size: what the encoder is given at once. largest: more is never taken, except for
            a single batch.

    Attributes:
        items: to be read next.
    """

    def __init__(self, batch_size: int, largest: int) -> None:
        self._smallest, self._largest = batch_size, max(batch_size, largest)
        self.items = batch_size

    def is_used_up(self, seconds: float) -> bool:
        """Whether what is encoded should be written, though not all is that was read."""
        return seconds >= _PART_SECONDS

    def adapt(self, items: int, seconds: float) -> None:
        """Learn from a part of so many items that was read and encoded in so long."""
        if self.is_used_up(seconds):
            self.items = max(self._smallest, self.items // 2)
        elif items >= self.items and 2 * seconds < _PART_SECONDS:
            self.items = min(self._largest, 2 * self.items)
