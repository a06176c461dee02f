"""Nearest items with ties in order of id, also at the cut."""

from __future__ import annotations

import numpy as np

from crossfade.embeddings import FloatArray
from crossfade.stores.base import Match, id_order
from crossfade.stores.faiss.index import Mask, VectorIndex
from crossfade.stores.faiss.ledger import Ledger
from crossfade.stores.faiss.vectors import Numbers

__all__ = ["nearest"]

_BLUR = 1e-5
"""Scores of equal vectors may differ by less in FAISS, depending on where they stand."""


def nearest(
    index: VectorIndex, ledger: Ledger, queries: FloatArray, k: int, mask: Mask, *, exact: bool
) -> list[list[Match]]:
    """The k best of the vectors in a mask, for each query ``(q, d)``.

    FAISS returns any of the vectors that tie at the cut, so one more than k is fetched, and on
    while the score at the end is the one at the cut. Scores are computed again in float64: equal
    vectors get equal scores. An approximate search that finds too few is done again exactly.
    """
    there = int(np.count_nonzero(mask))
    if not there or not len(queries):
        return [[] for _ in queries]
    wanted = min(k, there)
    scores, positions = index.search(queries, min(k + 1, there), mask, exact=exact)
    found: list[list[Match]] = []
    for query, row_scores, row in zip(queries, scores, positions, strict=True):
        sure = exact
        while True:
            if np.count_nonzero(row >= 0) < wanted and not sure:
                sure = True
                limit = min(k + 1, there)
            elif len(row) < there and row_scores[-1] > row_scores[wanted - 1] - _BLUR:
                limit = min(2 * len(row), there)
            else:
                break
            (row_scores,), (row,) = index.search(query[None], limit, mask, exact=sure)
        found.append(_matches(index, ledger, query, row[row >= 0])[:k])
    return found


def _matches(
    index: VectorIndex, ledger: Ledger, query: FloatArray, positions: Numbers
) -> list[Match]:
    rows = index.rows_at(positions).astype(np.float64)
    scores = (rows @ query.astype(np.float64)).astype(np.float32).tolist()
    items = index.items_at(positions).tolist()
    keys = ledger.keys(items)
    matches = [Match(*keys[item], score) for item, score in zip(items, scores, strict=True)]
    return sorted(matches, key=lambda match: (-match.score, id_order(match.id)))
