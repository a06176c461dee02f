"""Fitting the forward map again on the items that hold both vectors, as a backfill goes on.

Every backfilled item is a pair of the gallery itself, and pairs that are like the items still
to be mapped are what a map needs most. A ridge is determined by the moments of its pairs, so
the artifact carries those, and the items' own are added to them. Items that were fitted on
already must not count twice (a map that has seen an item many times over bends to it), so the
artifact carries a mark of each pair's old vector as well.

When a map is fitted again: at some coverages (:data:`MILESTONES`), few, since every new map
rewrites the mapped vectors of all items not yet backfilled; and only if the number fitted on
has grown by a twentieth since the last time.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from crossfade.embeddings import FloatArray
from crossfade.errors import InvalidInput
from crossfade.upgrade.linear_maps import turned_ridge_map
from crossfade.upgrade.moments import Moments
from crossfade.upgrade.transform import Transform

__all__ = ["MILESTONES", "Refit", "milestone_at", "sample_mask", "share_to_fit"]

MILESTONES = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7)
"""Coverages at which the map is fitted again."""
_LEAST_GROWTH = 0.05
_MOST_ITEMS = 50_000
"""Items fitted on at once; more add nothing to a linear map but reading time."""
_MARK_BITS = 64
_MARK_SEED = 0x6372_6F73


@dataclass(frozen=True, eq=False)
class Refit:
    """What it takes to fit a ridge again on its pairs and more.

    Attributes:
        moments: of the pairs fitted on, x = old, y = as stored on the new side.
        marks: ``(m,)`` uint64, sorted: marks of their old vectors.
        penalty: of the ridge; None follows the number of pairs.
        shares_follow: the two-encoder shares follow the number of pairs too.
        rotation_share: how much of a rotation is in the map, 0 to 1.
    """

    moments: Moments
    marks: NDArray[np.uint64]
    penalty: float | None = None
    shares_follow: bool = True
    rotation_share: float = 0.0

    def __post_init__(self) -> None:
        d_x, d_y = len(self.moments.mean_x), len(self.moments.mean_y)
        shapes = (self.moments.xx.shape, self.moments.xy.shape)
        if shapes != ((d_x, d_x), (d_x, d_y)) or self.moments.n < 1:
            raise InvalidInput(f"moments of {d_x} and {d_y} dimensions have shapes {shapes}")

    def fresh(self, old: FloatArray) -> NDArray[np.bool_]:
        """Which of the old vectors ``(n, d_old)`` were not among the pairs fitted on.

        Decided by 64 signs of fixed random projections about the pairs' mean: a store that
        rounds a vector's last digits does not change them, and of two items that differ they
        agree for near-duplicates alone, which a map needs no second time.
        """
        return ~np.isin(self.marks_of(old), self.marks)

    def marks_of(self, old: FloatArray) -> NDArray[np.uint64]:
        """A mark ``(n,)`` of each old vector ``(n, d_old)``."""
        above = (old.astype(np.float64) - self.moments.mean_x) @ self._directions > 0
        return np.packbits(above, axis=1).view(np.uint64)[:, 0]

    def has_grown(self, fitted: int, extra: int) -> bool:
        """Whether ``extra`` fresh items are enough to replace a map fitted on ``fitted``."""
        return self.moments.n + extra >= (1 + _LEAST_GROWTH) * fitted

    def forward(self, extra: Moments) -> Transform:
        """The map of the pairs and the extra items together."""
        moments = self.moments + extra
        return Transform(turned_ridge_map(moments, self.penalty, self.rotation_share))

    @cached_property
    def _directions(self) -> NDArray[np.float64]:
        rng = np.random.default_rng(_MARK_SEED)
        return rng.standard_normal((len(self.moments.mean_x), _MARK_BITS))


def milestone_at(coverage: float) -> float:
    """The highest milestone that a coverage has reached, 0 below the first."""
    return max((at for at in MILESTONES if at <= coverage), default=0.0)


def share_to_fit(items: int) -> float:
    """Which share of so many backfilled items is read to fit on, 0 to 1."""
    return min(1.0, _MOST_ITEMS / max(items, 1))


def sample_mask(ids: Sequence[int | str], share: float) -> NDArray[np.bool_]:
    """A share of items, always the same ones: by a hash of their ids."""
    if share >= 1.0:
        return np.ones(len(ids), dtype=np.bool_)
    limit = math.floor(share * 2.0**64)
    return np.array([_hash(id) < limit for id in ids], dtype=np.bool_)


def _hash(id: int | str) -> int:
    digest = hashlib.blake2b(f"{type(id).__name__}:{id}".encode(), digest_size=8)
    return int.from_bytes(digest.digest(), "big")
