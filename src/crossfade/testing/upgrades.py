"""Upgrades that need no fitting: random maps, for tests of everything behind the fit."""

from __future__ import annotations

import numpy as np

from crossfade.embeddings import FloatArray, Space, normalise
from crossfade.upgrade import (
    Affine,
    Calibration,
    ItemOffset,
    OffsetWeights,
    Side,
    Transform,
    TwoEncoder,
    Upgrade,
)

__all__ = ["make_upgrade"]


def make_upgrade(
    side: Side | str = Side.QUERY,
    *,
    dim_old: int = 12,
    dim_new: int = 20,
    rho: bool = True,
    calibration: Calibration | None = None,
    reference_old: FloatArray | None = None,
    weight: float = 0.4,
    offset: bool = False,
    seed: int = 0,
) -> Upgrade:
    """An upgrade of random linear maps.

    Args:
        rho: with a head on the new space.
        calibration: of old-side scores; by default a stretch and an offset.
        reference_old: the sample for two-encoder mode, ``(m, d_old)``; without it the upgrade
            has no such mode. weight: the old query's share.
        offset: with offsets of items (side ``items`` without ``rho`` only).
    """
    rng = np.random.default_rng(seed)
    side = Side(side)
    two_encoder = None
    if reference_old is not None:
        reference_new = normalise(rng.normal(size=(len(reference_old), dim_new)))
        two_encoder = TwoEncoder(weight, 0.5, reference_old, reference_new)

    def linear(dim_in: int, dim_out: int) -> Transform:
        weights = rng.normal(size=(dim_in, dim_out)).astype(np.float32)
        return Transform(Affine(weights, np.zeros(dim_out, np.float32)))

    return Upgrade(
        method="random",
        source=Space("old", dim_old),
        target=Space("new", dim_new),
        side=side,
        psi=linear(dim_new, dim_old) if side is Side.QUERY else None,
        forward=linear(dim_old, dim_new) if side is Side.ITEMS else None,
        rho=linear(dim_new, dim_new) if rho else None,
        calibration=Calibration.affine(0.8, 0.1) if calibration is None else calibration,
        two_encoder=two_encoder,
        offset=_random_offset(dim_old, dim_new, seed) if offset else None,
    )


def _random_offset(dim_old: int, dim: int, seed: int) -> ItemOffset:
    rng = np.random.default_rng([seed, 1])
    mean = rng.normal(scale=0.1, size=dim).astype(np.float32)
    bank, old_bank = (normalise(rng.normal(size=(40, width))) for width in (dim, dim_old))
    # Random maps give images of lengths about the root of their width.
    return ItemOffset(
        mean,
        bank,
        old_bank,
        OffsetWeights(0.3, 0.2),
        OffsetWeights(0.6, 0.1, 0.3),
        doubt=0.5 / dim,
        typical=float(dim),
        usual=0.5,
        usual_old=0.4,
        nearest=3,
        push=0.05,
        new_side=0.8,
        usual_new=0.5,
        distilled=rng.normal(scale=0.3 / dim**0.5, size=(dim, dim)).astype(np.float32),
    )
