"""Random upgrades of every form."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import numpy as np
from hypothesis import strategies as st

from crossfade import Side, Space, Upgrade
from crossfade.embeddings import unit_rows
from crossfade.upgrade import Affine, Calibration, Interpolation, Kernel, Transform, TwoEncoder

__all__ = [
    "calibrations",
    "random_affine",
    "random_kernel",
    "random_transform",
    "random_upgrade",
    "upgrades",
]


def random_affine(rng: np.random.Generator, dim_in: int, dim_out: int) -> Affine:
    return Affine(
        rng.normal(size=(dim_in, dim_out)).astype(np.float32),
        rng.normal(size=dim_out).astype(np.float32) / 10,
    )


def random_transform(
    rng: np.random.Generator,
    dim_in: int,
    dim_out: int,
    hidden: tuple[int, ...] = (5,),
    skip: Literal["none", "identity", "affine"] = "none",
) -> Transform:
    widths = (dim_in, *hidden, dim_out)
    layers = tuple(random_affine(rng, a, b) for a, b in pairwise(widths))
    if skip == "affine":
        return Transform(random_affine(rng, dim_in, dim_out), layers)
    return Transform(True if skip == "identity" else None, layers)


def random_kernel(
    rng: np.random.Generator, dim_in: int, dim_out: int, landmarks: int = 7, gamma: float = 2.0
) -> Kernel:
    return Kernel(
        unit_rows(rng.normal(size=(landmarks, dim_in))),
        rng.normal(size=(landmarks, dim_out)).astype(np.float32),
        gamma,
    )


def random_upgrade(
    side: Side = Side.QUERY,
    *,
    d_old: int = 3,
    d_new: int = 4,
    hidden: tuple[int, ...] = (5,),
    skip: Literal["none", "affine"] = "none",
    rho: bool = False,
    calibration: Calibration | None = None,
    two_encoder: float | None = None,
    interpolation: Interpolation | None = None,
    uncertainty: bool = False,
    kernel: bool = False,
    seed: int = 0,
) -> Upgrade:
    rng = np.random.default_rng(seed)
    psi = random_transform(rng, d_new, d_old, hidden, skip)
    forward = random_transform(rng, d_old, d_new, hidden, skip)
    if kernel:
        forward = Transform(forward.skip, forward.layers, random_kernel(rng, d_old, d_new))
    two = None
    if two_encoder is not None:
        sample = (unit_rows(rng.normal(size=(20, d))) for d in (d_old, d_new))
        two = TwoEncoder(two_encoder, 0.5, *sample)
    return Upgrade(
        method="random",
        source=Space("old", d_old),
        target=Space("new", d_new),
        side=side,
        psi=psi if side is Side.QUERY else None,
        forward=forward if side is Side.ITEMS else None,
        rho=random_transform(rng, d_new, d_new, hidden, "identity") if rho else None,
        calibration=calibration or Calibration(),
        two_encoder=two,
        interpolation=interpolation if side is Side.QUERY else None,
        uncertainty=random_transform(rng, d_old, 1, hidden) if uncertainty else None,
        report={"seconds": 1.5, "settings": {"seed": seed}},
    )


@st.composite
def calibrations(draw: st.DrawFn) -> Calibration:
    """Knots in the range of similarities, slopes from gentle to steep."""
    count = draw(st.integers(2, 6))
    steps = st.lists(st.floats(1e-3, 1.0), min_size=count - 1, max_size=count - 1)
    x = np.cumsum([draw(st.floats(-1, 1)), *draw(steps)])
    y = np.cumsum([draw(st.floats(-1, 1)), *draw(steps)])
    return Calibration(tuple(x.tolist()), tuple(y.tolist()))


def interpolations() -> st.SearchStrategy[Interpolation]:
    return st.builds(Interpolation, st.floats(-5, 5), st.floats(-5, 5))


@st.composite
def upgrades(draw: st.DrawFn) -> Upgrade:
    """Upgrades of all sides, shapes, heads, calibrations and two-encoder rules."""
    return random_upgrade(
        draw(st.sampled_from(Side)),
        d_old=draw(st.integers(1, 9)),
        d_new=draw(st.integers(1, 9)),
        hidden=tuple(draw(st.lists(st.integers(1, 7), max_size=2))),
        skip=draw(st.sampled_from(["none", "affine"])),
        rho=draw(st.booleans()),
        calibration=draw(st.none() | calibrations()),
        two_encoder=draw(st.none() | st.floats(0, 1)),
        interpolation=draw(st.none() | interpolations()),
        uncertainty=draw(st.booleans()),
        kernel=draw(st.booleans()),
        seed=draw(st.integers(0, 99)),
    )
