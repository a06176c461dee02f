"""Ridge regression, in both directions: closed form, no labels, seconds."""

from __future__ import annotations

from dataclasses import replace

from crossfade.embeddings import Pairs
from crossfade.fit.moments import pair_moments
from crossfade.fit.reference import two_encoder_reference
from crossfade.fit.refitting import refit_of
from crossfade.fit.settings import FitSettings, ProgressCallback
from crossfade.upgrade import Affine, Side, Transform, Upgrade, ridge_map, turned_ridge_map

__all__ = ["fit_forward_ridge", "fit_refitted_ridge", "fit_ridge"]

_ROTATION_SHARE = 0.25
"""Helps where pairs are few or gaps small, costs nothing elsewhere (``docs/experiments.md``)."""


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
    a rewrite of every stored vector. The mapped vectors are L2-normalised again; for that the
    same map on the query's side needs each item's mapped length (``docs/experiments.md``).
    """
    affine = ridge_map(pair_moments(pairs, forward=True), settings.ridge_penalty)
    return _forward("forward_ridge", pairs, affine, settings)


def fit_refitted_ridge(
    pairs: Pairs, settings: FitSettings, progress: ProgressCallback | None = None
) -> Upgrade:
    """Forward ridge, a quarter of it a rotation, fitted again on the backfilled items (ours).

    The artifact carries the moments of its pairs, to which those of items that hold both vectors
    are added as their number grows; see :mod:`crossfade.upgrade.refit`. For the rotation see
    :func:`crossfade.upgrade.linear_maps.turned_ridge_map`.
    """
    moments = pair_moments(pairs, forward=True)
    affine = turned_ridge_map(moments, settings.ridge_penalty, _ROTATION_SHARE)
    upgrade = _forward("refitted_ridge", pairs, affine, settings)
    again = refit_of(
        pairs,
        moments,
        penalty=settings.ridge_penalty,
        shares_follow=settings.two_encoder_weight is None
        and settings.two_encoder_new_weight is None,
        rotation_share=_ROTATION_SHARE,
    )
    return replace(upgrade, refit=again)


def _forward(method: str, pairs: Pairs, affine: Affine, settings: FitSettings) -> Upgrade:
    return Upgrade(
        method=method,
        source=pairs.source,
        target=pairs.target,
        side=Side.ITEMS,
        forward=Transform(affine),
        two_encoder=two_encoder_reference(pairs, settings),
    )
