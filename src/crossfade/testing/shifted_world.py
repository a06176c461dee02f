"""A generated world in which queries are not like items, with a log of some."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crossfade.embeddings import Pairs, Qrels, QueryLog

__all__ = ["ShiftedWorld"]

_DIM_OLD, _DIM_NEW, _ITEMS, _QUERIES = 24, 16, 900, 300
_Rows = NDArray[np.float64]


class ShiftedWorld:
    """Queries lie aside of the items, in a direction that the old model sees badly.

    What a map gets wrong along it makes some items near to every query and others to none, which
    items themselves, asked with, would not show.

    Attributes:
        fit: 450 pairs. gallery: 450 other items.
        queries: 300, each asking for one item of the gallery, which ``qrels`` names.
        log: 300 others, in both spaces, that ask for what is fitted on.
    """

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        aside = np.eye(_DIM_NEW)[0]
        mixing = rng.normal(size=(_DIM_NEW, _DIM_OLD))

        def both(rows: _Rows) -> tuple[_Rows, _Rows]:
            seen = rows + np.outer(rng.normal(scale=1.2, size=len(rows)), aside)
            return seen @ mixing + rng.normal(scale=0.5, size=(len(rows), _DIM_OLD)), rows

        items = rng.normal(size=(_ITEMS, _DIM_NEW))
        asked = items + 2.5 * aside + rng.normal(scale=0.8, size=items.shape)
        pairs, half = Pairs.of(range(_ITEMS), *both(items)), _ITEMS // 2
        self.fit, self.gallery = pairs.subset(range(half)), pairs.subset(range(half, _ITEMS))
        old, new = both(asked)
        self.log = QueryLog(new[:_QUERIES].astype(np.float32), old[:_QUERIES].astype(np.float32))
        rows = np.arange(half, half + _QUERIES)
        self.queries = Pairs.of(rows + 10_000, old[rows], new[rows])
        self.qrels = Qrels({str(row + 10_000): {str(row): 1} for row in rows})
