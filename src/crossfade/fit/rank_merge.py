"""Distance rank merge: both systems as they are, merged by score. Needs two encoders."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crossfade.embeddings import FloatArray, Pairs
from crossfade.errors import InvalidInput
from crossfade.fit.settings import FitSettings, ProgressCallback
from crossfade.upgrade import Calibration, Side, Upgrade

__all__ = ["fit_rank_merge", "fit_rank_merge_quantile", "matching_quantiles"]

_SAMPLE_ROWS = 2_000
# The upper tail finely: ranking lives there.
_LEVELS = np.concatenate([np.linspace(0.0, 0.9, 10), 1.0 - np.geomspace(0.1, 1e-5, 25)[1:], [1.0]])


def fit_rank_merge(
    pairs: Pairs, settings: FitSettings, progress: ProgressCallback | None = None
) -> Upgrade:
    """The paper's rank merge: raw distances of both systems in one list.

    Seo et al., *Metric Compatible Training for Online Backfilling in Large-Scale Retrieval*,
    WACV 2025 (arXiv 2301.03767), section "Distance rank merge". Nothing is fitted.
    """
    return Upgrade(method="rank_merge", source=pairs.source, target=pairs.target, side=Side.NONE)


def fit_rank_merge_quantile(
    pairs: Pairs, settings: FitSettings, progress: ProgressCallback | None = None
) -> Upgrade:
    """Rank merge with old scores put on the new scale by matching quantiles.

    The map sends each quantile of old item-item scores to the same quantile of new ones
    (ours). It mends the difference of scale, most of rank merge's collapse, where queries
    are like the items; it adds no knowledge of its own.
    """
    rng = np.random.default_rng(settings.seed)
    rows = np.sort(rng.permutation(len(pairs))[:_SAMPLE_ROWS])
    calibration = matching_quantiles(
        _item_scores(pairs.old_rows(rows)), _item_scores(pairs.new_rows(rows))
    )
    return Upgrade(
        method="rank_merge_quantile",
        source=pairs.source,
        target=pairs.target,
        side=Side.NONE,
        calibration=calibration,
    )


def matching_quantiles(old: NDArray[np.float32], new: NDArray[np.float32]) -> Calibration:
    """A strictly increasing map that gives old scores the distribution of new scores.

    Args:
        old, new: one-dimensional samples of scores.

    Raises:
        InvalidInput: all scores of a side are the same.
    """
    x, y = (
        np.quantile(old.astype(np.float64), _LEVELS),
        np.quantile(new.astype(np.float64), _LEVELS),
    )
    # Ties among quantiles would make a step of slope zero or infinity: thin them out.
    keep = [0]
    for level in range(1, len(x)):
        if x[level] > x[keep[-1]] + 1e-9 and y[level] > y[keep[-1]] + 1e-9:
            keep.append(level)
    if len(keep) < 2:
        raise InvalidInput(
            "quantiles can't be matched: all scores of a side are the same; "
            "give more, and more different, pairs"
        )
    return Calibration(tuple(x[keep].tolist()), tuple(y[keep].tolist()))


def _item_scores(rows: FloatArray) -> NDArray[np.float32]:
    upper = np.triu_indices(len(rows), k=1)
    return np.asarray((rows @ rows.T)[upper], dtype=np.float32)
