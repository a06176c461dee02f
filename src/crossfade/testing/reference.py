"""What a gallery must answer, computed item by item: slow and obvious."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from crossfade.embeddings import FloatArray, unit_rows
from crossfade.stores import Id, id_order
from crossfade.upgrade import Upgrade

__all__ = ["Embedded", "expected_candidates", "expected_ids"]


@dataclass(frozen=True, eq=False)
class Embedded:
    """An item as the reference knows it: its embeddings, as far as given."""

    old: FloatArray | None = None
    new: FloatArray | None = None


def expected_ids(
    upgrade: Upgrade,
    items: Mapping[Id, Embedded],
    query_new: Any,
    query_old: Any,
    k: int,
    mode: str = "one-encoder",
    coverage: float | None = None,
) -> list[list[Id]]:
    """What a search must find, item by item and query by query.

    Args:
        coverage: of the whole gallery, where ``items`` are only those that pass a filter.
    """
    new_queries, old_queries = unit_rows(query_new), unit_rows(query_old)
    found = []
    moved = sum(item.new is not None for item in items.values()) / max(1, len(items))
    coverage = moved if coverage is None else coverage
    for row in range(len(new_queries)):
        queries = new_queries[row : row + 1], old_queries[row : row + 1]
        score = _Scorer(upgrade, *queries, mode, coverage)
        scores = {id: score(item) for id, item in items.items()}
        listed = {id: value for id, value in scores.items() if value is not None}
        found.append(sorted(listed, key=lambda id: (-listed[id], id_order(id)))[:k])
    return found


def expected_candidates(
    upgrade: Upgrade, items: Mapping[Id, Embedded], query_new: Any, query_old: Any | None, n: int
) -> list[Id]:
    """The n best not yet backfilled items of one query: by both models, or without the old one's
    embedding by the mapped view alone."""
    mode = "one-encoder" if query_old is None else "two-encoder"
    side = upgrade.old_side(query_new, query_old, mode)
    scores = {}
    for id, item in items.items():
        if item.new is None and item.old is not None:
            mapped = None if upgrade.mapped is None else upgrade.map_items(item.old)
            scores[id] = float(side.scores(item.old[None], mapped)[0, 0])
    return sorted(scores, key=lambda id: (-scores[id], id_order(id)))[:n]


class _Scorer:
    """One query against one item at a time."""

    def __init__(
        self,
        upgrade: Upgrade,
        query_new: FloatArray,
        query_old: FloatArray,
        mode: str,
        coverage: float,
    ) -> None:
        self._upgrade = upgrade
        self._coverage = coverage
        self._query_old = query_old[0]
        self._query_stored = upgrade.store_new(query_new)[0]
        self._side = None if mode == "old" else upgrade.old_side(query_new, query_old, mode)

    def __call__(self, item: Embedded) -> float | None:
        if self._side is None:
            return None if item.old is None else float(self._query_old @ item.old)
        if item.new is not None:
            stored = self._upgrade.store_new(item.new)
            score = self._query_stored @ stored[0]
            if self._side.hub_share(self._coverage) > 0:
                assert self._upgrade.offset is not None
                hub = self._upgrade.offset.of_new(stored)
                score = self._side.lowered(np.array([[score]]), hub, self._coverage)[0, 0]
            if self._side.two_encoder is None or item.old is None:
                return float(score)
            old_score = self._query_old @ item.old
            views = np.array([[score]]), np.array([[old_score]])
            return float(self._side.backfilled(*views, self._coverage)[0, 0])
        if item.old is None:
            return None
        old = item.old[None, :]
        return float(self._side.scores(old, self._upgrade.map_items(old))[0, 0])
