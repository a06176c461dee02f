"""Full rankings at every coverage from one sort.

An item has two scores, one for each side it may be on, and at any coverage exactly one of the
two counts. So both scores of all items are sorted once for each query, ``2n`` entries, and the
ranked list at a coverage is what remains when the entries that do not count are left out:
an item's rank is a running count over the sorted entries, not one more sort.

An *entry* is a whole number, ``2 * column + side``: columns in the order of the items' ids,
side 0 for the new one and 1 for the old. Equal scores are ordered by entry, and so by id.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.embeddings import FloatArray
from crossfade.evaluation.metrics import RankedRelevance, RelevantItems

__all__ = ["rank_merged", "rank_plain", "turning_steps"]

Columns = NDArray[np.intp]
_LOW = np.uint64(0xFFFF_FFFF)
_MAGNITUDE = np.int32(0x7FFF_FFFF)


def turning_steps(order: Columns, backfilled: NDArray[Any]) -> NDArray[Any]:
    """The first step at which each column is on the new side, ``(n,)``.

    Args:
        order: ``(n,)`` columns, the one that is backfilled first in front.
        backfilled: ``(steps,)`` how many columns are on the new side; rising, the last is n.
    """
    turning = np.empty(len(order), dtype=np.min_scalar_type(len(backfilled)))
    turning[order] = np.searchsorted(backfilled, np.arange(len(order)), side="right")
    return turning


def rank_merged(
    new: FloatArray, old: FloatArray, grades: NDArray[Any], turning: NDArray[Any], steps: int
) -> Iterator[RankedRelevance]:
    """Rank the items of a gallery in motion, one result for each step.

    Args:
        new, old: ``(b, n)`` scores of all items on either side; may be infinite, not NaN.
        grades: ``(b, n)`` relevance, 0 for irrelevant.
        turning: ``(n,)`` from :func:`turning_steps`.
    """
    n = new.shape[1]
    entries = _sorted_entries(new, old)
    columns, is_old = entries >> 1, (entries & 1).astype(np.bool_)
    turns = turning.take(columns)
    graded = _grades_at(columns, grades)
    places = np.flatnonzero(graded > 0)  # of relevant items, on both sides
    relevant = graded.take(places)
    items = RelevantItems(np.count_nonzero(grades, axis=1), grades[grades > 0])
    # n entries of each row count, so one running count serves all rows.
    counted_above = items.query * n
    for step in range(steps):
        counts = ((turns <= step) ^ is_old).ravel()
        here = np.flatnonzero(counts.take(places))
        running = np.cumsum(counts, dtype=np.int32)
        rank = running.take(places.take(here)) - counted_above
        yield RankedRelevance(items, rank, relevant.take(here))


def rank_plain(scores: FloatArray, grades: NDArray[Any]) -> RankedRelevance:
    """Rank the items of one side alone by ``(b, n)`` scores; ties by column."""
    keys = _falling(scores) | np.arange(scores.shape[1], dtype=np.uint64)
    return RankedRelevance.of(_grades_at(_sorted_low(keys), grades).reshape(grades.shape))


def _sorted_entries(new: FloatArray, old: FloatArray) -> Columns:
    """Entries of both sides' scores, best first, ``(b, 2n)``."""
    b, n = new.shape
    keys = np.empty((b, 2 * n), dtype=np.uint64)
    column = np.arange(n, dtype=np.uint64)
    np.bitwise_or(_falling(new), 2 * column, out=keys[:, :n])
    np.bitwise_or(_falling(old), 2 * column + 1, out=keys[:, n:])
    return _sorted_low(keys)


def _falling(scores: FloatArray) -> NDArray[np.uint64]:
    """Keys whose upper half rises as the score falls; the lower half is free.

    The bits of a positive float rise with its value, those of a negative one with its
    magnitude: turning the former around makes both rise as the value falls. Adding zero
    makes -0.0 the same as 0.0.
    """
    bits = (scores + np.float32(0.0)).view(np.int32)
    turned = bits ^ (~(bits >> 31) & _MAGNITUDE)
    return turned.view(np.uint32).astype(np.uint64) << np.uint64(32)


def _sorted_low(keys: NDArray[np.uint64]) -> Columns:
    keys.sort(axis=1)
    return (keys & _LOW).view(np.int64)


def _grades_at(columns: Columns, grades: NDArray[Any]) -> NDArray[Any]:
    """Grades of each row's columns, flat."""
    b, n = grades.shape
    places = columns + np.arange(b)[:, None] * n
    return np.asarray(grades.ravel().take(places.ravel()))
