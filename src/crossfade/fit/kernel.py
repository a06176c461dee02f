"""Forward maps with kernel ridge on what a ridge leaves over: nonlinear, without PyTorch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from crossfade.embeddings import Pairs
from crossfade.fit.moments import pair_moments
from crossfade.fit.reference import two_encoder_reference
from crossfade.fit.ridge import fit_refitted_ridge
from crossfade.fit.settings import FitSettings, ProgressCallback
from crossfade.upgrade import (
    MOST_CARRIED,
    MOST_LANDMARKS,
    MOST_PAIRS,
    Affine,
    Kernel,
    PairSample,
    Refit,
    Side,
    Transform,
    Upgrade,
    residual_kernel,
    ridge_map,
)

__all__ = [
    "fit_forward_kernel",
    "fit_refitted_kernel",
    "fit_ridge_to_kernel",
    "kernel_of_pairs",
]


def fit_forward_kernel(
    pairs: Pairs, settings: FitSettings, progress: ProgressCallback | None = None
) -> Upgrade:
    """``f(o) = ridge(o) + sum_j k(o, l_j) w_j``, scaled to unit length (ours).

    Kernel ridge regression (Saunders, Gammerman & Vovk, *Ridge Regression Learning Algorithm in
    Dual Variables*, ICML 1998) of the ridge's residuals. It finds what few pairs show beyond a
    linear map, where a network of as many pairs finds nothing (``docs/experiments.md``).
    """
    skip = ridge_map(pair_moments(pairs, forward=True), settings.ridge_penalty)
    return Upgrade(
        method="forward_kernel",
        source=pairs.source,
        target=pairs.target,
        side=Side.ITEMS,
        forward=Transform(skip, kernel=kernel_of_pairs(pairs, skip, settings.seed)),
        two_encoder=two_encoder_reference(pairs, settings),
    )


def fit_ridge_to_kernel(
    pairs: Pairs, settings: FitSettings, progress: ProgressCallback | None = None
) -> Upgrade:
    """``refitted_ridge`` at first; fitted again, it becomes a kernel map (ours).

    The artifact carries the pairs, or a sample of many, beside their moments. Backfilled items join
    them, and what they show beyond a linear map a kernel map finds, on unseen kinds as well.
    """
    upgrade = fit_refitted_ridge(pairs, settings, progress)
    assert upgrade.refit is not None
    order = np.random.default_rng([settings.seed, 6]).permutation(len(pairs))[:MOST_CARRIED]
    rows = np.sort(order)
    mixed = np.searchsorted(rows, order)  # in random order: what comes first is a sample too
    sample = PairSample(pairs.old_rows(rows)[mixed], pairs.new_rows(rows)[mixed])
    refit = replace(upgrade.refit, sample=sample)
    return replace(upgrade, method="ridge_to_kernel", refit=refit)


def fit_refitted_kernel(
    pairs: Pairs, settings: FitSettings, progress: ProgressCallback | None = None
) -> Upgrade:
    """A kernel map from the first, fitted again on the backfilled items (ours).

    One of more pairs than an artifact carries is not fitted again but corrected, as
    :func:`crossfade.fit.forward_mlp.fit_refitted_mlp` is. See :func:`fit_forward_kernel` and
    :func:`fit_ridge_to_kernel`.
    """
    fit_linear = fit_ridge_to_kernel if len(pairs) <= MOST_CARRIED else fit_refitted_ridge
    upgrade = fit_linear(pairs, settings, progress)
    assert upgrade.forward is not None and isinstance(upgrade.forward.skip, Affine)
    skip = upgrade.forward.skip
    forward = Transform(skip, kernel=kernel_of_pairs(pairs, skip, settings.seed))
    refit = upgrade.refit
    if len(pairs) > MOST_CARRIED:
        assert refit is not None and forward.kernel is not None
        landmarks = len(forward.kernel.landmarks)
        refit = Refit(
            refit.moments, refit.marks, shares_follow=False, corrects=True, landmarks=landmarks
        )
    return replace(upgrade, method="refitted_kernel", forward=forward, refit=refit)


def kernel_of_pairs(
    pairs: Pairs,
    skip: Affine,
    seed: int,
    *,
    most_landmarks: int = MOST_LANDMARKS,
    most_pairs: int = MOST_PAIRS,
) -> Kernel:
    """Kernel ridge of ``new - skip(old)`` on the pairs, or on ``most_pairs`` of them, drawn.

    All are landmarks if they are few enough; of more, ``most_landmarks`` are drawn.
    """
    order = np.random.default_rng([seed, 5]).permutation(len(pairs))
    landmarks: NDArray[np.intp] = np.sort(order[:most_landmarks])
    rows = landmarks if len(pairs) <= most_landmarks else np.sort(order[:most_pairs])
    at = None if rows is landmarks else np.searchsorted(rows, landmarks)
    return residual_kernel(pairs.old_rows(rows), pairs.new_rows(rows), skip, at)
