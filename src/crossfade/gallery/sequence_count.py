"""A sequence count, as of a seqlock: readers learn of writes that came between, holding up none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["SequenceCount"]


class SequenceCount:
    """Counts the beginnings and ends of writes; those who write hold a lock of their own."""

    def __init__(self) -> None:
        self._count = 0  # odd while something is written

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Counted as a write, whether or not the block fails."""
        self._count += 1
        try:
            yield
        finally:
            self._count += 1

    def read(self) -> int:
        """The count to ask by, later."""
        return self._count

    def is_undisturbed_since(self, count: int) -> bool:
        """Whether nothing was being written when ``count`` was read, and nothing was since."""
        return count % 2 == 0 and count == self._count
