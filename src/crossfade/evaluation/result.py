"""What an evaluation found: the curve, its figures of merit, and how it was measured."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from crossfade.embeddings import Space
from crossfade.evaluation.curve import BackfillingCurve
from crossfade.evaluation.distributions import ScoreDistributions
from crossfade.evaluation.figures import Figures, has_gain
from crossfade.evaluation.metrics import METRICS
from crossfade.upgrade import Mode

__all__ = ["Counts", "EvaluationResult"]


@dataclass(frozen=True)
class Counts:
    """How many took part.

    Attributes:
        gallery: items. queries: queries that were evaluated.
        skipped: queries left out of every mean because no item is relevant to them.
        own_left_out: evaluated queries whose own item is in the gallery and was left out.
        ignored_judgements: positive judgements of queries or items that are not here.
        ignored_items: items left out of a query's ranking, over all queries.
    """

    gallery: int
    queries: int
    skipped: int
    own_left_out: int
    ignored_judgements: int = 0
    ignored_items: int = 0


@dataclass(frozen=True, eq=False)
class EvaluationResult:
    """The backfilling curve of one upgrade under one order, seed and mode.

    Attributes:
        method: the fitting method's name.
        source, target: the old and the new space.
        order, seed: in which order items were backfilled.
        mode: how queries searched.
        counts: how many items and queries took part.
        curve: every metric of every query at every coverage.
        distributions: sampled scores of both sides.
        learned_from: how many recorded queries the gallery has learned from on its way.
    """

    method: str
    source: Space
    target: Space
    order: str
    seed: int
    mode: Mode
    counts: Counts
    curve: BackfillingCurve = field(repr=False)
    distributions: ScoreDistributions = field(repr=False)
    learned_from: int = 0

    @property
    def coverage(self) -> list[float]:
        """Coverages from 0 to 1."""
        return [float(value) for value in self.curve.coverage]

    @cached_property
    def metrics(self) -> dict[str, list[float]]:
        """Metric name -> its mean over the queries at each coverage."""
        return {name: self.curve.mean(name).tolist() for name in METRICS}

    @cached_property
    def old_old(self) -> dict[str, float]:
        """Metric name -> the old model alone."""
        return {name: float(values.mean()) for name, values in self.curve.old_old.items()}

    @cached_property
    def new_new(self) -> dict[str, float]:
        """Metric name -> the new model alone, without rho."""
        return {name: float(values.mean()) for name, values in self.curve.new_new.items()}

    @cached_property
    def figures(self) -> Mapping[str, Figures]:
        """Metric name -> all figures of merit of its curve."""
        return {name: self.curve.figures(name) for name in METRICS}

    @property
    def auc(self) -> dict[str, float]:
        """Metric name -> area under the curve."""
        return {name: figures.auc for name, figures in self.figures.items()}

    @property
    def gain_share(self) -> dict[str, float]:
        """Metric name -> gain share; NaN where both models score the same."""
        return {name: figures.gain_share for name, figures in self.figures.items()}

    @property
    def shown_gain_share(self) -> dict[str, float]:
        """Metric name -> gain share; NaN where the new model is not better."""
        return {
            name: share
            if has_gain(old_old=self.old_old[name], new_new=self.new_new[name])
            else math.nan
            for name, share in self.gain_share.items()
        }

    @property
    def worst_point(self) -> dict[str, float]:
        """Metric name -> lowest point against the old model; negative means regret."""
        return {name: figures.worst_point for name, figures in self.figures.items()}

    @property
    def drop(self) -> dict[str, float]:
        """Metric name -> deepest fall along the curve."""
        return {name: figures.drop for name, figures in self.figures.items()}

    @property
    def end_point(self) -> dict[str, float]:
        """Metric name -> last point against the new model."""
        return {name: figures.end_point for name, figures in self.figures.items()}

    @cached_property
    def negative_flips(self) -> list[float]:
        """Share of queries right at rank 1 under old/old and wrong at each coverage."""
        return [float(value) for value in self.curve.negative_flips()]

    @cached_property
    def negative_flips_consecutive(self) -> list[float]:
        """Share of queries right at rank 1 one step before and wrong at each coverage."""
        return [float(value) for value in self.curve.negative_flips_consecutive()]

    def to_json(self) -> dict[str, Any]:
        """As one JSON object. Numbers that don't exist (NaN) are null."""
        return {
            "method": self.method,
            "source": {"name": self.source.name, "dim": self.source.dim},
            "target": {"name": self.target.name, "dim": self.target.dim},
            "order": self.order,
            "seed": self.seed,
            "mode": self.mode.value,
            "counts": vars(self.counts),
            "learned_from": self.learned_from,
            "coverage": self.coverage,
            "metrics": self.metrics,
            "old_old": self.old_old,
            "new_new": self.new_new,
            "auc": self.auc,
            "gain_share": {name: _or_null(value) for name, value in self.gain_share.items()},
            "worst_point": self.worst_point,
            "drop": self.drop,
            "end_point": self.end_point,
            "negative_flips": self.negative_flips,
            "negative_flips_consecutive": self.negative_flips_consecutive,
        }


def _or_null(value: float) -> float | None:
    return None if math.isnan(value) else value
