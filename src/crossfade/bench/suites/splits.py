"""Fitting rows and evaluation rows, apart from each other."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["split_classes", "split_rows"]

Rows = NDArray[np.intp]


def split_rows(labels: NDArray[Any], fit_share: float, seed: int) -> tuple[Rows, Rows]:
    """Rows to fit on and rows to evaluate on, of every class in about the same share."""
    fits = np.zeros(len(labels), dtype=np.bool_)
    rng = np.random.default_rng(seed)
    for name in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == name))
        # A class of odd size has its odd row on either side.
        fits[rows[: int(fit_share * len(rows) + rng.random())]] = True
    return np.flatnonzero(fits), np.flatnonzero(~fits)


def split_classes(labels: NDArray[Any], fit_share: float, seed: int) -> tuple[Rows, Rows]:
    """Rows of the classes to fit on, and rows of all others."""
    names = np.random.default_rng(seed).permutation(np.unique(labels))
    fits = np.isin(labels, names[: round(fit_share * len(names))])
    return np.flatnonzero(fits), np.flatnonzero(~fits)
