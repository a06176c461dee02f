"""Searching with both encoders: candidates of every view, rescored from their stored vectors.

An item's side is what it is when its vectors are read, in one read for all of them, so it is
on exactly one. Of the three views, the old one is of all items that hold an old vector; the
mapped one of items not yet backfilled; the new one of those that are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from crossfade.embeddings import FloatArray, Space
from crossfade.gallery.hubs import Hubs
from crossfade.gallery.merge import Candidate, HitSide
from crossfade.gallery.request import Request, closest
from crossfade.stores import Id, Item, Match, Store, id_order
from crossfade.upgrade import MOST_RAISED, OldSide

__all__ = ["ROUNDING", "TwoViews", "over_fetch", "parts"]

ROUNDING = 1e-5
"""Two ways to compute one inner product in float32 differ by less."""
_QUERIES_TOGETHER = 32
"""Queries whose candidates are rescored together; bounds the matrix of scores."""


@dataclass(frozen=True, eq=False)
class _Lists:
    """The best of each view, for each query."""

    mapped: Sequence[Sequence[Match]]
    old: Sequence[Sequence[Match]]
    new: Sequence[Sequence[Match]]

    def ids(self) -> list[Id]:
        return _ids((self.mapped, self.old, self.new))


@dataclass(frozen=True, eq=False)
class TwoViews:
    """A gallery's sides as both models see them.

    Attributes:
        source: the space of old vectors. stored: of new ones. mapped: of forward-mapped old
            vectors, for upgrades on the items' side.
    """

    store: Store
    source: Space
    stored: Space
    mapped: Space | None
    hubs: Hubs

    def search(self, queries: OldSide, request: Request, coverage: float) -> list[list[Candidate]]:
        """The k best of both sides by both views.

        All scores rise with every view, so nothing outside the lists scores above the
        combination of their last entries (the threshold algorithm, Fagin, Lotem and Naor
        2003, section 4). An exact search goes deeper until the k-th result passes that bound.
        """
        return [
            found for part in parts(queries) for found in self._search_part(part, request, coverage)
        ]

    def waiting(self, queries: OldSide, request: Request) -> list[list[Candidate]]:
        """The k best not yet backfilled items, of the best of either view among those."""
        deeper, lacks = replace(request, k=over_fetch(request.k)), self.stored.name
        found: list[list[Candidate]] = []
        for part in parts(queries):
            views = (self._mapped_view(part, deeper), self._old_view(part, deeper, lacks))
            # Their scores don't depend on the coverage.
            found += self._rescore(part, _ids(views), request.k, 1.0, only="old")
        return found

    def backfilled(
        self, queries: OldSide, request: Request, coverage: float
    ) -> list[list[Candidate]]:
        """The k best backfilled items by the new view, best first by both."""
        found: list[list[Candidate]] = []
        for part in parts(queries):
            ids = _ids([self._new_view(part, request)])
            found += self._rescore(part, ids, request.k, coverage, only="new")
        return found

    def _search_part(
        self, queries: OldSide, request: Request, coverage: float
    ) -> list[list[Candidate]]:
        depth = over_fetch(request.k)
        while True:
            lists = self._lists(queries, replace(request, k=depth))
            # Counts may be a moment old; that nothing is left to move is seen here.
            left = request.filter is not None or any(lists.mapped)
            at = coverage if left else 1.0
            found = self._rescore(queries, lists.ids(), request.k, at)
            bounds = _bounds(queries, lists, depth, at)
            if not request.exact or _all_settled(found, bounds, request.k):
                return found
            depth *= 4

    def _lists(self, queries: OldSide, request: Request) -> _Lists:
        # The new side last: an item that moves meanwhile is then seen twice, not never.
        return _Lists(
            mapped=self._mapped_view(queries, request),
            old=self._old_view(queries, request),
            new=self._new_view(queries, request),
        )

    def _mapped_view(self, queries: OldSide, request: Request) -> list[list[Match]]:
        index, lacks = self.mapped or self.source, self.stored.name
        return closest(self.store, index, queries.search_query, request, lacks)

    def _old_view(
        self, queries: OldSide, request: Request, lacks: str | None = None
    ) -> list[list[Match]]:
        return closest(self.store, self.source, _old_query(queries), request, lacks)

    def _new_view(self, queries: OldSide, request: Request) -> list[list[Match]]:
        return closest(self.store, self.stored, queries.stored_query, request)

    def _rescore(
        self,
        queries: OldSide,
        ids: Sequence[Id],
        k: int,
        coverage: float,
        only: HitSide | None = None,
    ) -> list[list[Candidate]]:
        """The k best of all candidates for each query, or of those on one side only."""
        scored = [
            group for group in self._scored(queries, ids, coverage) if only in (None, group[0])
        ]
        if not scored:
            return [[] for _ in queries.search_query]
        items = [item for _, group, _ in scored for item in group]
        sides = [side for side, group, _ in scored for _ in group]
        scores = np.concatenate([values for _, _, values in scored], axis=1)
        by_id = sorted(range(len(items)), key=lambda row: id_order(items[row].id))
        ranked = np.argsort(-scores[:, by_id], axis=1, kind="stable")[:, :k]
        return [
            [
                Candidate(items[row].id, items[row].version, float(line[row]), sides[row])
                for row in (by_id[place] for place in best)
            ]
            for line, best in zip(scores, ranked, strict=True)
        ]

    def _scored(
        self, queries: OldSide, ids: Sequence[Id], coverage: float
    ) -> Iterator[tuple[HitSide, list[Item], FloatArray]]:
        """Items by side, with their scores ``(q, n)``."""
        names = [space.name for space in (self.source, self.stored, self.mapped) if space]
        present = [item for item in self.store.get(ids, vectors=names) if item is not None]
        old, new = self.source.name, self.stored.name
        mapped = None if self.mapped is None else self.mapped.name
        both = [item for item in present if new in item.vectors and old in item.vectors]
        alone = [item for item in present if new in item.vectors and old not in item.vectors]
        waiting = [
            item
            for item in present
            if new not in item.vectors and {old, mapped or old} <= item.vectors.keys()
        ]
        if moved := both + alone:
            # One product for both kinds, or items of one new vector would not tie at coverage 1.
            scores = _distinct(moved, (new,), lambda rows: queries.stored_query @ rows.T)
            if queries.hub_share(coverage) > 0.0:
                scores = queries.lowered(scores, self._hubs_of(queries, moved), coverage)
            if both:
                by_old = _distinct(both, (old,), lambda rows: _old_query(queries) @ rows.T)
                mixed = queries.backfilled(scores[:, : len(both)], by_old, coverage)
                scores = np.concatenate([mixed, scores[:, len(both) :]], axis=1)
            yield "new", moved, scores
        if waiting:
            views = (old,) if mapped is None else (old, mapped)
            yield "old", waiting, _distinct(waiting, views, queries.scores)

    def _hubs_of(self, queries: OldSide, items: Sequence[Item]) -> NDArray[np.float64]:
        assert queries.upgrade.offset is not None
        return self.hubs.of(items, queries.upgrade.offset)


def _ids(views: Iterable[Sequence[Sequence[Match]]]) -> list[Id]:
    found = {match.id for view in views for matches in view for match in matches}
    return sorted(found, key=id_order)


def over_fetch(k: int) -> int:
    """How many candidates each view brings to a two-encoder search at first."""
    return max(4 * k, 100)


def parts(queries: OldSide) -> Iterator[OldSide]:
    """Some queries after the others."""
    for start in range(0, len(queries.search_query), _QUERIES_TOGETHER):
        yield queries.of(slice(start, start + _QUERIES_TOGETHER))


def _old_query(queries: OldSide) -> FloatArray:
    assert queries.old_query is not None
    return queries.old_query


def _distinct(
    items: Sequence[Item], spaces: Sequence[str], score: Callable[..., FloatArray]
) -> FloatArray:
    """Scores ``(q, n)``; the same for items of equal vectors, so that they tie."""
    views = [np.stack([item.vectors[name] for item in items]) for name in spaces]
    _, first, place = np.unique(
        np.concatenate(views, axis=1), axis=0, return_index=True, return_inverse=True
    )
    return score(*(view[first] for view in views))[:, place.reshape(-1)]


def _bounds(queries: OldSide, lists: _Lists, depth: int, coverage: float) -> FloatArray:
    """For each query, what an item outside the lists can score at most, ``(q,)``."""
    mapped, old, new = (_last(view, depth) for view in (lists.mapped, lists.old, lists.new))
    new = new + np.float32(MOST_RAISED * queries.hub_share(coverage))
    waiting = np.where(
        np.isinf(mapped) | np.isinf(old), -np.inf, queries.combined(_finite(mapped), _finite(old))
    )
    moved = np.where(
        np.isinf(new) | np.isinf(old),
        -np.inf,
        queries.backfilled(_finite(new), _finite(old), coverage),
    )
    # An item without an old vector scores by its new one alone.
    bounds: FloatArray = np.maximum(np.maximum(waiting, moved), new)[:, 0]
    return bounds


def _last(lists: Sequence[Sequence[Match]], depth: int) -> FloatArray:
    """The lowest score of each list ``(q, 1)``; minus infinity for one that holds all items."""
    last = [[found[-1].score if len(found) == depth else -np.inf] for found in lists]
    return np.array(last, dtype=np.float32).reshape(len(lists), 1)


def _finite(scores: FloatArray) -> FloatArray:
    return np.where(np.isinf(scores), np.float32(0.0), scores)


def _all_settled(found: Sequence[Sequence[Candidate]], bounds: FloatArray, k: int) -> bool:
    return all(
        bound == -np.inf or (len(hits) >= k and hits[k - 1].score > bound + ROUNDING)
        for hits, bound in zip(found, bounds, strict=True)
    )
