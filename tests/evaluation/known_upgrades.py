"""Small upgrades, a gallery and queries, and what one model alone answers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crossfade.embeddings import Pairs
from crossfade.upgrade import Affine, Calibration, Side, Transform, TwoEncoder, Upgrade


def rotation(dim: int) -> NDArray[np.float32]:
    random = np.random.default_rng(5).normal(size=(dim, dim))
    return np.linalg.qr(random)[0].astype(np.float32)


def linear(weight: NDArray[np.float32]) -> Transform:
    return Transform(skip=Affine(weight, np.zeros(weight.shape[1], dtype=np.float32)))


def clustered(n: int, *, seed: int, old_noise: float = 1.5, dim: int = 6) -> Pairs:
    """Items of five classes; the old model is a noisier view in fewer dimensions."""
    generator = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(5, dim))
    labels = generator.integers(0, 5, n)
    new = centres[labels] + 0.5 * generator.normal(size=(n, dim))
    old = (new + old_noise * generator.normal(size=(n, dim)))[:, : dim - 2]
    ids = 1_000_000 * seed + generator.permutation(10 * n)[:n]  # no id in two sets
    return Pairs.of(ids, old, new, labels)


def turned(n: int, *, seed: int) -> Pairs:
    """A new model that is the old one in another basis."""
    pairs = clustered(n, seed=seed)
    old = pairs.new
    return Pairs.of(pairs.ids, old, old @ rotation(old.shape[1]), pairs.labels)


def reverse(pairs: Pairs) -> Upgrade:
    weight = np.linalg.lstsq(pairs.new, pairs.old, rcond=None)[0].astype(np.float32)
    return Upgrade("ridge", pairs.source, pairs.target, Side.QUERY, psi=linear(weight))


def forward(pairs: Pairs, rho: Transform | None = None) -> Upgrade:
    weight = np.linalg.lstsq(pairs.old, pairs.new, rcond=None)[0].astype(np.float32)
    return Upgrade(
        "forward_ridge",
        pairs.source,
        pairs.target,
        Side.ITEMS,
        forward=linear(weight),
        rho=rho,
        two_encoder=TwoEncoder(0.4, 0.5, pairs.old[:50], pairs.new[:50]),
    )


def merging(pairs: Pairs, calibration: Calibration | None = None) -> Upgrade:
    return Upgrade(
        "rank_merge",
        pairs.source,
        pairs.target,
        Side.NONE,
        calibration=calibration or Calibration(),
    )


GALLERY, QUERIES = clustered(60, seed=1), clustered(25, seed=2)
RHO = Transform(
    skip=True,
    layers=(Affine(0.5 * rotation(6), np.zeros(6, dtype=np.float32)),),
)
UPGRADES = {
    "reverse": reverse(GALLERY),
    "forward": forward(GALLERY),
    "merging": merging(GALLERY),
    "calibrated": merging(GALLERY, Calibration.affine(0.5, 0.2)),
    "with rho": forward(GALLERY, RHO),
}


def plain_map(queries: NDArray[np.float32], items: NDArray[np.float32], own: bool) -> list[float]:
    """mAP of one model alone, the slow way; with ``own`` the queries are the gallery."""
    values = []
    labels = GALLERY.labels if own else QUERIES.labels
    for row, query in enumerate(queries):
        scores = items @ query
        columns = sorted(range(len(items)), key=lambda c: (-scores[c], GALLERY.ids[c]))
        relevant = [GALLERY.labels[c] == labels[row] for c in columns if not (own and c == row)]
        hits = np.cumsum(relevant)
        values.append(float(np.mean([hits[r] / (r + 1) for r in np.flatnonzero(relevant)])))
    return values
