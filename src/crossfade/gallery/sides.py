"""Searching the two sides of a gallery.

The old side is always searched first: an item that the backfill moves between the two searches
is then seen twice, and the merge keeps one, rather than never.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from crossfade.embeddings import FloatArray, Space
from crossfade.gallery.merge import Candidate, merge, moved_meanwhile
from crossfade.stores import Filter, Id, Item, Match, Store, id_order
from crossfade.upgrade import OldSide

__all__ = ["Request", "TwoSides", "over_fetch"]

_MOST_DEEPENINGS = 8
_ROUNDING = 1e-5
"""Two ways to compute one inner product in float32 differ by less."""
_QUERIES_TOGETHER = 32
"""Queries whose candidates are rescored together; bounds the matrix of scores."""


@dataclass(frozen=True, eq=False)
class Request:
    """What is wanted: the k best, of the items that pass the filter."""

    k: int
    filter: Filter | None
    exact: bool


@dataclass(frozen=True, eq=False)
class TwoSides:
    """A gallery's sides.

    Attributes:
        source: the space of old vectors. stored: of new ones.
        mapped: of forward-mapped old vectors, for upgrades on the items' side.
    """

    store: Store
    source: Space
    stored: Space
    mapped: Space | None

    def search_new(self, queries: FloatArray, request: Request) -> list[list[Match]]:
        """The new side alone; ``queries`` are ``(q, d_new)`` of the stored space."""
        return self._search(self.stored, queries, request, lacks=None)

    def search_old(self, queries: FloatArray, request: Request) -> list[list[Match]]:
        """All items that hold an old vector, as the old system would; ``(q, d_old)``."""
        return self._search(self.source, queries, request, lacks=None)

    def search_both(
        self, old_side: OldSide, new_queries: FloatArray, request: Request
    ) -> list[list[Candidate]]:
        """Both sides merged.

        If so many items moved meanwhile that the old list may have lost some of its k best,
        the searches are made again, deeper.
        """
        old_search = self._old_search(old_side)
        depth = request.k
        for _ in range(_MOST_DEEPENINGS):
            old = old_search(replace(request, k=depth))
            new = self.search_new(new_queries, request)
            short = max(map(_shortage(depth, request.k), old, new), default=0)
            if not short:
                break
            depth += 2 * short
        return [merge(first, second, request.k) for first, second in zip(old, new, strict=True)]

    def _old_search(self, old_side: OldSide) -> Callable[[Request], list[list[Match]]]:
        if old_side.two_encoder is None:
            return lambda request: self._one_encoder(old_side, request)
        parts = [
            replace(
                old_side,
                search_query=old_side.search_query[rows],
                old_query=None if old_side.old_query is None else old_side.old_query[rows],
            )
            for rows in _parts(len(old_side.search_query))
        ]
        return lambda request: [
            found for part in parts for found in self._two_encoder(part, request)
        ]

    def _one_encoder(self, old_side: OldSide, request: Request) -> list[list[Match]]:
        found = self._search(self._index, old_side.search_query, request, lacks=self.stored.name)
        return [_rescored(matches, old_side) for matches in found]

    def _two_encoder(self, old_side: OldSide, request: Request) -> list[list[Match]]:
        """The k best by both views.

        Candidates are the best of either view; all are rescored from the stored vectors. The
        combined score rises with both views, so nothing outside the two lists scores above
        the combination of their last entries (the threshold algorithm, Fagin, Lotem and Naor
        2003, section 4). An exact search goes deeper until the k-th result passes that bound.
        """
        assert old_side.old_query is not None
        depth = over_fetch(request.k)
        while True:
            deep = replace(request, k=depth)
            lacks = self.stored.name
            mapped = self._search(self._index, old_side.search_query, deep, lacks=lacks)
            old = self._search(self.source, old_side.old_query, deep, lacks=lacks)
            found = self._rescore(old_side, [*mapped, *old], request.k)
            bounds = _bounds(old_side, mapped, old, depth)
            if not request.exact or _all_settled(found, bounds, request.k):
                return found
            depth *= 4

    def _rescore(
        self, old_side: OldSide, lists: Sequence[Sequence[Match]], k: int
    ) -> list[list[Match]]:
        """The k best of all candidates for each query, by :meth:`OldSide.scores`."""
        ids: list[Id] = sorted({match.id for found in lists for match in found}, key=id_order)
        names = [self.source.name] + ([self.mapped.name] if self.mapped else [])
        items = [
            item
            for item in self.store.get(ids, vectors=names)
            if item is not None and all(name in item.vectors for name in names)
        ]
        if not items:
            return [[] for _ in old_side.search_query]
        scores = self._scores(old_side, items)
        ranked = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        return [
            [Match(items[row].id, items[row].version, float(line[row])) for row in best]
            for line, best in zip(scores, ranked, strict=True)
        ]

    def _scores(self, old_side: OldSide, items: Sequence[Item]) -> FloatArray:
        """Scores ``(q, n)``; the same for items of equal vectors, so that they tie."""
        rows = np.stack([self._views(item) for item in items])
        distinct, place = np.unique(rows, axis=0, return_inverse=True)
        old = distinct[:, : self.source.dim]
        mapped = distinct[:, self.source.dim :] if self.mapped else None
        return old_side.scores(old, mapped)[:, place.reshape(-1)]

    def _views(self, item: Item) -> FloatArray:
        names = [self.source.name] + ([self.mapped.name] if self.mapped else [])
        return np.concatenate([item.vectors[name] for name in names])

    @property
    def _index(self) -> Space:
        """The space that the map's queries search on the old side."""
        return self.mapped or self.source

    def _search(
        self, space: Space, queries: FloatArray, request: Request, lacks: str | None
    ) -> list[list[Match]]:
        return self.store.search(
            space.name,
            queries,
            request.k,
            lacks=lacks,
            filter=request.filter,
            exact=request.exact,
        )


def over_fetch(k: int) -> int:
    """How many candidates each view brings to a two-encoder search at first."""
    return max(4 * k, 100)


def _shortage(depth: int, k: int) -> Callable[[Sequence[Match], Sequence[Match]], int]:
    def shortage(old: Sequence[Match], new: Sequence[Match]) -> int:
        if len(old) < depth:
            return 0
        return max(0, k - (len(old) - moved_meanwhile(old, new)))

    return shortage


def _rescored(matches: Sequence[Match], old_side: OldSide) -> list[Match]:
    scores = old_side.calibrated(np.array([match.score for match in matches], dtype=np.float32))
    return [
        Match(match.id, match.version, float(score))
        for match, score in zip(matches, scores, strict=True)
    ]


def _parts(queries: int) -> list[slice]:
    return [slice(at, at + _QUERIES_TOGETHER) for at in range(0, queries, _QUERIES_TOGETHER)]


def _bounds(
    old_side: OldSide, mapped: Sequence[Sequence[Match]], old: Sequence[Sequence[Match]], depth: int
) -> list[float]:
    """For each query, what an item outside both lists can score at most."""
    full = [
        len(first) == depth and len(second) == depth
        for first, second in zip(mapped, old, strict=True)
    ]
    if not any(full):
        return [-np.inf] * len(full)
    last = [
        np.array([[found[-1].score if found else 0.0] for found in lists], dtype=np.float32)
        for lists in (mapped, old)
    ]
    combined = old_side.combined(*last)[:, 0]
    return [float(bound) if whole else -np.inf for bound, whole in zip(combined, full, strict=True)]


def _all_settled(found: Sequence[Sequence[Match]], bounds: Sequence[float], k: int) -> bool:
    return all(
        bound == -np.inf or (len(matches) >= k and matches[k - 1].score > bound + _ROUNDING)
        for matches, bound in zip(found, bounds, strict=True)
    )
