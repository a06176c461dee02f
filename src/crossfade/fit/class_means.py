"""A frozen classifier made of an embedding model's own class means."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crossfade.embeddings import FloatArray, Pairs
from crossfade.errors import InvalidInput

__all__ = ["class_means", "new_class_means"]

_CHUNK_ROWS = 8_192


def class_means(rows: FloatArray, codes: NDArray[np.integer], classes: int) -> FloatArray:
    """Mean embedding of each class, scaled to unit length, ``(classes, d)``.

    Scores against them are a classifier's logits up to a scale. Where a model's classifier is
    not at hand, or lacks a class, these rows stand in for it (the synthesised classifier of
    BCT, CVPR 2020). A class without an item, or of mean zero, has the zero row.

    Args:
        rows: ``(n, d)`` unit rows. codes: ``(n,)`` their classes, 0 to ``classes - 1``.
    """
    sums = np.zeros((classes, rows.shape[1]))
    np.add.at(sums, codes, rows)
    return _unit_or_zero(sums)


def new_class_means(pairs: Pairs) -> FloatArray:
    """Class means in the new space, in the order of the sorted labels, ``(classes, d_new)``.

    Raises:
        InvalidInput: the pairs have no labels.
    """
    if pairs.labels is None:
        raise InvalidInput("class means need labels and the pairs have none")
    names, codes = np.unique(pairs.labels, return_inverse=True)
    sums = np.zeros((len(names), pairs.target.dim))
    for start in range(0, len(pairs), _CHUNK_ROWS):
        part = slice(start, start + _CHUNK_ROWS)
        np.add.at(sums, codes[part], pairs.new_rows(part))
    return _unit_or_zero(sums)


def _unit_or_zero(sums: NDArray[np.float64]) -> FloatArray:
    length = np.linalg.norm(sums, axis=1, keepdims=True)
    return np.asarray(sums / np.where(length > 0, length, 1.0), dtype=np.float32)
