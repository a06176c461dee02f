"""Ridge regression, in both directions: closed form, no labels, seconds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from crossfade.embeddings import Pairs
from crossfade.fit.moments import Moments, pair_moments, ridge_map
from crossfade.fit.reference import two_encoder_reference
from crossfade.fit.settings import FitSettings, ProgressCallback
from crossfade.upgrade import Refit, Side, Transform, Upgrade

__all__ = ["fit_forward_ridge", "fit_refitted_ridge", "fit_ridge"]

_ROWS = 8_192


def fit_ridge(
    pairs: Pairs, settings: FitSettings, progress: ProgressCallback | None = None
) -> Upgrade:
    """Reverse ridge: psi = least squares from new to old, centred, L2-normalised.

    Hoerl & Kennard, *Ridge Regression*, Technometrics 1970; as a bridge between embedding
    spaces it is what most migration tools offer.
    """
    affine = ridge_map(pair_moments(pairs, forward=False), settings.ridge_penalty)
    return Upgrade(
        method="ridge",
        source=pairs.source,
        target=pairs.target,
        side=Side.QUERY,
        psi=Transform(affine),
        two_encoder=two_encoder_reference(pairs, settings),
    )


def fit_forward_ridge(
    pairs: Pairs, settings: FitSettings, progress: ProgressCallback | None = None
) -> Upgrade:
    """Forward ridge: stored old vectors mapped to the new space once, then replaced.

    The free baseline that every method must beat: needs no labels and no second search, but
    a rewrite of every stored vector. The mapped vectors are L2-normalised again; that
    normalisation is what the same map on the query's side can't do.
    """
    return _forward_ridge(pairs, pair_moments(pairs, forward=True), settings)


def fit_refitted_ridge(
    pairs: Pairs, settings: FitSettings, progress: ProgressCallback | None = None
) -> Upgrade:
    """Forward ridge that is fitted again on the backfilled items, as their number grows (ours).

    The same map at coverage 0. The artifact carries the moments of its pairs, to which those of
    items that hold both vectors are added; see :mod:`crossfade.upgrade.refit`.
    """
    moments = pair_moments(pairs, forward=True)
    upgrade = _forward_ridge(pairs, moments, settings)
    again = Refit(
        _stored(moments),
        np.empty(0, dtype=np.uint64),
        settings.ridge_penalty,
        settings.two_encoder_weight is None and settings.two_encoder_new_weight is None,
    )
    marks = [
        again.marks_of(pairs.old_rows(slice(start, start + _ROWS)))
        for start in range(0, len(pairs), _ROWS)
    ]
    again = replace(again, marks=np.unique(np.concatenate(marks)))
    return replace(upgrade, method="refitted_ridge", refit=again)


def _forward_ridge(pairs: Pairs, moments: Moments, settings: FitSettings) -> Upgrade:
    return Upgrade(
        method="forward_ridge",
        source=pairs.source,
        target=pairs.target,
        side=Side.ITEMS,
        forward=Transform(ridge_map(moments, settings.ridge_penalty)),
        two_encoder=two_encoder_reference(pairs, settings),
    )


def _stored(moments: Moments) -> Moments:
    """As the artifact holds them: products with new embeddings, the most, in float32."""
    return replace(moments, xy=moments.xy.astype(np.float32))
