"""Query interpolation: the old query and the mapped new query as one. Needs two encoders."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from crossfade.embeddings import FloatArray, Pairs
from crossfade.fit.moments import pair_moments
from crossfade.fit.settings import FitSettings, ProgressCallback
from crossfade.upgrade import Interpolation, Side, Transform, Upgrade, ridge_map

__all__ = ["fit_slerp_adaptive", "fit_slerp_fixed"]

_HALF_WAY = 0.5
_BIASES = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)
_SLOPES = (-4.0, -2.0, 0.0, 2.0, 4.0)
_FEWEST_TO_CHOOSE = 40
_MOST_ITEMS, _MOST_QUERIES = 2_000, 400
_NEIGHBOURS = 10


def fit_slerp_fixed(
    pairs: Pairs, settings: FitSettings, progress: ProgressCallback | None = None
) -> Upgrade:
    """The old side is searched with ``slerp(q_old, psi(q_new), 1/2)``.

    *SLERP compatibility* (2026), the fixed form; psi is the reverse ridge here. Scores of the
    old side are plain cosines in the old space, merged as they are.
    """
    return _upgrade("slerp_fixed", pairs, _psi(pairs, settings), Interpolation.fixed(_HALF_WAY))


def fit_slerp_adaptive(
    pairs: Pairs, settings: FitSettings, progress: ProgressCallback | None = None
) -> Upgrade:
    """The same with ``w = sigmoid(b + s cos(q_old, psi(q_new)))`` for each query.

    *SLERP compatibility* (2026). How the paper finds b and s is not known here: we take from a
    grid the two that find, in the old space, most of the new model's ten nearest items of an
    item, on a fifth of the pairs which psi has not seen. With fewer than 40 pairs b = s = 0,
    which is ``slerp_fixed``.
    """
    order = np.random.default_rng([settings.seed, 11]).permutation(len(pairs))
    kept = min(_MOST_ITEMS, len(pairs) // 5)
    chosen = Interpolation(0.0)
    if len(pairs) >= _FEWEST_TO_CHOOSE:
        psi = _psi(pairs.subset(np.sort(order[kept:])), settings)
        chosen = _best(psi, pairs.subset(np.sort(order[:kept])))
    return _upgrade("slerp_adaptive", pairs, _psi(pairs, settings), chosen)


def _psi(pairs: Pairs, settings: FitSettings) -> Transform:
    return Transform(ridge_map(pair_moments(pairs, forward=False), settings.ridge_penalty))


def _upgrade(method: str, pairs: Pairs, psi: Transform, between: Interpolation) -> Upgrade:
    return Upgrade(
        method=method,
        source=pairs.source,
        target=pairs.target,
        side=Side.QUERY,
        psi=psi,
        interpolation=between,
    )


def _best(psi: Transform, judged: Pairs) -> Interpolation:
    """The bias and slope that find most of the new model's nearest items in the old space."""
    old, new = judged.old_rows(), judged.new_rows()
    rows = np.arange(min(_MOST_QUERIES, len(old)))
    wanted = _nearest(new[rows], new)
    mapped = psi(new[rows])

    def found(between: Interpolation) -> float:
        listed = _nearest(between(old[rows], mapped), old)
        return float(np.mean([np.isin(*both).mean() for both in zip(listed, wanted, strict=True)]))

    # Gentle slopes first: of two that find as much the gentler one is kept.
    grid = sorted(itertools.product(_SLOPES, _BIASES), key=lambda pair: (abs(pair[0]), pair))
    return max((Interpolation(bias, slope) for slope, bias in grid), key=found)


def _nearest(queries: FloatArray, items: FloatArray) -> NDArray[np.intp]:
    """The nearest items of each query, which is the item of its row, its own left out."""
    scores = queries @ items.T
    rows = np.arange(len(queries))
    scores[rows, rows] = -np.inf
    count = min(_NEIGHBOURS, len(items) - 1)
    return np.argpartition(-scores, count - 1, axis=1)[:, :count]
