"""Spherical k-means: kinds of items, where nobody says what the kinds are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crossfade.embeddings import FloatArray

__all__ = ["cluster", "cluster_means"]

_ROUNDS = 12
_MOST_ROWS = 10_000


def cluster(rows: FloatArray, count: int, seed: int) -> NDArray[np.intp]:
    """The cluster of each of ``(n, d)`` unit rows, ``(n,)``; about ``count`` clusters."""
    return np.asarray((rows @ cluster_means(rows, count, seed).T).argmax(axis=1), dtype=np.intp)


def cluster_means(rows: FloatArray, count: int, seed: int) -> FloatArray:
    """Unit centres ``(count, d)`` of the clusters of ``(n, d)`` unit rows; fewer for fewer rows.

    They are found on at most 10,000 rows. They begin at distinct random rows; a centre that
    loses all its rows stays where it is.
    """
    rng = np.random.default_rng([seed, 22])
    sample = rows[np.sort(rng.permutation(len(rows))[:_MOST_ROWS])]
    centres = sample[rng.permutation(len(sample))[:count]].copy()
    for _ in range(_ROUNDS):
        sums = np.zeros_like(centres)
        np.add.at(sums, (sample @ centres.T).argmax(axis=1), sample)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = np.where(lengths > 0, sums / np.maximum(lengths, 1e-12), centres)
    return centres
