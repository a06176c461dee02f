"""A uniform sample of distinct queries, the same in whatever order and however often they come."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from crossfade.embeddings.formats import read_npz
from crossfade.embeddings.queries import QueryLog
from crossfade.embeddings.vectors import FloatArray, unit_rows
from crossfade.errors import DataFileError

__all__ = ["KeptQuery", "QuerySample", "as_arrays", "hashes_of", "read_queries"]

_HASH_BYTES = 16
_ABOVE_ALL = 1 << 8 * _HASH_BYTES
_SOME, _WHICH = "old_of_some", "rows_with_old"
"""Names in a file of which some queries have an ``old``: their rows, and which queries' they are.
A log is read without them."""


class KeptQuery(NamedTuple):
    """A query's unit rows: ``new (d_new,)``, ``old (d_old,)`` if it was given."""

    new: FloatArray
    old: FloatArray | None


class QuerySample:
    """The queries whose hashes are smallest. Not thread-safe.

    A hash is as good as a random number that a query always draws again: so many smallest ones
    are a uniform sample of the distinct queries, and those of two samples' union are one of all
    (the bottom-k sketch, Cohen and Kaplan, *Summarizing data using bottom-k sketches*, PODC 2007).

    Args:
        most: how many are kept.

    Attributes:
        limit: no query with a larger hash is kept; it only falls.
    """

    def __init__(self, most: int) -> None:
        self.limit = _ABOVE_ALL
        self._most = most
        self._kept: dict[int, KeptQuery] = {}
        self._negated: list[int] = []  # a heap: the largest hash is on top

    def add(self, number: int, query: KeptQuery) -> bool:
        """Keep a query, or its ``old`` if that was missing; returns whether anything changed.

        Args:
            number: its hash.
        """
        before = self._kept.get(number)
        if before is not None:
            if before.old is not None or query.old is None:
                return False
            self._kept[number] = KeptQuery(before.new, query.old.copy())
            return True
        if number > self.limit:
            return False
        # Copied: a row that is part of many would keep all of them in memory.
        old = None if query.old is None else query.old.copy()
        self._kept[number] = KeptQuery(query.new.copy(), old)
        heapq.heappush(self._negated, -number)
        if len(self._kept) > self._most:
            del self._kept[-heapq.heappop(self._negated)]
        if len(self._kept) == self._most:
            self.limit = -self._negated[0]
        return True

    def queries(self) -> list[KeptQuery]:
        """What is kept, in the order of the hashes."""
        return [self._kept[number] for number in sorted(self._kept)]

    def __len__(self) -> int:
        return len(self._kept)


def hashes_of(rows: FloatArray) -> list[int]:
    """A number for each row of ``(n, d)``, the same for the same bytes."""
    return [
        int.from_bytes(hashlib.blake2b(row.tobytes(), digest_size=_HASH_BYTES).digest(), "big")
        for row in rows
    ]


def as_arrays(queries: Sequence[KeptQuery]) -> dict[str, NDArray[Any]]:
    """As a file holds them: a log, and what else is known of it."""
    new = np.stack([query.new for query in queries])
    known = [row for row, query in enumerate(queries) if query.old is not None]
    if not known:
        return {"new": new}
    old = np.stack([query.old for query in queries if query.old is not None])
    if len(known) == len(queries):
        return {"new": new, "old": old}
    return {"new": new, _SOME: old, _WHICH: np.array(known)}


def read_queries(path: Path) -> dict[int, KeptQuery]:
    """The queries of a file by their hashes, each once.

    Raises:
        DataFileError: the file can't be read, or holds something else or more than a log of
            queries.
        InvalidInput: what it holds is no embeddings.
    """
    arrays = read_npz(path)
    others = sorted(arrays.keys() - {"new", "old", _SOME, _WHICH})
    if others:
        raise DataFileError(
            f"{path} holds {', '.join(others)}, which a log of queries does not, and which would "
            "be lost when it is written; name another file"
        )
    log = QueryLog.of_arrays(arrays, str(path))
    old: dict[int, FloatArray] = {}
    if log.old is not None:
        old = dict(enumerate(log.old))
    elif _SOME in arrays or _WHICH in arrays:
        old = _old_of_some(arrays, len(log), path)
    found: dict[int, KeptQuery] = {}
    for row, number in enumerate(hashes_of(log.new)):
        found.setdefault(number, KeptQuery(log.new[row], old.get(row)))
    return found


def _old_of_some(arrays: Mapping[str, NDArray[Any]], n: int, path: Path) -> dict[int, FloatArray]:
    """By the row of the query, of ``n``."""
    which, rows = arrays.get(_WHICH), arrays.get(_SOME)
    if (
        which is None
        or rows is None
        or which.shape != rows.shape[:1]
        or which.dtype.kind not in "iu"
        or not _are_rows(which.tolist(), n)
    ):
        raise DataFileError(
            f"{path}: {_SOME} and {_WHICH} don't fit together, or not the {n} queries of new; "
            "was the file edited? Name another one"
        )
    old = unit_rows(rows, name=f"{path}: {_SOME}")
    return dict(zip(which.tolist(), old, strict=True))


def _are_rows(numbers: Iterable[int], n: int) -> bool:
    return all(0 <= number < n for number in numbers)
