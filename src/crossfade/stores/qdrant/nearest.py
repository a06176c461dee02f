"""Nearest points with ties in order of id, also at the cut."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from crossfade.embeddings import FloatArray
from crossfade.stores.base import Match, id_order
from crossfade.stores.qdrant.points import record_key

__all__ = ["Fetch", "match_of", "nearest"]

Fetch = Callable[[Sequence[FloatArray] | FloatArray, int, bool], list[list[Match]]]
"""Fetches up to so many points for each query; the last argument is whether exactly."""


def nearest(
    fetch: Fetch, queries: FloatArray, k: int, points: int, *, exact: bool
) -> list[list[Match]]:
    """The k best matches of each query ``(q, d)``, of so many points at most.

    Qdrant returns any of the points that tie at the cut; which of them are first by id is known
    only when all are there. So one more than k is fetched, and on while the score at the end is
    the one at the cut. Points may be inserted after they were counted: a full list that is no
    longer than k is fetched again, too. An approximate search that finds too few is done again
    exactly.
    """
    limit = min(k, points) + 1
    found = fetch(queries, limit, exact)
    return [
        _cut(fetch, query, matches, k, limit, exact)
        for query, matches in zip(queries, found, strict=True)
    ]


def match_of(point: Any) -> Match:
    """A scored point, read with its key fields."""
    id, version, _ = record_key(point)
    return Match(id, version, float(point.score))


def _cut(
    fetch: Fetch, query: FloatArray, found: list[Match], k: int, limit: int, exact: bool
) -> list[Match]:
    if len(found) < limit and not exact:
        exact = True
        found = fetch([query], limit, exact)[0]
    while len(found) == limit and (limit <= k or found[-1].score == found[k - 1].score):
        limit *= 2
        found = fetch([query], limit, exact)[0]
    return sorted(found, key=lambda match: (-match.score, id_order(match.id)))[:k]
