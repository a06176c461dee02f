"""How many items of a gallery something was fitted on, and how many queries it learned from.

Figures are higher for those than for others: they are right for a gallery of just such items.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from crossfade.embeddings import FloatArray, Pairs
from crossfade.evaluation.relevance import own_columns
from crossfade.upgrade import Side, Upgrade

__all__ = [
    "count_by_old",
    "count_fitted",
    "count_logged",
    "count_shared",
    "overlap_sentence",
]

_BLOCK_ROWS, _BLOCK_QUERIES = 8_192, 512
_SAME_COSINE = 0.999
"""Of one vector in two exports. Ids that are row numbers are the same for other items too."""


def count_by_old(items: Pairs, which: Callable[[FloatArray], NDArray[np.bool_]]) -> int:
    """Of how many items something holds that their old vectors ``(n, d_old)`` tell."""
    rows = np.arange(len(items))
    return sum(int(np.count_nonzero(which(items.old_rows(part)))) for part in _blocks(rows))


def count_shared(pairs: Pairs, gallery: Pairs) -> int:
    """How many items of the gallery are among the pairs: of one id and one old vector."""
    if gallery.source.dim != pairs.source.dim:
        return 0  # no evaluation takes them
    place = own_columns(gallery.ids, pairs.ids)
    shared = 0
    for part in _blocks(np.flatnonzero(place >= 0)):
        cosines = np.einsum("ij,ij->i", gallery.old_rows(part), pairs.old_rows(place[part]))
        shared += int(np.count_nonzero(cosines > _SAME_COSINE))
    return shared


def count_fitted(upgrade: Upgrade, gallery: Pairs, pairs: Pairs | None = None) -> int | None:
    """How many items of the gallery the upgrade was fitted on; None if nothing tells.

    Args:
        pairs: that it was fitted on. Without them an upgrade that is fitted again on backfilled
            items knows their old vectors, and takes near-duplicates for one item; no other does.
    """
    if upgrade.side is Side.NONE:
        return 0  # it maps nothing
    if pairs is not None:
        return count_shared(pairs, gallery)
    if (refit := upgrade.refit) is not None:
        return count_by_old(gallery, lambda old: ~refit.fresh(old))
    return None


def count_logged(queries: Pairs, logged: FloatArray) -> int:
    """How many queries are among those of a log, ``(m, d_new)`` unit vectors."""
    nearest = (
        (queries.new_rows(part) @ logged.T).max(axis=1)
        for part in _blocks(np.arange(len(queries)), _BLOCK_QUERIES)
    )
    return sum(int(np.count_nonzero(cosines > _SAME_COSINE)) for cosines in nearest)


def overlap_sentence(shared: int, items: int) -> str:
    """Says so, in one line."""
    return (
        f"{shared:,} of {items:,} gallery items are among the pairs fitted on: figures are higher "
        "than for items that are not"
    )


def _blocks(rows: NDArray[np.intp], size: int = _BLOCK_ROWS) -> Iterator[NDArray[np.intp]]:
    # Galleries on disk may be larger than memory.
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
