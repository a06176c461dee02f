"""Curves of every candidate on held-out items: what predictions are made from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from crossfade.assessment.resampling import query_groups
from crossfade.assessment.sample import Sample
from crossfade.assessment.splits import Fold, HeldOut, folds
from crossfade.embeddings import Pairs
from crossfade.errors import InvalidInput
from crossfade.evaluation import (
    BackfillingCurve,
    Relevance,
    coverage_grid,
    curve_from_scores,
)
from crossfade.evaluation.orders import backfill_order
from crossfade.evaluation.refits import Generations
from crossfade.evaluation.scoring import GalleryScorer
from crossfade.fit.held_out import Split, made_queries
from crossfade.fit.item_offset import with_item_offset
from crossfade.fit.methods import METHODS
from crossfade.fit.ordering import with_ordering
from crossfade.fit.settings import FitSettings, ProgressCallback
from crossfade.upgrade import Mode, Upgrade

__all__ = [
    "COVERAGE",
    "Asked",
    "Candidate",
    "Evidence",
    "FoldCurves",
    "Measured",
    "fit_as_handed_on",
    "measure_held_out",
    "order_curve",
]

COVERAGE = coverage_grid(11)
_MOST_QUERIES = 500
_MADE_METRIC = "map"


class Asked(StrEnum):
    """What the queries on held-out items are."""

    QUERIES = "queries"
    """The real ones, and what is known to be relevant to them."""
    ITEMS = "items"
    """The items themselves, each leaving itself out; relevant are those of its class."""
    AGREEMENT = "agreement"
    """The real ones, but relevant is what the new model ranks first: nothing else is known."""
    NEIGHBOURS = "neighbours"
    """The items themselves, relevant is what the new model ranks first."""
    DISPLACED = "displaced"
    """Items moved along the difference of two others; each must find itself."""


@dataclass(frozen=True)
class Candidate:
    """A method in a mode. Methods without a map need both encoders in any mode."""

    method: str
    mode: Mode

    def __str__(self) -> str:
        return f"{self.method}, {self.mode.value}"


@dataclass(frozen=True, eq=False)
class Task:
    """Queries on the held-out items of a fold."""

    asked: Asked
    queries: Pairs
    relevance: Relevance


@dataclass(frozen=True, eq=False)
class FoldCurves:
    """All candidates on one fold and one kind of queries.

    Attributes:
        merged: candidate -> ``(steps, q)``. old, new: ``(q,)``, each model alone.
        groups: ``(q,)`` what is drawn together in a bootstrap sample.
        pairs: fitted on. items: searched.
    """

    merged: Mapping[Candidate, NDArray[np.float64]]
    old: NDArray[np.float64]
    new: NDArray[np.float64]
    groups: NDArray[np.intp]
    pairs: int
    items: int


@dataclass(frozen=True, eq=False)
class Evidence:
    """All folds of one way to hold out and one kind of queries."""

    held_out: HeldOut
    asked: Asked
    folds: Sequence[FoldCurves]


@dataclass(frozen=True, eq=False)
class Measured:
    """A fold with what was fitted on it and is asked of it, for further measurements."""

    held_out: HeldOut
    fold: Fold
    tasks: Sequence[Task]
    upgrades: Mapping[str, Upgrade]
    _generations: dict[tuple[str, str, int], tuple[NDArray[np.intp], Generations]] = field(
        default_factory=dict
    )

    def generations(
        self, method: str, order: str, seed: int
    ) -> tuple[NDArray[np.intp], Generations]:
        """The rows in that order and the maps on the way: the same for all queries and modes.

        Raises:
            InvalidInput: the method's upgrade can't give that order.
        """
        key = (method, order, seed)
        if key not in self._generations:
            upgrade, items = self.upgrades[method], self.fold.held_out
            rows = backfill_order(order, items, upgrade, seed=seed)
            # As the job would: on few items, so a large gallery gains more by it than is seen here.
            self._generations[key] = rows, Generations(upgrade, items, rows)
        return self._generations[key]


def measure_held_out(
    sample: Sample,
    kind: HeldOut,
    methods: Sequence[str],
    settings: FitSettings,
    *,
    splits: int,
    use_labels: bool,
    progress: ProgressCallback | None = None,
    on_step: Callable[[str], None] | None = None,
) -> tuple[list[Evidence], list[Measured]]:
    """Fit every method on each fold and measure it in every mode that it has.

    Args:
        splits: how many folds. use_labels: whether methods may see the pairs' classes.
        on_step: told, in a few words, what is being done.

    Returns:
        One evidence for each kind of queries (none where no held-out item is relevant to
        any), and the folds with what was fitted.
    """
    curves: dict[Asked, list[FoldCurves]] = {}
    measured: list[Measured] = []
    for number, fold in enumerate(folds(sample, kind, splits, settings.seed)):
        tasks = list(_tasks(sample, fold.held_out, settings.seed + number))
        if not tasks:
            continue
        upgrades: dict[str, Upgrade] = {}
        for method in methods:
            if on_step:
                on_step(f"held-out {kind.value}, part {number + 1}: {method}")
            upgrades[method] = fit_as_handed_on(
                sample, fold, method, settings, use_labels=use_labels, progress=progress
            )
        measured.append(Measured(kind, fold, tasks, upgrades))
        for task in tasks:
            curves.setdefault(task.asked, []).append(_fold_curves(sample, measured[-1], task))
    return [Evidence(kind, asked, found) for asked, found in curves.items()], measured


def fit_as_handed_on(
    sample: Sample,
    fold: Fold,
    method: str,
    settings: FitSettings,
    *,
    use_labels: bool,
    progress: ProgressCallback | None = None,
) -> Upgrade:
    """The method's upgrade by a fold's pairs, with its order and its offsets of items."""
    pairs = fold.fitting
    visible = use_labels and pairs.labels is not None
    seen = pairs if visible else pairs.without_labels()
    fitted = with_ordering(METHODS[method].load()(seen, settings, progress), seen, settings)
    # What its offsets are is read from items not fitted on.
    split = Split(fold.fitting, fold.held_out)
    return with_item_offset(fitted, fitted, split, settings, sample.log)[1]


def order_curve(
    measured: Measured, task: Task, candidate: Candidate, order: str, seed: int
) -> BackfillingCurve:
    """One candidate's curve on a fold in an order of backfilling.

    Raises:
        InvalidInput: the upgrade can't give that order.
    """
    upgrade, items = measured.upgrades[candidate.method], measured.fold.held_out
    rows, generations = measured.generations(candidate.method, order, seed)
    by_id = np.arange(len(items))
    scorer = GalleryScorer(upgrade, items, task.queries, by_id, candidate.mode, generations)
    return curve_from_scores(
        scorer, task.relevance, rows, COVERAGE, chunk_queries=scorer.chunk_queries
    )


def metric_of(sample: Sample, asked: Asked) -> str:
    """The metric that a kind of queries is judged by."""
    return sample.metric if asked in (Asked.QUERIES, Asked.ITEMS) else _MADE_METRIC


def candidates_of(upgrade: Upgrade) -> list[Candidate]:
    """The modes that a fitted method can search in; it needs both encoders or may do with one."""
    if upgrade.needs_old_query:
        return [Candidate(upgrade.method, Mode.TWO_ENCODER)]
    modes = [Mode.ONE_ENCODER]
    if upgrade.two_encoder is not None:
        modes.append(Mode.TWO_ENCODER)
    return [Candidate(upgrade.method, mode) for mode in modes]


def _fold_curves(sample: Sample, measured: Measured, task: Task) -> FoldCurves:
    metric = metric_of(sample, task.asked)
    curves = {
        candidate: order_curve(measured, task, candidate, "random", seed=0)
        for upgrade in measured.upgrades.values()
        for candidate in candidates_of(upgrade)
    }
    first = next(iter(curves.values()))
    return FoldCurves(
        merged={candidate: curve.merged[metric] for candidate, curve in curves.items()},
        old=first.old_old[metric],
        new=first.new_new[metric],
        groups=query_groups(task.relevance, first.queries),
        pairs=len(measured.fold.fitting),
        items=len(measured.fold.held_out),
    )


def _tasks(sample: Sample, held_out: Pairs, seed: int) -> Iterator[Task]:
    rng = np.random.default_rng([seed, 23])
    if sample.queries is None and not sample.gain_is_known:
        for made in made_queries(held_out.without_labels(), seed):
            queries = Pairs.of(np.arange(len(made.new)), made.old, made.new)
            yield Task(Asked(made.kind), queries, made.relevance)
        return
    asked = Asked.ITEMS if sample.queries is None else Asked.QUERIES
    asked = asked if sample.gain_is_known else Asked.AGREEMENT
    queries = held_out if sample.queries is None else sample.queries
    try:
        relevance = sample.relevance(queries, held_out)
    except InvalidInput:
        return  # a part in which nothing, or everything, is relevant measures nothing
    answerable = np.flatnonzero(relevance.counts() > 0)
    if len(answerable) == 0:
        return
    chosen = queries.subset(np.sort(rng.permutation(answerable)[:_MOST_QUERIES]))
    yield Task(asked, chosen, sample.relevance(chosen, held_out))
