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
from crossfade.gallery.request import Request, closest
from crossfade.gallery.two_views import TwoViews
from crossfade.stores import Match, Store
from crossfade.upgrade import OldSide

__all__ = ["TwoSides"]

_MOST_DEEPENINGS = 8


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
        return closest(self.store, self.stored, queries, request)

    def search_old(self, queries: FloatArray, request: Request) -> list[list[Match]]:
        """All items that hold an old vector, as the old system would; ``(q, d_old)``."""
        return closest(self.store, self.source, queries, request)

    def search_with_both_encoders(
        self, queries: OldSide, request: Request, coverage: float
    ) -> list[list[Candidate]]:
        """Both sides merged, each item scored by both models."""
        views = TwoViews(self.store, self.source, self.stored, self.mapped)
        return views.search(queries, request, coverage)

    def search_both(self, queries: OldSide, request: Request) -> list[list[Candidate]]:
        """Both sides merged, each item scored by the view of its side.

        If so many items moved meanwhile that the old list may have lost some of its k best,
        the searches are made again, deeper.
        """
        depth = request.k
        for _ in range(_MOST_DEEPENINGS):
            old = self._old_side(queries, replace(request, k=depth))
            new = self.search_new(queries.stored_query, request)
            short = max(map(_shortage(depth, request.k), old, new), default=0)
            if not short:
                break
            depth += 2 * short
        return [merge(first, second, request.k) for first, second in zip(old, new, strict=True)]

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
    scores = queries.calibrated(np.array([match.score for match in matches], dtype=np.float32))
    return [
        Match(match.id, match.version, float(score))
        for match, score in zip(matches, scores, strict=True)
    ]
