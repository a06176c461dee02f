"""The protocol: one upgrade on one gallery and its queries, from coverage 0 to 1.

At coverage c the first ``round(c * n)`` items of the order are backfilled. A backfilled item
scores ``rho(q_new) . rho(g_new)`` (rho is the identity if there is none), any other item what
the upgrade makes of it; every query ranks the whole gallery by these. The two ends of the
gain are the untouched models: ``old_old`` is ``q_old . g_old``, ``new_new`` is
``q_new . g_new`` without rho, so that a rho may end above it.
(Seo et al., *Metric Compatible Training for Online Backfilling*, WACV 2025, section 3.)
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from crossfade.embeddings import IgnoredItems, Pairs, Qrels, QueryLog
from crossfade.errors import InvalidInput, SpaceMismatch, require_instance
from crossfade.evaluation.curve import BackfillingCurve, coverage_grid, curve_from_scores
from crossfade.evaluation.distributions import ScoreDistributions, sample_distributions
from crossfade.evaluation.orders import backfill_order
from crossfade.evaluation.refits import Generations, for_gallery
from crossfade.evaluation.relevance import (
    JudgedRelevance,
    Relevance,
    RelevanceWithoutIgnored,
    relevance_of,
)
from crossfade.evaluation.result import Counts, EvaluationResult
from crossfade.evaluation.scoring import GalleryScorer
from crossfade.upgrade import (
    Mode,
    UnlikeQueriesWarning,
    Upgrade,
    queries_to_teach,
    teaches_more,
    why_harmful,
)

__all__ = ["evaluate"]

_SAMPLED_QUERIES = 128


def evaluate(
    upgrade: Upgrade,
    gallery_set: Pairs,
    query_set: Pairs | None = None,
    *,
    qrels: Qrels | None = None,
    ignored: IgnoredItems | None = None,
    steps: int = 11,
    order: str = "random",
    seed: int = 0,
    mode: Mode | str = Mode.ONE_ENCODER,
    refit: bool = True,
    recorded: QueryLog | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> EvaluationResult:
    """Measure the backfilling curve of an upgrade by full-gallery ranking.

    Args:
        gallery_set: the items, in both spaces.
        query_set: the queries, in both spaces; without it every gallery item that has a
            relevant mate is a query. A query whose id is in the gallery leaves itself out.
        qrels: what is relevant; without it, items of the query's label are.
        ignored: items that some queries leave out of their ranking.
        steps: how many coverages, evenly spaced from 0 to 1.
        order: in which order items are backfilled: one of :mod:`crossfade.orders`, or
            ``oracle``, the true residual.
        seed: of the order.
        mode: how queries search; ``"old"`` measures the old system at every coverage.
        refit: whether the backfill fits the forward map again on its way, if the upgrade can,
            as :class:`crossfade.Backfill` does.
        recorded: queries that the service has answered by the time that the backfill fits again
            for the first time, and learns from, unless it was fitted with more than half as
            many, or they find nothing near (``UnlikeQueriesWarning``); none of them is to be in
            ``query_set``. The result says from how many it has learned.
        on_progress: called with the queries done and the queries in all.

    Raises:
        SpaceMismatch: widths that are not the upgrade's.
        InvalidInput: an empty set, neither labels nor qrels, nothing relevant at all, fewer
            than two steps, an unknown order or mode, a mode that the upgrade can't do, or
            recorded queries that can't teach it.
    """
    require_instance(upgrade, Upgrade, "upgrade", "Upgrade.load(folder), or fit(pairs)")
    queries = gallery_set if query_set is None else query_set
    for role, given in (("gallery_set", gallery_set), ("query_set", queries)):
        require_instance(given, Pairs, role, "Pairs.load(path), or Pairs.of(ids, old, new)")
    if qrels is not None:
        require_instance(qrels, Qrels, "qrels", "Qrels.load(path)")
    if ignored is not None:
        require_instance(ignored, IgnoredItems, "ignored", "IgnoredItems.load(path)")
    if recorded is not None:
        require_instance(recorded, QueryLog, "recorded", "QueryLog.load(path)")
    search_mode = _check_mode(mode, upgrade)
    if seed < 0:
        raise InvalidInput(f"seed is {seed}, wanted a whole number from 0")
    coverage = coverage_grid(steps)
    _check_set("gallery", gallery_set, upgrade)
    _check_set("query", queries, upgrade)
    by_id = np.argsort(gallery_set.ids, kind="stable")
    ordered_by = upgrade if refit else upgrade.without_refits()
    rows_in_order = backfill_order(order, gallery_set, ordered_by, seed=seed)
    columns = np.empty_like(by_id)
    columns[by_id] = np.arange(len(by_id))
    relevance = _relevance(queries, gallery_set, by_id, qrels, ignored)
    upgrade = for_gallery(upgrade, gallery_set)
    learned_from = None if recorded is None else _learned_from(upgrade, recorded, refit=refit)
    generations = None
    if refit:
        generations = Generations(upgrade, gallery_set, rows_in_order, learned_from)
    scorer = GalleryScorer(upgrade, gallery_set, queries, by_id, search_mode, generations)
    curve = curve_from_scores(
        scorer,
        relevance,
        columns[rows_in_order],
        coverage,
        chunk_queries=scorer.chunk_queries,
        on_progress=on_progress,
    )
    return EvaluationResult(
        method=upgrade.method,
        source=upgrade.source,
        target=upgrade.target,
        order=order,
        seed=seed,
        mode=search_mode,
        counts=_counts(curve, relevance, len(gallery_set), len(queries)),
        curve=curve,
        distributions=_distributions(scorer, relevance, curve, seed),
        learned_from=0 if generations is None else generations.learned_from,
    )


def _learned_from(upgrade: Upgrade, recorded: QueryLog, *, refit: bool) -> QueryLog | None:
    """The recorded queries, if a gallery learns from so many."""
    if not refit:
        raise InvalidInput(
            "recorded queries teach a gallery when its map is fitted again, and refit=False leaves "
            "that out; leave one of them out"
        )
    queries = queries_to_teach(upgrade, recorded)
    if (unlike := why_harmful(upgrade, queries)) is not None:
        # As the job does, see backfill/recorded.py.
        warnings.warn(
            f"nothing is learned from recorded queries: {unlike}", UnlikeQueriesWarning, 3
        )
        return None
    return queries if teaches_more(upgrade, 0, len(queries)) else None


def _check_mode(mode: Mode | str, upgrade: Upgrade) -> Mode:
    try:
        checked = Mode(mode)
    except ValueError as error:
        names = ", ".join(known.value for known in Mode)
        raise InvalidInput(f"unknown mode {mode!r}; choose one of {names}") from error
    if checked is Mode.TWO_ENCODER and not upgrade.can_use_two_encoders:
        raise InvalidInput(
            f"this upgrade (method {upgrade.method!r}) carries nothing to combine both models' "
            "scores with; evaluate it in one-encoder mode, or fit it for two encoders"
        )
    return checked


def _check_set(role: str, pairs: Pairs, upgrade: Upgrade) -> None:
    if len(pairs) == 0:
        raise InvalidInput(f"the {role} set is empty; give at least one item")
    for side, got, wanted in (
        ("old", pairs.source.dim, upgrade.source.dim),
        ("new", pairs.target.dim, upgrade.target.dim),
    ):
        if got != wanted:
            raise SpaceMismatch(
                f"the {role} set's {side} embeddings have {got} dimensions, the upgrade was "
                f"fitted for {wanted}; evaluate with embeddings of the models it was fitted on"
            )


def _relevance(
    queries: Pairs,
    gallery: Pairs,
    by_id: NDArray[np.intp],
    qrels: Qrels | None,
    ignored: IgnoredItems | None,
) -> Relevance:
    labels = None if gallery.labels is None else gallery.labels[by_id]
    # Only ids and labels matter here; the vectors stay where they are.
    columns = replace(gallery, ids=gallery.ids[by_id], labels=labels)
    return relevance_of(queries, columns, qrels, ignored)


def _counts(curve: BackfillingCurve, relevance: Relevance, n: int, q: int) -> Counts:
    judged, ignored_items = relevance, 0
    if isinstance(relevance, RelevanceWithoutIgnored):
        judged, ignored_items = relevance.inner, len(relevance.columns)
    return Counts(
        gallery=n,
        queries=len(curve.queries),
        skipped=q - len(curve.queries),
        own_left_out=int(np.count_nonzero(relevance.own[curve.queries] >= 0)),
        ignored_judgements=judged.ignored if isinstance(judged, JudgedRelevance) else 0,
        ignored_items=ignored_items,
    )


def _distributions(
    scorer: GalleryScorer, relevance: Relevance, curve: BackfillingCurve, seed: int
) -> ScoreDistributions:
    size = min(_SAMPLED_QUERIES, scorer.chunk_queries, len(curve.queries))
    rows = np.sort(np.random.default_rng(seed).choice(curve.queries, size, replace=False))
    return sample_distributions(scorer(rows), relevance, rows, seed=seed)
