"""Nearest points with ties in order of id, also at the cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import qdrant_edge as edge

from crossfade.embeddings import FloatArray
from crossfade.stores.base import Match, id_order
from crossfade.stores.qdrant.engine import Engine
from crossfade.stores.qdrant.points import KEY_FIELDS, record_id

__all__ = ["Nearest"]


class Nearest:
    """A search in one of the engine's vectors, for any queries.

    The engine returns any of the points that tie at the cut; which of them are first by id is
    known only when all are there. So one more than k is fetched, and on while the score at the
    end is the one at the cut.
    """

    def __init__(self, engine: Engine, vector: str, where: Any, exact: bool) -> None:
        self._engine = engine
        self._vector = vector
        self._where = where
        self._params = edge.SearchParams(exact=exact)

    def __call__(self, queries: FloatArray, k: int) -> list[list[Match]]:
        """The k best matches of each query ``(q, d)``."""
        limit = min(k, self._engine.points()) + 1
        found = self._fetch(queries, limit)
        return [
            self._cut(query, matches, k, limit)
            for query, matches in zip(queries, found, strict=True)
        ]

    def _cut(self, query: FloatArray, found: list[Match], k: int, limit: int) -> list[Match]:
        while len(found) == limit > k and found[-1].score == found[k - 1].score:
            limit *= 2
            found = self._fetch([query], limit)[0]
        return sorted(found, key=lambda match: (-match.score, id_order(match.id)))[:k]

    def _fetch(self, queries: Sequence[FloatArray] | FloatArray, limit: int) -> list[list[Match]]:
        found = self._engine.query([self._request(query, limit) for query in queries])
        return [[_match(point) for point in points] for points in found]

    def _request(self, query: FloatArray, limit: int) -> edge.QueryRequest:
        return edge.QueryRequest(
            limit=limit,
            query=edge.Query.Nearest(query.tolist(), using=self._vector),
            filter=self._where,
            params=self._params,
            with_payload=KEY_FIELDS,
        )


def _match(point: Any) -> Match:
    return Match(record_id(point), int(point.payload["version"]), float(point.score))
