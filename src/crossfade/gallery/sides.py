"""Searching the two sides of a gallery.

The old side is always searched first: an item that the backfill moves between the two searches
is then seen twice, and the merge keeps one, rather than never.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from crossfade.embeddings import FloatArray, Space
from crossfade.gallery.coverage import CoverageGauge
from crossfade.gallery.hubs import Hubs
from crossfade.gallery.merge import Candidate, Found, merge, moved_meanwhile
from crossfade.gallery.request import Request, closest
from crossfade.gallery.two_views import ROUNDING, TwoViews, over_fetch, parts
from crossfade.stores import Id, Match, Store, id_order
from crossfade.upgrade import MOST_RAISED, OldSide, Upgrade

__all__ = ["TwoSides"]

_MOST_DEEPENINGS = 8


@dataclass(frozen=True, eq=False)
class TwoSides:
    """A gallery's sides.

    Attributes:
        source: the space of old vectors. stored: of new ones.
        mapped: of forward-mapped old vectors, for upgrades on the items' side.
        hubs: of backfilled items. gauge: of the coverage.
    """

    store: Store
    source: Space
    stored: Space
    mapped: Space | None
    hubs: Hubs
    gauge: CoverageGauge

    @classmethod
    def of(cls, store: Store, upgrade: Upgrade) -> TwoSides:
        """Those of a gallery that an upgrade was started on."""
        stored = upgrade.stored
        return cls(
            store,
            upgrade.source,
            stored,
            upgrade.mapped,
            Hubs(stored.name),
            CoverageGauge(store, stored.name),
        )

    def coverage_for(self, queries: OldSide) -> float:
        """The coverage as their scores need it."""
        return self.gauge.read() if queries.depends_on_coverage else 1.0

    @property
    def _views(self) -> TwoViews:
        return TwoViews(self.store, self.source, self.stored, self.mapped, self.hubs)

    def search_new(self, queries: FloatArray, request: Request) -> list[list[Match]]:
        """The new side alone; ``queries`` are ``(q, d_new)`` of the stored space."""
        return closest(self.store, self.stored, queries, request)

    def search_old(self, queries: FloatArray, request: Request) -> list[list[Match]]:
        """All items that hold an old vector, as the old system would; ``(q, d_old)``."""
        return closest(self.store, self.source, queries, request)

    def search_with_both_encoders(
        self, queries: OldSide, request: Request, coverage: float
    ) -> list[list[Candidate]]:
        """Both sides merged, each item scored by both models."""
        return self._views.search(queries, request, coverage)

    def waiting(self, queries: OldSide, request: Request) -> list[list[Candidate]]:
        """The k best not yet backfilled items of each query, best first.

        By both models if the queries are: the best then of ``over_fetch(k)`` candidates of each
        view, which may miss one that neither view has among them.
        """
        if queries.two_encoder is not None:
            return self._views.waiting(queries, request)
        return [merge(found, (), request.k) for found in self._old_side(queries, request)]

    def places(
        self,
        waiting: Sequence[Sequence[Candidate]],
        queries: OldSide,
        request: Request,
        coverage: float,
    ) -> list[dict[Id, int]]:
        """Where :meth:`waiting` items are in the answer of their query: 1 for the best.

        No more than ``over_fetch(k)`` backfilled items are counted: places beyond are too high.
        """
        deeper = replace(request, k=over_fetch(request.k))
        moved: Sequence[Sequence[Found]] = (
            self._new_side(queries, deeper, coverage)
            if queries.two_encoder is None
            else self._views.backfilled(queries, deeper, coverage)
        )
        merged = (
            merge(old, new, len(old) + len(new)) for old, new in zip(waiting, moved, strict=True)
        )
        return [
            {one.id: place for place, one in enumerate(listed, start=1) if one.side == "old"}
            for listed in merged
        ]

    def search_both(
        self, queries: OldSide, request: Request, coverage: float = 1.0
    ) -> list[list[Candidate]]:
        """Both sides merged, each item scored by the view of its side.

        If so many items moved meanwhile that the old list may have lost some of its k best,
        the searches are made again, deeper.
        """
        depth = request.k
        for _ in range(_MOST_DEEPENINGS):
            old = self._old_side(queries, replace(request, k=depth))
            # Counts may be a moment old; that nothing is left to move is seen here.
            left = request.filter is not None or any(old)
            new = self._new_side(queries, request, coverage if left else 1.0)
            short = max(map(_shortage(depth, request.k), old, new), default=0)
            if not short:
                break
            depth += 2 * short
        return [merge(first, second, request.k) for first, second in zip(old, new, strict=True)]

    def _new_side(self, queries: OldSide, request: Request, coverage: float) -> list[list[Match]]:
        """The k best of the new side, hubs lowered.

        An item outside the lists scores no more than the last of its list, raised as far as any
        is: an exact search goes deeper until the k-th result passes that bound.
        """
        if queries.hub_share(coverage) <= 0.0:
            return self.search_new(queries.stored_query, request)
        return [
            best
            for part in parts(queries)
            for best in self._lowered_new_side(part, request, coverage)
        ]

    def _lowered_new_side(
        self, queries: OldSide, request: Request, coverage: float
    ) -> list[list[Match]]:
        share = queries.hub_share(coverage)
        depth = over_fetch(request.k)
        while True:
            found = self.search_new(queries.stored_query, replace(request, k=depth))
            lowered = self._lowered(queries, found, coverage)
            settled = all(
                len(listed) < depth
                or best[request.k - 1].score > listed[-1].score + share * MOST_RAISED + ROUNDING
                for listed, best in zip(found, lowered, strict=True)
            )
            if settled or not request.exact:
                return [best[: request.k] for best in lowered]
            depth *= 4

    def _lowered(
        self, queries: OldSide, found: Sequence[Sequence[Match]], coverage: float
    ) -> list[list[Match]]:
        """The same matches, best first, by their lowered scores."""
        offset, stored = queries.upgrade.offset, self.stored.name
        assert offset is not None
        ids = sorted({match.id for listed in found for match in listed}, key=id_order)
        # One that is gone meanwhile, or has lost its vector, is found out with the payloads.
        items = [
            item
            for item in self.store.get(ids, vectors=[stored])
            if item is not None and stored in item.vectors
        ]
        hubs = dict(zip((item.id for item in items), self.hubs.of(items, offset), strict=True))
        return [
            sorted(
                _rescored_by(
                    listed,
                    queries.lowered(_scores(listed), _numbers(listed, hubs), coverage),
                ),
                key=lambda match: (-match.score, id_order(match.id)),
            )
            for listed in found
        ]

    def _old_side(self, queries: OldSide, request: Request) -> list[list[Match]]:
        index = self.mapped or self.source
        found = closest(self.store, index, queries.search_query, request, lacks=self.stored.name)
        return [_rescored(matches, queries) for matches in found]


def _shortage(depth: int, k: int) -> Callable[[Sequence[Match], Sequence[Match]], int]:
    def shortage(old: Sequence[Match], new: Sequence[Match]) -> int:
        if len(old) < depth:
            return 0
        return max(0, k - (len(old) - moved_meanwhile(old, new)))

    return shortage


def _rescored(matches: Sequence[Match], queries: OldSide) -> list[Match]:
    return _rescored_by(matches, queries.calibrated(_scores(matches)))


def _rescored_by(matches: Sequence[Match], scores: FloatArray) -> list[Match]:
    return [
        Match(match.id, match.version, float(score))
        for match, score in zip(matches, scores, strict=True)
    ]


def _scores(matches: Sequence[Match]) -> FloatArray:
    return np.array([match.score for match in matches], dtype=np.float32)


def _numbers(matches: Sequence[Match], hubs: Mapping[Id, float]) -> NDArray[np.float64]:
    return np.array([hubs.get(match.id, 0.0) for match in matches], dtype=np.float64)
