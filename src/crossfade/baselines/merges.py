"""How other tools merge two lists of one query: raw scores, z-scores, reciprocal ranks.

A merge takes every item's score on either side and says which side it is on; it gives one
score an item, by which the merged list is ranked. Here the lists are whole sides of the
gallery; a service merges the first hundreds of each, which is kinder to none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from crossfade.embeddings import FloatArray
from crossfade.errors import InvalidInput

__all__ = ["MERGES", "Merge", "merge_named", "merge_raw", "merge_rrf", "merge_z_score"]

Backfilled = NDArray[np.bool_]
Merge = Callable[[FloatArray, FloatArray, Backfilled], FloatArray]
"""``(new (b, n), old (b, n), backfilled (n,)) -> (b, n)`` scores; higher is better.

``new`` counts where ``backfilled``, ``old`` elsewhere. A score of minus infinity is an item
that is not in the list (the query's own); it stays last.
"""

_RRF_CONSTANT = 60.0
_SMALLEST_DEVIATION = 1e-6


def merge_named(name: str) -> Merge:
    """The merge of that name.

    Raises:
        InvalidInput: there is none.
    """
    if name not in MERGES:
        known = ", ".join([*MERGES, "isotonic"])
        raise InvalidInput(f"unknown merge {name!r}; choose one of {known}")
    return MERGES[name]


def merge_raw(new: FloatArray, old: FloatArray, backfilled: Backfilled) -> FloatArray:
    """Each item's score as it is: the paper's rank merge where the old side is the old model."""
    return np.where(backfilled, new, old)


def merge_z_score(new: FloatArray, old: FloatArray, backfilled: Backfilled) -> FloatArray:
    """``(s - mean) / deviation``, both of a query's own list of that side.

    Score normalisation of metasearch (Montague & Aslam, CIKM 2001). Both lists then have the
    same scale, but also the same mean: a side without a single good item is merged as if its
    best were as good as the other's.
    """
    merged = np.empty(new.shape, dtype=np.float32)
    for scores, side in ((new, backfilled), (old, ~backfilled)):
        merged[:, side] = _standard(scores[:, side])
    return merged


def merge_rrf(new: FloatArray, old: FloatArray, backfilled: Backfilled) -> FloatArray:
    """``1 / (60 + rank)``, the rank from 1 in the list of the item's own side.

    Cormack, Clarke & Büttcher, *Reciprocal Rank Fusion*, SIGIR 2009. The sides hold different
    items, so each item has one term, and each side gets half of the merged list, whatever the
    coverage.
    """
    merged = np.empty(new.shape, dtype=np.float32)
    for scores, side in ((new, backfilled), (old, ~backfilled)):
        merged[:, side] = _reciprocal_ranks(scores[:, side])
    return merged


MERGES: Mapping[str, Merge] = {
    "raw": merge_raw,
    "z_score": merge_z_score,
    "rrf": merge_rrf,
}
"""Merges by name. Isotonic calibration is fitted, and then merged raw: see ``isotonic``."""


def _standard(scores: FloatArray) -> FloatArray:
    listed = np.isfinite(scores)
    count = np.maximum(listed.sum(axis=1, keepdims=True), 1)
    mean = np.where(listed, scores, 0.0).sum(axis=1, keepdims=True, dtype=np.float64) / count
    centred = np.where(listed, scores - mean, 0.0)
    deviation = np.sqrt((centred**2).sum(axis=1, keepdims=True) / count)
    standard = centred / np.maximum(deviation, _SMALLEST_DEVIATION)
    return np.where(listed, standard, -np.inf).astype(np.float32)


def _reciprocal_ranks(scores: FloatArray) -> FloatArray:
    # Equal scores are ranked by column, and so by id, as everywhere.
    best_first = np.argsort(-scores, axis=1, kind="stable")
    terms = 1.0 / (_RRF_CONSTANT + 1.0 + np.arange(scores.shape[1]))
    out = np.empty(scores.shape, dtype=np.float32)
    np.put_along_axis(out, best_first, np.broadcast_to(terms, scores.shape), axis=1)
    return np.where(np.isneginf(scores), -np.inf, out).astype(np.float32)
