"""How scores are distributed on both sides, before and after the upgrade's maps.

A merged list is only as good as its two scales are alike: these samples show whether a
relevant item's score means the same on the old side as on the new one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crossfade.embeddings import FloatArray
from crossfade.evaluation.curve import Scores
from crossfade.evaluation.relevance import Relevance

__all__ = ["PairScores", "ScoreDistributions", "sample_distributions"]

_LARGEST_SAMPLE = 20_000


@dataclass(frozen=True, eq=False)
class PairScores:
    """Scores ``(m,)`` of sampled relevant pairs of query and item, and of irrelevant ones."""

    relevant: FloatArray
    irrelevant: FloatArray


@dataclass(frozen=True, eq=False)
class ScoreDistributions:
    """The same sampled pairs, scored in four ways.

    Attributes:
        old_old, new_new: by either model alone: the two scales before the upgrade's maps.
        old_side, new_side: as the merged list sees an item before its backfill, and at coverage 1.
    """

    old_old: PairScores
    new_new: PairScores
    old_side: PairScores
    new_side: PairScores


def sample_distributions(
    scores: Scores, relevance: Relevance, queries: NDArray[np.intp], *, seed: int
) -> ScoreDistributions:
    """Sample pairs of each kind from ``(b, n)`` scores of the queries of the given rows."""
    grades = relevance.grades(queries)
    irrelevant = grades == 0
    irrelevant[relevance.left_out(queries)] = False
    generator = np.random.default_rng(seed)
    right = _some(np.flatnonzero(grades > 0), generator)
    wrong = _some(np.flatnonzero(irrelevant), generator)

    def sampled(matrix: FloatArray) -> PairScores:
        return PairScores(matrix.ravel()[right], matrix.ravel()[wrong])

    return ScoreDistributions(
        old_old=sampled(scores.old_old),
        new_new=sampled(scores.new_new),
        old_side=sampled(scores.old),
        new_side=sampled(scores.new),
    )


def _some(places: NDArray[np.intp], generator: np.random.Generator) -> NDArray[np.intp]:
    if len(places) <= _LARGEST_SAMPLE:
        return places
    return generator.choice(places, _LARGEST_SAMPLE, replace=False)
