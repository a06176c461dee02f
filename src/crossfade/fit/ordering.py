"""What orders of backfilling go by, learned from the pairs without labels; and which is best.

Two predictions for an item, both linear in what its old vector says
(:func:`crossfade.upgrade.ordering.order_features`), fitted as ridge regressions of ranks among
the pairs, since both targets have long tails:

- the *residual*, how far the map misses the item: FastFill's uncertainty [Jaeckle2023] for any
  map, in closed form;
- the *gain*, how much moving the item alone would lift all rankings. With the new model's own
  ranking ``T_q = softmax_j(<n_q, n_j> / tau)`` as teacher and the list as it is before the
  backfill, ``S_q = softmax_j(s_qj / tau)``, the distillation loss ``-sum_j T_qj log S_qj`` falls
  by ``g_j = mean_q (T_qj - S_qj) (<n_q, n_j> - s_qj) / tau`` to first order when item j is moved.
  An item gains where it is relevant and found too low, and where it is not and found too high.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.embeddings import FloatArray, Pairs
from crossfade.evaluation.curve import coverage_grid, curve_from_scores
from crossfade.evaluation.orders import backfill_order, true_residual
from crossfade.fit.class_means import class_means
from crossfade.fit.clusters import cluster_means
from crossfade.fit.held_out import HeldOutQueries, Split, held_out_scores, made_queries
from crossfade.fit.settings import FitSettings
from crossfade.orders import EXPECTED_GAIN, PREDICTED_RESIDUAL, RANDOM
from crossfade.upgrade import Affine, Ordering, Side, Upgrade
from crossfade.upgrade.ordering import order_features

__all__ = ["choose_order", "expected_gains", "with_chosen_order", "with_ordering"]

_MOST_ROWS, _MOST_GAIN_ROWS = 20_000, 3_000
_FEWEST_PAIRS = 64
_GAIN_TEMPERATURE = 0.1
_SMALLEST_PENALTY = 1e-3
_ROWS_PER_CLUSTER, _MOST_CLUSTERS = 40, 64
_BLOCK_ROWS, _BLOCK_QUERIES = 2_048, 256
_MOST_CLUSTERED_ROWS = 5_000
_STEPS = 6
_MOST_ITEMS, _MOST_QUERIES = 1_500, 200
_RANDOM_ORDERS = 3
_SURE = 3.0
"""Standard errors: of a dozen data sets none should be vetoed by chance."""
_METRIC = "map"


def with_ordering(upgrade: Upgrade, pairs: Pairs, settings: FitSettings) -> Upgrade:
    """The upgrade with what orders go by; as it is if it has no map, or there are few pairs."""
    if upgrade.side is Side.NONE or len(pairs) < _FEWEST_PAIRS:
        return upgrade
    rows = np.sort(np.random.default_rng([settings.seed, 5]).permutation(len(pairs))[:_MOST_ROWS])
    # The rows are sorted: every so many of them are a random sample again.
    few = rows[:: -(-len(rows) // _MOST_GAIN_ROWS)]
    handed_on = upgrade
    if upgrade.forward is not None:
        # What a kernel repeats to the last digit has nothing to learn an order from.
        upgrade = replace(upgrade, forward=upgrade.forward.with_nugget_share(0.0))
    centre = _centre(upgrade, pairs, rows)
    residuals = [true_residual(upgrade, *both) for both in _blocks(pairs, rows)]
    gains = expected_gains(upgrade, pairs.old_rows(few), pairs.new_rows(few))
    ordering = Ordering(
        residual=_ranks_from(upgrade, centre, pairs, rows, np.concatenate(residuals)),
        gain=_ranks_from(upgrade, centre, pairs, few, gains),
        centre=centre,
        cluster_means=cluster_means(
            pairs.old_rows(rows[:: -(-len(rows) // _MOST_CLUSTERED_ROWS)]),
            max(1, min(_MOST_CLUSTERS, len(rows) // _ROWS_PER_CLUSTER)),
            settings.seed,
        ),
        class_means=None if pairs.labels is None else _class_means(pairs, rows),
    )
    return replace(handed_on, ordering=ordering)


def expected_gains(upgrade: Upgrade, old: FloatArray, new: FloatArray) -> NDArray[np.float64]:
    """How much moving each of ``(n,)`` items alone lifts the rankings of all the others."""
    stored, mapped = upgrade.store_new(new), upgrade.map_items(old)
    gains = np.zeros(len(old))
    for start in range(0, len(old), _BLOCK_QUERIES):
        asked = np.arange(start, min(start + _BLOCK_QUERIES, len(old)))
        own = (np.arange(len(asked)), asked)
        moved = stored[asked] @ stored.T
        waiting = upgrade.old_side(new[asked], old[asked]).scores(old, mapped)
        change = moved - waiting
        change[own] = 0.0
        lift = _softmax_of_others(moved, own) - _softmax_of_others(waiting, own)
        gains += (lift * change).sum(axis=0, dtype=np.float64)
    return gains / (len(old) * _GAIN_TEMPERATURE)


def with_chosen_order(
    judged: Upgrade, final: Upgrade, split: Split, pairs: Pairs, settings: FitSettings
) -> tuple[Upgrade, dict[str, Any]]:
    """The upgrade that is handed on, with an order that held-out pairs don't speak against.

    Args:
        judged: fitted on ``split.fitting`` alone. final: handed on; fitted on ``pairs``.

    Returns:
        The upgrade, and what the report says of orders.
    """
    with_orders = with_ordering(judged, split.fitting, settings)
    if with_orders.ordering is None:
        return final, {}
    chosen, added = choose_order(with_orders, split.held_out, settings.seed)
    complete = with_orders if final is judged else with_ordering(final, pairs, settings)
    assert complete.ordering is not None
    ordering = replace(complete.ordering, chosen=chosen)
    return replace(complete, ordering=ordering), {"order": chosen, "order_added_area": added}


def choose_order(upgrade: Upgrade, held_out: Pairs, seed: int) -> tuple[str, dict[str, float]]:
    """What suits the map, or ``random`` where held-out pairs say that it surely harms.

    That is ``expected_gain``, but for a kernel map ``predicted_residual``: on the items that it was
    fitted on, from which both are learned, nearly nothing is left to gain.

    Held-out pairs warn, they don't choose: made-up queries are too few and too unlike real
    ones to rank orders whose areas differ by a few hundredths (``docs/experiments.md``,
    "Orders of backfilling"). Over all data sets measured these are the safest.

    Returns:
        Its name; and the area that the order which suits adds, for each kind of made-up queries.
    """
    order = PREDICTED_RESIDUAL if upgrade.has_kernel else EXPECTED_GAIN
    rows = np.sort(np.random.default_rng([seed, 6]).permutation(len(held_out))[:_MOST_ITEMS])
    items = held_out.subset(rows)
    added: dict[str, float] = {}
    harms = False
    for queries in made_queries(items, seed, _MOST_QUERIES):
        gains = _added_areas(upgrade, order, items, queries, seed)
        added[queries.kind] = round(float(gains.mean()), 5)
        harms = harms or bool(gains.mean() < -_SURE * gains.std() / np.sqrt(len(gains)))
    return RANDOM if harms else order, added


def _added_areas(
    upgrade: Upgrade, order: str, items: Pairs, queries: HeldOutQueries, seed: int
) -> NDArray[np.float64]:
    """What an order adds to the area under each query's curve, ``(q,)``."""
    scores = held_out_scores(upgrade, items, queries)
    upgrade = upgrade.without_refits()

    def areas(by: str, order_seed: int) -> NDArray[np.float64]:
        rows = backfill_order(by, items, upgrade, seed=order_seed)
        curve = curve_from_scores(scores, queries.relevance, rows, coverage_grid(_STEPS))
        return np.asarray(np.trapezoid(curve.merged[_METRIC], curve.coverage, axis=0))

    random = np.mean([areas(RANDOM, seed + at) for at in range(_RANDOM_ORDERS)], axis=0)
    return np.asarray(areas(order, seed) - random)


def _ranks_from(
    upgrade: Upgrade,
    centre: FloatArray,
    pairs: Pairs,
    rows: NDArray[np.intp],
    target: NDArray[np.floating],
) -> Affine:
    """Ridge regression of the target's ranks, 0 to 1, on standardised features of the rows."""
    n = len(rows)
    ranks = np.argsort(np.argsort(target, kind="stable"), kind="stable") / max(n - 1, 1)
    ranks = ranks - ranks.mean()
    sums: NDArray[np.float64] | float = 0.0
    products: NDArray[np.float64] | float = 0.0
    with_ranks: NDArray[np.float64] | float = 0.0
    start = 0
    for old, _ in _blocks(pairs, rows):
        x = order_features(old, upgrade.forward, centre).astype(np.float64)
        sums = sums + x.sum(axis=0)
        products = products + x.T @ x
        with_ranks = with_ranks + x.T @ ranks[start : start + len(x)]
        start += len(x)
    mean = np.asarray(sums) / n
    covariance = np.asarray(products) / n - np.outer(mean, mean)
    deviation = np.sqrt(np.maximum(np.diag(covariance), 1e-12))
    d = len(mean)
    penalty = min(1.0, max(_SMALLEST_PENALTY, 0.05 * (d / n) ** 2))
    inner = covariance / np.outer(deviation, deviation) + penalty * np.eye(d)
    weight = np.linalg.solve(inner, np.asarray(with_ranks) / n / deviation) / deviation
    bias = 0.5 - mean @ weight
    return Affine(weight[:, None].astype(np.float32), np.array([bias], dtype=np.float32))


def _blocks(pairs: Pairs, rows: NDArray[np.intp]) -> Iterator[tuple[FloatArray, FloatArray]]:
    for start in range(0, len(rows), _BLOCK_ROWS):
        part = rows[start : start + _BLOCK_ROWS]
        yield pairs.old_rows(part), pairs.new_rows(part)


def _softmax_of_others(
    scores: FloatArray, own: tuple[NDArray[np.intp], NDArray[np.intp]]
) -> FloatArray:
    others = np.array(scores, dtype=np.float32) / np.float32(_GAIN_TEMPERATURE)
    others[own] = -np.inf
    others = np.exp(others - others.max(axis=1, keepdims=True))
    return np.asarray(others / others.sum(axis=1, keepdims=True))


def _centre(upgrade: Upgrade, pairs: Pairs, rows: NDArray[np.intp]) -> FloatArray:
    total = np.zeros(upgrade.target.dim)
    for _, new in _blocks(pairs, rows):
        total += upgrade.store_new(new).sum(axis=0, dtype=np.float64)
    length = float(np.linalg.norm(total))
    return np.asarray(total / length if length > 0 else total, dtype=np.float32)


def _class_means(pairs: Pairs, rows: NDArray[np.intp]) -> FloatArray:
    assert pairs.labels is not None
    names, codes = np.unique(pairs.labels[rows], return_inverse=True)
    return class_means(pairs.old_rows(rows), codes, len(names))
