"""Fitting the forward map again on the items that hold both vectors, as a backfill goes on.

Every backfilled item is a pair of the gallery itself, and pairs that are like the items still
to be mapped are what a map needs most. A ridge is determined by the moments of its pairs, so
the artifact carries those, and the items' own are added to them. A kernel map needs pairs
themselves: the artifact then carries them, and a sample of the items joins. A network, or a kernel
map of more pairs than an artifact carries, stays as it is; what it misses on the items another
kernel map learns, if that is more than noise. Items that were fitted on already must not count
twice (a map that has seen an item many times over bends to it), so the artifact carries a mark of
each pair's old vector as well.

When a map is fitted again: at some coverages (:data:`MILESTONES`), few, since every new map
rewrites the mapped vectors of all items not yet backfilled; and only if the number fitted on
has grown by a twentieth since the last time (of a map that stays: the number of items alone).
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
from crossfade.upgrade.kernel_maps import MOST_LANDMARKS, correcting_kernel, residual_kernel
from crossfade.upgrade.linear_maps import turned_ridge_map
from crossfade.upgrade.moments import Moments
from crossfade.upgrade.transform import Transform

__all__ = [
    "MILESTONES",
    "MOST_CARRIED",
    "Fresh",
    "PairSample",
    "Refit",
    "milestone_at",
    "milestones_after",
]

MILESTONES = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7)
"""Coverages at which the map is fitted again."""
MOST_CARRIED = 20_000
"""Pairs that an artifact carries, to fit a kernel map again on all of them and more."""
_LEAST_GROWTH = 0.05
_FEWEST_ITEMS = 50
"""That tell what a map misses."""
_MOST_ITEMS = 50_000
"""Items fitted on at once; more add nothing to a linear map but reading time."""
_MOST_FOR_KERNEL = 40_000
"""Of them, those that a kernel map is fitted on."""
_MOST_KEPT = 5_000
"""Of them, those by which another map is corrected or taught."""
_MARK_BITS = 64
_MARK_SEED = 0x6372_6F73


@dataclass(frozen=True, eq=False)
class PairSample:
    """Some pairs themselves: ``old`` ``(m, d_old)``, ``new`` ``(m, d_new)`` as stored."""

    old: FloatArray
    new: FloatArray

    def __len__(self) -> int:
        return len(self.old)

    def first(self, most: int) -> PairSample:
        """The first of them; all if they are no more."""
        return PairSample(self.old[:most], self.new[:most])

    def joined(self, other: PairSample) -> PairSample:
        """These and then those."""
        return PairSample(*map(np.concatenate, ((self.old, other.old), (self.new, other.new))))


@dataclass(frozen=True, eq=False)
class Fresh:
    """Backfilled items that were not among the pairs fitted on.

    Attributes:
        moments: of their old and stored vectors.
        sample: some of the items themselves. hashes: ``(m,)`` of their ids.
    """

    moments: Moments
    sample: PairSample
    hashes: NDArray[np.uint64]

    @property
    def n(self) -> int:
        """How many."""
        return self.moments.n

    def drawn(self) -> PairSample:
        """The sample in random order, the same in whatever order the items were read."""
        order = np.argsort(self.hashes, kind="stable")
        return PairSample(self.sample.old[order], self.sample.new[order])

    def __add__(self, other: Fresh) -> Fresh:
        return Fresh(
            self.moments + other.moments,
            self.sample.joined(other.sample),
            np.concatenate([self.hashes, other.hashes]),
        )


@dataclass(frozen=True, eq=False)
class Refit:
    """What it takes to fit a map again on its pairs and more.

    A ridge, a kernel map upon one, or a map that stays as it is and is corrected.

    Attributes:
        moments: of the pairs fitted on, x = old, y = as stored on the new side.
        marks: ``(m,)`` uint64, sorted: marks of their old vectors.
        penalty: of the ridge; None follows the number of pairs.
        shares_follow: the two-encoder shares follow the number of pairs too.
        rotation_share: how much of a rotation is in the ridge, 0 to 1.
        sample: of the pairs, in random order, for a kernel map; None for any other.
        corrects: the map stays, and a kernel map of what it misses on the items is added. Moments
            beside the pairs' means are not needed then.
        landmarks: of a kernel map that stays; those of its correction follow.
    """

    moments: Moments
    marks: NDArray[np.uint64]
    penalty: float | None = None
    shares_follow: bool = True
    rotation_share: float = 0.0
    sample: PairSample | None = None
    corrects: bool = False
    landmarks: int = 0

    def __post_init__(self) -> None:
        d_x, d_y = len(self.moments.mean_x), len(self.moments.mean_y)
        shapes = (self.moments.xx.shape, self.moments.xy.shape)
        if shapes != ((d_x, d_x), (d_x, d_y)) or self.moments.n < 1:
            raise InvalidInput(f"moments of {d_x} and {d_y} dimensions have shapes {shapes}")
        sample = self.sample
        if sample is not None and (
            sample.old.shape != (len(sample), d_x) or sample.new.shape != (len(sample), d_y)
        ):
            raise InvalidInput(
                f"a sample of pairs of shapes {sample.old.shape} and {sample.new.shape}, wanted "
                f"(m, {d_x}) and (m, {d_y})"
            )

    def check(self, forward: Transform | None, d_old: int, d_new: int, *, rho: bool) -> None:
        """Raise InvalidInput unless it fits a forward map of these widths, with or without rho."""
        if forward is None:
            raise InvalidInput("only a forward map can be fitted again")
        if not (self.corrects or (forward.is_closed_form and not rho)):
            raise InvalidInput(
                "only a ridge or kernel map without rho can be fitted again; others are corrected"
            )
        own, kernel = self.landmarks, forward.kernel
        has_own = kernel is not None and own <= len(kernel.landmarks) and not kernel.nugget
        if own and not (own > 0 and self.corrects and has_own):
            raise InvalidInput(
                f"a corrected map of {own} landmarks of its own wants a kernel map of as many, "
                "without nugget"
            )
        widths = (len(self.moments.mean_x), len(self.moments.mean_y))
        if widths != (d_old, d_new):
            raise InvalidInput(
                f"moments of {widths[0]} and {widths[1]} dimensions, wanted {d_old} and {d_new}"
            )

    def gather(
        self, ids: Sequence[int | str], old: FloatArray, new: FloatArray, backfilled: int
    ) -> Fresh | None:
        """What some backfilled items add to a fit; None if there is nothing.

        Args:
            ids: of the items. old: ``(n, d_old)``. new: ``(n, d_new)``, as stored.
            backfilled: how many items are backfilled in all; of many, a share is taken.
        """
        hashes = _hashes(ids)
        taken = np.flatnonzero(hashes < _limit(_MOST_ITEMS, backfilled))
        taken = taken[self.fresh(old[taken])] if len(taken) else taken
        if not len(taken):
            return None
        kept = taken[hashes[taken] < _limit(self._most_kept, backfilled)]
        return Fresh(
            Moments.of(old[taken], new[taken]), PairSample(old[kept], new[kept]), hashes[kept]
        )

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
        if self.corrects:
            before = fitted - self.moments.n
            return extra >= max(_FEWEST_ITEMS, (1 + _LEAST_GROWTH) * before)
        return self.moments.n + extra >= (1 + _LEAST_GROWTH) * fitted

    def forward(self, extra: Fresh, first: Transform) -> Transform | None:
        """The map of the pairs and the extra items together; None if they show nothing new.

        Args:
            first: the map fitted on the pairs alone, or one of those that followed.
        """
        items = extra.drawn()
        if self.corrects:
            if len(items) < _FEWEST_ITEMS:
                return None  # most of what is backfilled was fitted on, and few of the rest drawn
            stays = self.uncorrected(first)
            correction = correcting_kernel(items.old, items.new, stays)
            return None if correction is None else stays.with_kernel(correction)
        moments = self.moments + extra.moments
        skip = turned_ridge_map(moments, self.penalty, self.rotation_share)
        if self.sample is None:
            return Transform(skip)
        both = self.sample.joined(items)
        landmarks = _landmarks(len(self.sample), len(items))
        return Transform(skip, kernel=residual_kernel(both.old, both.new, skip, landmarks))

    def uncorrected(self, present: Transform) -> Transform:
        """What was fitted on the pairs, of a map that stays and may be corrected already."""
        kernel = present.kernel
        if kernel is None or len(kernel.landmarks) == self.landmarks:
            return present
        return present.with_kernel(kernel.first(self.landmarks) if self.landmarks else None)

    @property
    def _most_kept(self) -> int:
        """How many of the items themselves are of use."""
        return _MOST_KEPT if self.sample is None else _MOST_FOR_KERNEL

    @cached_property
    def _directions(self) -> NDArray[np.float64]:
        rng = np.random.default_rng(_MARK_SEED)
        return rng.standard_normal((len(self.moments.mean_x), _MARK_BITS))


def milestone_at(coverage: float) -> float:
    """The highest milestone that a coverage has reached, 0 below the first."""
    return max((at for at in MILESTONES if at <= coverage), default=0.0)


def milestones_after(coverage: float) -> tuple[float, ...]:
    """The milestones that a coverage has not reached."""
    return tuple(at for at in MILESTONES if at > coverage)


def _landmarks(pairs: int, items: int) -> NDArray[np.intp] | None:
    """Rows of pairs and then items, as many of each as their share is; None for all."""
    if pairs + items <= MOST_LANDMARKS:
        return None
    of_pairs = round(MOST_LANDMARKS * pairs / (pairs + items))
    of_items = MOST_LANDMARKS - of_pairs
    return np.concatenate([np.arange(of_pairs), pairs + np.arange(of_items)])


def _limit(most: int, items: int) -> np.uint64 | float:
    """Below it are the hashes of about ``most`` of so many items, always the same ones."""
    return np.uint64(2**64 * most // items) if most < items else math.inf


def _hashes(ids: Sequence[int | str]) -> NDArray[np.uint64]:
    return np.fromiter((_hash(id) for id in ids), dtype=np.uint64, count=len(ids))


def _hash(id: int | str) -> int:
    digest = hashlib.blake2b(f"{type(id).__name__}:{id}".encode(), digest_size=8)
    return int.from_bytes(digest.digest(), "big")
