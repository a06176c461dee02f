"""Ridge regression, in both directions: closed form, no labels, seconds."""

from __future__ import annotations

from crossfade.embeddings import Pairs
from crossfade.fit.moments import pair_moments, ridge_map
from crossfade.fit.reference import two_encoder_reference
from crossfade.fit.settings import FitSettings, ProgressCallback
from crossfade.upgrade import Side, Transform, Upgrade

__all__ = ["fit_forward_ridge", "fit_ridge"]


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
    affine = ridge_map(pair_moments(pairs, forward=True), settings.ridge_penalty)
    return Upgrade(
        method="forward_ridge",
        source=pairs.source,
        target=pairs.target,
        side=Side.ITEMS,
        forward=Transform(affine),
        two_encoder=two_encoder_reference(pairs, settings),
    )
