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

from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.embeddings import FloatArray, Pairs
from crossfade.errors import InvalidInput
from crossfade.evaluation.curve import coverage_grid, curve_from_scores
from crossfade.evaluation.orders import backfill_order, true_residual
from crossfade.fit.class_means import class_means
from crossfade.fit.clusters import cluster_means
from crossfade.fit.held_out import HeldOutQueries, Split, held_out_scores, made_queries
from crossfade.fit.settings import FitSettings
from crossfade.orders import RANDOM, TO_CHOOSE_FROM
from crossfade.upgrade import Affine, Ordering, Side, Upgrade
from crossfade.upgrade.ordering import order_features

__all__ = ["choose_order", "expected_gains", "with_chosen_order", "with_ordering"]

_MOST_ROWS, _MOST_GAIN_ROWS = 20_000, 3_000
_FEWEST_PAIRS = 64
_GAIN_TEMPERATURE = 0.1
_SMALLEST_PENALTY = 1e-3
_ROWS_PER_CLUSTER, _MOST_CLUSTERS = 40, 64
_STEPS = 6
_MOST_ITEMS, _MOST_QUERIES = 1_500, 200
_RANDOM_ORDERS = 3
_METRIC = "map"


def with_ordering(upgrade: Upgrade, pairs: Pairs, settings: FitSettings) -> Upgrade:
    """The upgrade with what orders go by; as it is if it has no map, or there are few pairs."""
    if upgrade.side is Side.NONE or len(pairs) < _FEWEST_PAIRS:
        return upgrade
    rows = np.sort(np.random.default_rng([settings.seed, 5]).permutation(len(pairs))[:_MOST_ROWS])
    old, new = pairs.old_rows(rows), pairs.new_rows(rows)
    centre = _centre(upgrade.store_new(new))
    features = order_features(old, upgrade.forward, centre)
    # Of a random sample the first rows are no random sample: they are sorted.
    few = np.arange(0, len(rows), -(-len(rows) // _MOST_GAIN_ROWS))
    ordering = Ordering(
        residual=_ranks_from(features, true_residual(upgrade, old, new)),
        gain=_ranks_from(features[few], expected_gains(upgrade, old[few], new[few])),
        centre=centre,
        cluster_means=cluster_means(
            old, max(1, min(_MOST_CLUSTERS, len(old) // _ROWS_PER_CLUSTER)), settings.seed
        ),
        class_means=None if pairs.labels is None else _class_means(old, pairs.labels[rows]),
    )
    return replace(upgrade, ordering=ordering)


def expected_gains(upgrade: Upgrade, old: FloatArray, new: FloatArray) -> NDArray[np.float64]:
    """How much moving each of ``(n,)`` items alone lifts the rankings of all the others."""
    stored = upgrade.store_new(new)
    moved = stored @ stored.T
    waiting = upgrade.old_side(new, old).scores(old, upgrade.map_items(old))
    change = moved - waiting
    np.fill_diagonal(change, 0.0)
    lift = _softmax_of_others(moved) - _softmax_of_others(waiting)
    return np.asarray((lift * change).mean(axis=0, dtype=np.float64) / _GAIN_TEMPERATURE)


def with_chosen_order(
    judged: Upgrade, final: Upgrade, split: Split, pairs: Pairs, settings: FitSettings
) -> tuple[Upgrade, dict[str, Any]]:
    """The upgrade that is handed on, with an order that held-out pairs speak for.

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
    return replace(complete, ordering=ordering), {"order": chosen, "orders": added}


def choose_order(upgrade: Upgrade, held_out: Pairs, seed: int) -> tuple[str, dict[str, float]]:
    """The order that adds most area to random order on held-out pairs, if it surely adds any.

    As for methods, the kind of made-up queries on which an order does worst counts.

    Returns:
        Its name, or ``"random"``; and of every order the area that it adds.
    """
    rows = np.sort(np.random.default_rng([seed, 6]).permutation(len(held_out))[:_MOST_ITEMS])
    items = held_out.subset(rows)
    kinds = made_queries(items, seed, _MOST_QUERIES)
    areas = [_areas(upgrade, items, queries, seed) for queries in kinds]
    added: dict[str, float] = {}
    best = RANDOM
    for order in [name for name in areas[0] if name != RANDOM]:
        gains = [own[order] - own[RANDOM] for own in areas]
        added[order] = round(float(min(gain.mean() for gain in gains)), 5)
        surely = all(gain.mean() > 2 * gain.std() / np.sqrt(len(gain)) for gain in gains)
        if surely and added[order] > added.get(best, 0.0):
            best = order
    return best, dict(sorted(added.items()))


def _areas(
    upgrade: Upgrade, items: Pairs, queries: HeldOutQueries, seed: int
) -> dict[str, NDArray[np.float64]]:
    """Area under each query's curve in each order that the upgrade can give."""
    scores = held_out_scores(upgrade, items, queries)

    def areas(order: str, order_seed: int) -> NDArray[np.float64]:
        rows = backfill_order(order, items, upgrade, seed=order_seed)
        curve = curve_from_scores(scores, queries.relevance, rows, coverage_grid(_STEPS))
        return np.asarray(np.trapezoid(curve.merged[_METRIC], curve.coverage, axis=0))

    found = {RANDOM: np.mean([areas(RANDOM, seed + at) for at in range(_RANDOM_ORDERS)], axis=0)}
    for order in TO_CHOOSE_FROM:
        with suppress(InvalidInput):  # not of this upgrade
            found[order] = areas(order, seed)
    return found


def _ranks_from(features: FloatArray, target: NDArray[np.floating]) -> Affine:
    """Ridge regression of the target's ranks, 0 to 1, on standardised features."""
    n, d = features.shape
    x = features.astype(np.float64)
    ranks = np.argsort(np.argsort(target, kind="stable"), kind="stable") / max(n - 1, 1)
    mean, deviation = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-9)
    z = (x - mean) / deviation
    penalty = min(1.0, max(_SMALLEST_PENALTY, 0.05 * (d / n) ** 2))
    inner = z.T @ z + penalty * n * np.eye(d)
    weight = np.linalg.solve(inner, z.T @ (ranks - ranks.mean())) / deviation
    bias = ranks.mean() - mean @ weight
    return Affine(weight[:, None].astype(np.float32), np.array([bias], dtype=np.float32))


def _softmax_of_others(scores: FloatArray) -> FloatArray:
    others = np.array(scores, dtype=np.float32) / np.float32(_GAIN_TEMPERATURE)
    np.fill_diagonal(others, -np.inf)
    others = np.exp(others - others.max(axis=1, keepdims=True))
    return np.asarray(others / others.sum(axis=1, keepdims=True))


def _centre(stored: FloatArray) -> FloatArray:
    mean = stored.mean(axis=0, dtype=np.float64)
    length = float(np.linalg.norm(mean))
    return np.asarray(mean / length if length > 0 else mean, dtype=np.float32)


def _class_means(old: FloatArray, labels: NDArray[Any]) -> FloatArray:
    names, codes = np.unique(labels, return_inverse=True)
    return class_means(old, codes, len(names))
