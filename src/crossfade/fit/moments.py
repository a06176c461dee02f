"""Moments of pairs, one pass in chunks: memory does not grow with n."""

from __future__ import annotations

import numpy as np

from crossfade.embeddings import Pairs
from crossfade.errors import InvalidInput
from crossfade.upgrade import Moments

__all__ = ["Moments", "pair_moments"]

_CHUNK_ROWS = 8_192


def pair_moments(pairs: Pairs, *, forward: bool) -> Moments:
    """Moments with x = old, y = new (``forward``), or x = new, y = old.

    Raises:
        InvalidInput: there are no pairs.
    """
    if len(pairs) == 0:
        raise InvalidInput("fitting needs pairs, got none")
    dims = (pairs.source.dim, pairs.target.dim) if forward else (pairs.target.dim, pairs.source.dim)
    sum_x, sum_y = np.zeros(dims[0]), np.zeros(dims[1])
    xx, xy = np.zeros((dims[0], dims[0])), np.zeros(dims)
    for start in range(0, len(pairs), _CHUNK_ROWS):
        rows = slice(start, start + _CHUNK_ROWS)
        x, y = pairs.old_rows(rows).astype(np.float64), pairs.new_rows(rows).astype(np.float64)
        x, y = (x, y) if forward else (y, x)
        sum_x += x.sum(axis=0)
        sum_y += y.sum(axis=0)
        xx += x.T @ x
        xy += x.T @ y
    n = len(pairs)
    mean_x, mean_y = sum_x / n, sum_y / n
    return Moments(
        n,
        mean_x,
        mean_y,
        xx - n * np.outer(mean_x, mean_x),
        xy - n * np.outer(mean_x, mean_y),
    )
