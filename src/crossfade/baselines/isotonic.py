"""Isotonic calibration: old-side scores onto new-side ones by the best rising step function."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from crossfade.embeddings import Pairs
from crossfade.errors import InvalidInput
from crossfade.upgrade import Calibration, Upgrade

__all__ = ["isotonic_calibration", "pool_adjacent_violators", "with_isotonic_calibration"]

_QUERIES, _ITEMS = 200, 400
# Where the fit is flat it still rises by this share of its overall slope.
_LEAST_SLOPE = 1e-2
_ROUNDING = 1e-6
_Values = NDArray[np.float64]


def with_isotonic_calibration(upgrade: Upgrade, pairs: Pairs, seed: int = 0) -> Upgrade:
    """The same upgrade, its old-side scores calibrated on pairs, to be merged raw.

    What the tool rebasis (2026) does to a bridge's scores before its merge: for pairs of items
    of which both vectors are known, the old-side score of one as the query against the other
    is set against the new model's score of the same two. Difference: the fit rises strictly,
    see :func:`isotonic_calibration`, so no two items of the old side ever tie or change places.

    Args:
        pairs: items that the maps were fitted on, or others of the same kind.

    Raises:
        InvalidInput: fewer than three pairs, or old-side scores that are all the same.
    """
    if len(pairs) < 3:
        raise InvalidInput(f"isotonic calibration needs at least 3 pairs, got {len(pairs)}")
    order = np.random.default_rng(seed).permutation(len(pairs))[:_ITEMS]
    sample = pairs.subset(np.sort(order))
    queries = np.arange(min(_QUERIES, len(sample)))
    old, new = sample.old_rows(), sample.new_rows()
    plain = replace(upgrade, calibration=Calibration())
    side = plain.old_side(new[queries], old[queries])
    x = side.scores(old, plain.map_items(old))
    stored = plain.store_new(new)
    y = stored[queries] @ stored.T
    others = queries[:, None] != np.arange(len(sample))
    return replace(
        upgrade,
        method=f"{upgrade.method}+isotonic",
        calibration=isotonic_calibration(x[others], y[others]),
    )


def isotonic_calibration(x: NDArray[np.floating], y: NDArray[np.floating]) -> Calibration:
    """The best rising step function of y on x, made strictly rising.

    Isotonic regression (Ayer et al., 1955) is flat on each of its blocks, and flat steps are
    ties, which break the order within the old side. So the curve runs straight between the
    centres of the blocks, and goes on beyond the first and the last with its overall slope.

    Args:
        x, y: ``(m,)`` old-side scores and what they should have been.

    Raises:
        InvalidInput: all x are the same.
    """
    values, place = np.unique(np.asarray(x, dtype=np.float64), return_inverse=True)
    if values[-1] - values[0] < _ROUNDING:
        raise InvalidInput("old-side scores are all the same, nothing can be calibrated by them")
    weight = np.bincount(place).astype(np.float64)
    mean = np.bincount(place, weights=np.asarray(y, dtype=np.float64)) / weight
    starts, levels = pool_adjacent_violators(mean, weight)
    centres = np.add.reduceat(values * weight, starts) / np.add.reduceat(weight, starts)
    return _strictly_rising(centres, levels, width=float(values[-1] - values[0]))


def pool_adjacent_violators(y: _Values, weight: _Values) -> tuple[NDArray[np.intp], _Values]:
    """The rising sequence of least weighted squared error, as blocks.

    Args:
        y, weight: ``(m,)`` values in the order of x, weights above 0.

    Returns:
        The first index of each block, and the block's level; levels rise strictly.
    """
    starts: list[int] = []
    levels: list[float] = []
    weights: list[float] = []
    for index, (value, mass) in enumerate(zip(y.tolist(), weight.tolist(), strict=True)):
        start = index
        while levels and levels[-1] >= value:
            total = mass + weights[-1]
            value = (value * mass + levels.pop() * weights[-1]) / total
            mass, start = total, starts.pop()
            weights.pop()
        starts.append(start)
        levels.append(value)
        weights.append(mass)
    return np.array(starts, dtype=np.intp), np.array(levels)


def _strictly_rising(centres: _Values, levels: _Values, width: float) -> Calibration:
    slope = (levels[-1] - levels[0]) / (centres[-1] - centres[0]) if len(levels) > 1 else 0.0
    slope = max(slope, _LEAST_SLOPE)
    x = np.concatenate([[centres[0] - width], centres, [centres[-1] + width]])
    y = np.concatenate([[levels[0] - slope * width], levels, [levels[-1] + slope * width]])
    # Levels that differ by rounding alone would be ties again.
    keep = [0]
    for knot in range(1, len(x)):
        if x[knot] > x[keep[-1]] and y[knot] - y[keep[-1]] > _LEAST_SLOPE * slope * (
            x[knot] - x[keep[-1]]
        ):
            keep.append(knot)
    return Calibration(tuple(x[keep].tolist()), tuple(y[keep].tolist()))
