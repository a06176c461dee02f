"""How much of the exact answer an approximate search finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crossfade.embeddings import FloatArray
from crossfade.stores.base import Match, Store

__all__ = ["Recall", "measure_recall"]


@dataclass(frozen=True)
class Recall:
    """A measured recall, with what it was measured on.

    Attributes:
        recall: the share of the exact results that the approximate search found, 0 to 1.
        k: how many results were asked for.
        queries: how many queries could be judged; those without any result are left out.
        items: how many items held a vector of the space.
        settings: the kind and settings of the index; ``{}`` if there is none.
    """

    recall: float
    k: int
    queries: int
    items: int
    settings: Mapping[str, object]


def measure_recall(store: Store, space: str, queries: FloatArray, k: int) -> Recall:
    """Compare approximate with exact searches of a space as it is now.

    A result counts as found if it is at least as close as the last exact one: of items that tie
    there any will do. Without a result to find the recall is 1.

    Args:
        queries: ``(q, d)`` unit rows.

    Raises:
        SpaceMismatch: an unknown space or queries of another dimension.
        InvalidInput: k below 1.
    """
    exact = store.search(space, queries, k, exact=True)
    approximate = store.search(space, queries, k, exact=False)
    pairs = [(best, found) for best, found in zip(exact, approximate, strict=True) if best]
    wanted = sum(len(best) for best, _ in pairs)
    hits = sum(_hits(best, found) for best, found in pairs)
    return Recall(
        recall=hits / wanted if wanted else 1.0,
        k=k,
        queries=len(pairs),
        items=store.count(has=space),
        settings=dict(store.index_settings(space)),
    )


def _hits(best: Sequence[Match], found: Sequence[Match]) -> int:
    return min(len(best), sum(match.score >= best[-1].score for match in found))
