"""``assess``: from a sample, the verdict, the predicted curves, and what to do."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from crossfade.assessment.evidence import Measured, measure_held_out
from crossfade.assessment.findings import findings
from crossfade.assessment.gain import Verdict, judge, measure_gain
from crossfade.assessment.more_pairs import MorePairs, gain_of_pairs
from crossfade.assessment.pace import check_seconds, pace_of
from crossfade.assessment.prediction import Prediction, predict
from crossfade.assessment.recommendation import Recommendation, recommend, recommend_order
from crossfade.assessment.result import Assessment
from crossfade.assessment.sample import Sample, check_sample
from crossfade.assessment.splits import FOLDS, kinds_of_splits
from crossfade.embeddings import Pairs, Qrels, QueryLog
from crossfade.errors import InvalidInput
from crossfade.evaluation.metrics import check_metric
from crossfade.fit.auto import candidates as auto_candidates
from crossfade.fit.item_offset import queries_used
from crossfade.fit.methods import method_named
from crossfade.fit.settings import FitSettings, ProgressCallback

__all__ = ["assess"]

_WITHOUT_MAP = "rank_merge_quantile"


def assess(
    pairs: Pairs,
    queries: Pairs | None = None,
    *,
    gallery: Pairs | None = None,
    qrels: Qrels | None = None,
    log: QueryLog | None = None,
    use_labels: bool = False,
    methods: Sequence[str] | None = None,
    metric: str | None = None,
    least_gain: float = 0.01,
    items: int | None = None,
    encode_seconds: float | None = None,
    rate: float | None = None,
    splits: int = 2,
    seed: int = 0,
    epochs: int | None = None,
    progress: ProgressCallback | None = None,
    on_step: Callable[[str], None] | None = None,
) -> Assessment:
    """Say from a sample whether an upgrade is worth it, and how its backfill will go.

    The gain is measured with both models alone, on everything that was given. Curves are
    predicted on items that nothing was fitted on: random ones (optimistic), and whole classes
    or clusters that fitting never saw (pessimistic).

    Args:
        pairs: a sample of the items in both spaces.
        queries: real queries in both spaces; without them, items with labels ask for their
            class.
        gallery: what the queries search; the pairs if it is not given.
        qrels: which gallery items are relevant to which query; without it, labels say it.
        log: other real queries, which :func:`crossfade.fit` will be given too; none of them may
            be among ``queries``.
        use_labels: let methods that learn from labels compete.
        methods: to compare; by default those of ``auto``, and rank merge by quantiles.
        metric: to judge by; by default MRR with qrels, mAP with labels.
        least_gain: the smallest gain worth having, as a share of the old model's metric.
        items: to backfill, by default as many as the gallery has.
        encode_seconds: of the new model an item; or ``rate``, items a second.
        splits: how many held-out parts of each kind, 1 to 3.
        seed: of splits, fits and bootstrap samples.
        epochs: of trained methods, at most.
        progress: called as fitting goes on. on_step: told what is being done.

    Raises:
        InvalidInput: too few pairs or logged queries, no relevant items, or settings that can't be.
        SpaceMismatch: sets of different widths.
        MissingExtra: a trained method without PyTorch.
    """
    started = time.monotonic()
    if metric is not None:
        check_metric(metric)
    seconds_an_item = check_seconds(encode_seconds, rate)
    _check(pairs, use_labels, splits, items, least_gain)
    sample = check_sample(pairs, queries, gallery, qrels, metric, log)
    settings = FitSettings().but(seed=seed, epochs=epochs)
    names = _methods(sample, methods, use_labels)
    if on_step:
        on_step("both models alone")
    gain = measure_gain(sample, seed, least_gain)
    verdict = judge(gain)
    notes = findings(sample)
    predictions: list[Prediction] = []
    recommendation: Recommendation | None = None
    more_pairs: list[MorePairs] = []
    logged = 0
    if verdict is not Verdict.REFUSE:
        measured: list[list[Measured]] = []
        for kind in kinds_of_splits(sample):
            evidence, folds = measure_held_out(
                sample,
                kind,
                names,
                settings,
                splits=splits,
                use_labels=use_labels,
                progress=progress,
                on_step=on_step,
            )
            measured.append(folds)
            if not evidence:
                notes.append(f"no held-out {kind.value} have anything relevant to a query")
            for one in evidence:
                predictions += predict(one, gain_is_known=sample.gain_is_known, seed=seed)
        if predictions:
            recommendation = recommend(predictions)
            order, added = recommend_order(
                sample, measured[-1] or measured[0], recommendation.candidate, seed
            )
            recommendation = replace(recommendation, order=order, order_gain=added)
            more_pairs = gain_of_pairs(
                sample,
                measured[0],
                recommendation.candidate.method,
                settings,
                use_labels=use_labels,
                progress=progress,
                on_step=on_step,
            )
            logged = _logged(sample, measured, recommendation.candidate.method)
    chosen = recommendation.candidate if recommendation else None
    return Assessment(
        verdict=verdict,
        gain=gain,
        source=pairs.source,
        target=pairs.target,
        predictions=predictions,
        recommendation=recommendation,
        more_pairs=more_pairs,
        pace=pace_of(
            len(sample.gallery) if items is None else items,
            seconds_an_item,
            [one for one in predictions if one.candidate == chosen],
        ),
        findings=notes,
        metric=sample.metric,
        pairs=len(pairs),
        logged=logged,
        seed=seed,
        seconds=time.monotonic() - started,
    )


def _check(
    pairs: Pairs, use_labels: bool, splits: int, items: int | None, least_gain: float
) -> None:
    if use_labels and (pairs.labels is None or len(np.unique(pairs.labels)) < 2):
        raise InvalidInput(
            "methods were to use labels, but the pairs hold none, or one class only; leave it "
            "out, or give pairs with an array 'labels'"
        )
    if not 1 <= splits <= FOLDS:
        raise InvalidInput(f"splits is {splits}, wanted 1 to {FOLDS}")
    if items is not None and items < 1:
        raise InvalidInput(f"items is {items}, wanted at least 1")
    if not 0 <= least_gain < 1:
        raise InvalidInput(f"least_gain is {least_gain}, wanted a share from 0 to 1")


def _logged(sample: Sample, measured: Sequence[Sequence[Measured]], method: str) -> int:
    """How many queries of the log a method's maps learned from."""
    offsets = [fold.upgrades[method].offset for folds in measured for fold in folds]
    return max(queries_used(sample.log, offset) for offset in offsets)


def _methods(sample: Sample, names: Sequence[str] | None, use_labels: bool) -> list[str]:
    if names is None:
        visible = sample.pairs if use_labels else sample.pairs.without_labels()
        return [*(method.name for method in auto_candidates(visible)), _WITHOUT_MAP]
    if not names:
        raise InvalidInput("methods is empty; name at least one, or leave it out")
    if isinstance(names, str):
        raise InvalidInput(f"methods is the text {names!r}, wanted a list: [{names!r}]")
    for name in names:
        if name == "auto":
            raise InvalidInput(
                "auto compares methods by itself, as assess does; leave methods out, or name some"
            )
        if method_named(name).needs_labels and not use_labels:
            raise InvalidInput(f"method {name!r} learns from labels; allow it (--labels)")
    return list(dict.fromkeys(names))
