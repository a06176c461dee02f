"""Nearest rows with ties in order of id, also at the cut."""

from __future__ import annotations

from typing import Any

import numpy as np

from crossfade.embeddings import FloatArray
from crossfade.stores.base import Match, id_order
from crossfade.stores.lancedb.table import Table
from crossfade.stores.lancedb.terms import id_of

__all__ = ["Nearest"]

_BLUR = 1e-5
"""Distances of equal vectors may differ by less."""


class Nearest:
    """A search in one column, for any queries.

    LanceDB returns any of the rows that tie at the cut, so one more than k is fetched, and on
    while the distance at the end is the one at the cut. Scores are computed again from the
    vectors, in float64. An approximate search that finds too few is done again exactly.

    Args:
        probes: how many lists of the index to search; None compares with every vector.
    """

    def __init__(self, table: Table, column: str, where: str, probes: int | None) -> None:
        self._table, self._column, self._where = table, column, where
        self._probes = probes

    def __call__(self, queries: FloatArray, k: int) -> list[list[Match]]:
        """The k best matches of each query ``(q, d)``."""
        there = self._table.total() if len(queries) else 0
        if not there:
            return [[] for _ in queries]
        return [self._closest(query, k, there) for query in queries]

    def _closest(self, query: FloatArray, k: int, there: int) -> list[Match]:
        # One more than were counted: items may have been inserted since.
        limit, probes = min(k, there) + 1, self._probes
        while True:
            rows = self._table.closest(self._column, query, self._where, limit, probes)
            distances = np.sort(rows["_distance"].to_numpy())
            if not len(rows) and probes is None:
                return []
            if len(rows) < limit and probes is not None:
                probes = None
            elif len(rows) == limit and (limit <= k or distances[-1] < distances[k - 1] + _BLUR):
                limit = 2 * limit
            else:
                return self._matches(query, rows)[:k]

    def _matches(self, query: FloatArray, rows: Any) -> list[Match]:
        column = rows[self._column].combine_chunks()
        vectors = column.flatten().to_numpy(zero_copy_only=False).astype(np.float64)
        scores = vectors.reshape(-1, len(query)) @ query.astype(np.float64)
        matches = [
            Match(id_of(key), version, score)
            for key, version, score in zip(
                rows["key"].to_pylist(),
                rows["version"].to_pylist(),
                scores.astype(np.float32).tolist(),
                strict=True,
            )
        ]
        return sorted(matches, key=lambda match: (-match.score, id_order(match.id)))
