"""What is fitted on and what is measured on: random rows, and whole classes or clusters.

Random held-out rows are too like the rows fitted on: they hide that a map fails on kinds of
items that it never saw (``docs/experiments.md``, "Share of the old model by held-out
evidence"). Whole classes, or where nobody knows the classes whole clusters of the new space,
are the pessimistic side of the same question; a real gallery is somewhere between.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.assessment.sample import Sample
from crossfade.embeddings import Pairs
from crossfade.fit.clusters import cluster

__all__ = ["FOLDS", "Fold", "HeldOut", "folds", "kinds_of_splits"]

FOLDS = 3
_FEWEST_CLASSES = 3 * FOLDS
_FEWEST_CLUSTERS, _MOST_CLUSTERS, _ITEMS_PER_CLUSTER = 3 * FOLDS, 48, 40

Codes = NDArray[np.intp]


class HeldOut(StrEnum):
    """What is held out."""

    ROWS = "rows"
    """Random items: more of the kinds that were fitted on. The optimistic side."""
    CLASSES = "classes"
    """Whole classes that fitting never saw. The pessimistic side."""
    CLUSTERS = "clusters"
    """Whole clusters of the new space, where there are no classes. The pessimistic side."""


@dataclass(frozen=True, eq=False)
class Fold:
    """Pairs to fit on and gallery items to measure on (in the order of ids); none is in both."""

    fitting: Pairs
    held_out: Pairs


def kinds_of_splits(sample: Sample) -> tuple[HeldOut, HeldOut]:
    """The optimistic and the pessimistic way to hold out."""
    labels, own = sample.gallery.labels, sample.pairs.labels
    if labels is None or own is None or not sample.gain_is_known:
        return HeldOut.ROWS, HeldOut.CLUSTERS
    classes, counts = np.unique(labels, return_counts=True)
    several = np.count_nonzero(counts > 1) >= _FEWEST_CLASSES and len(classes) < len(labels)
    return HeldOut.ROWS, HeldOut.CLASSES if several else HeldOut.CLUSTERS


def folds(sample: Sample, kind: HeldOut, count: int, seed: int) -> Iterator[Fold]:
    """The first ``count`` of three folds, each of which holds out about a third of the gallery.

    A gallery that shares no item with the pairs is held out already: rows then are one fold,
    all pairs to fit on and all of the gallery to measure on.
    """
    gallery = sample.gallery_by_id
    if kind is HeldOut.ROWS and not np.isin(gallery.ids, sample.pairs.ids).any():
        yield Fold(sample.pairs, gallery)
        return
    own, others = _groups(sample.pairs, gallery, kind, seed)
    fold_of = _deal(np.bincount(np.concatenate([own, others])), seed)
    for fold in range(count):
        fitting = np.flatnonzero(fold_of[own] != fold)
        held_out = np.flatnonzero(fold_of[others] == fold)
        if len(fitting) and len(held_out):
            yield Fold(sample.pairs.subset(fitting), gallery.subset(held_out))


def _groups(pairs: Pairs, gallery: Pairs, kind: HeldOut, seed: int) -> tuple[Codes, Codes]:
    """The group of each pair ``(n,)`` and of each gallery item ``(m,)``; groups stay together."""
    if kind is HeldOut.CLUSTERS:
        rows = np.concatenate([pairs.new_rows(), gallery.new_rows()])
        wanted = len(rows) // _ITEMS_PER_CLUSTER
        codes = cluster(rows, min(_MOST_CLUSTERS, max(_FEWEST_CLUSTERS, wanted)), seed)
    else:
        codes = _codes(pairs, gallery, "ids" if kind is HeldOut.ROWS else "labels")
    return codes[: len(pairs)], codes[len(pairs) :]


def _codes(pairs: Pairs, gallery: Pairs, name: str) -> Codes:
    both: list[NDArray[Any]] = [getattr(pairs, name), getattr(gallery, name)]
    return np.asarray(np.unique(np.concatenate(both), return_inverse=True)[1], dtype=np.intp)


def _deal(sizes: Codes, seed: int) -> Codes:
    """A fold for each group: in random order, each to the fold that has the fewest items."""
    fold_of = np.zeros(len(sizes), dtype=np.intp)
    held = np.zeros(FOLDS, dtype=np.intp)
    for group in np.random.default_rng([seed, 21]).permutation(len(sizes)):
        fold_of[group] = held.argmin()
        held[fold_of[group]] += sizes[group]
    return fold_of
