"""Metrics against hand-computed cases, slow loops, ranx and scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import average_precision_score, ndcg_score

from crossfade.errors import InvalidInput
from crossfade.evaluation.metrics import METRICS, RankedRelevance, check_metric

GRADES = arrays(
    np.uint8, st.tuples(st.integers(1, 6), st.integers(1, 30)), elements=st.integers(0, 3)
)


def all_metrics(grades: object) -> dict[str, list[float]]:
    ranked = RankedRelevance.of(np.asarray(grades))
    return {name: metric(ranked).tolist() for name, metric in METRICS.items()}


def slowly(row: list[int]) -> dict[str, float]:
    """Every metric of one ranked list, from the textbook."""
    relevant = [rank for rank, grade in enumerate(row, start=1) if grade > 0]
    if not relevant:
        return dict.fromkeys(METRICS, math.nan)
    precisions = [sum(other <= rank for other in relevant) / rank for rank in relevant]

    def gain(grades: list[int]) -> float:
        return sum(grade / math.log2(rank + 1) for rank, grade in enumerate(grades[:10], start=1))

    return {
        "map": sum(precisions) / len(relevant),
        "cmc@1": float(row[0] > 0),
        "cmc@5": float(any(grade > 0 for grade in row[:5])),
        "recall@10": sum(grade > 0 for grade in row[:10]) / len(relevant),
        "ndcg@10": gain(row) / gain(sorted(row, reverse=True)),
        "mrr": 1.0 / relevant[0],
    }


def test_a_hand_computed_list() -> None:
    values = all_metrics([[0, 1, 0, 0, 0, 1]])
    assert values["map"] == [pytest.approx((1 / 2 + 2 / 6) / 2)]
    assert values["cmc@1"] == [0.0]
    assert values["cmc@5"] == [1.0]
    assert values["recall@10"] == [1.0]
    assert values["mrr"] == [0.5]
    best = 1 / math.log2(2) + 1 / math.log2(3)
    assert values["ndcg@10"] == [pytest.approx((1 / math.log2(3) + 1 / math.log2(7)) / best)]


def test_recall_and_ndcg_look_at_ten_items_only() -> None:
    values = all_metrics([[0] * 10 + [1, 1], [1] + [0] * 10 + [1]])
    assert values["recall@10"] == [0.0, 0.5]
    assert values["ndcg@10"][0] == 0.0


def test_the_best_order_of_more_than_ten_relevant_items_has_ndcg_one() -> None:
    assert all_metrics([[3] * 4 + [2] * 5 + [1] * 6])["ndcg@10"] == [pytest.approx(1.0)]


def test_a_query_without_a_relevant_item_has_no_value() -> None:
    for name, values in all_metrics([[0, 0], [1, 0]]).items():
        assert math.isnan(values[0]), name
        assert values[1] == 1.0, name


def test_no_queries_give_no_values() -> None:
    assert all(values == [] for values in all_metrics(np.zeros((0, 3))).values())


@given(GRADES)
def test_every_metric_agrees_with_the_slow_loop(grades: np.ndarray) -> None:
    fast = all_metrics(grades)
    for row, ranked in enumerate(grades.tolist()):
        for name, wanted in slowly(ranked).items():
            assert fast[name][row] == pytest.approx(wanted, nan_ok=True), name


@given(GRADES)
def test_a_query_is_scored_alike_alone_and_among_others(grades: np.ndarray) -> None:
    together = all_metrics(grades)
    for row in range(len(grades)):
        for name, alone in all_metrics(grades[row : row + 1]).items():
            assert np.array_equal(together[name][row : row + 1], alone, equal_nan=True), name


def graded_lists(q: int, n: int) -> np.ndarray:
    grades = np.random.default_rng(1).integers(0, 4, (q, n))
    grades[grades == 1] = 0
    grades[:, 0] = 1  # ranx scores a query without relevant items 0, we leave it out
    return np.random.default_rng(2).permuted(grades, axis=1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:unsafe cast from uint64")  # in ranx's own compiled code
def test_metrics_agree_with_ranx() -> None:
    import ranx  # compiles itself for half a minute

    grades = graded_lists(q=20, n=40)
    items = [f"item{column}" for column in range(40)]
    scores = dict(zip(items, np.linspace(1.0, 0.1, 40).tolist(), strict=True))
    qrels = {
        f"query{row}": {item: int(g) for item, g in zip(items, grades[row], strict=True) if g > 0}
        for row in range(20)
    }
    names = {
        "map": "map",
        "cmc@1": "hit_rate@1",
        "cmc@5": "hit_rate@5",
        "recall@10": "recall@10",
        "ndcg@10": "ndcg@10",
        "mrr": "mrr",
    }
    theirs = ranx.evaluate(
        ranx.Qrels(qrels), ranx.Run(dict.fromkeys(qrels, scores)), list(names.values())
    )
    ours = all_metrics(grades)
    for name, their_name in names.items():
        assert np.mean(ours[name]) == pytest.approx(theirs[their_name]), name


def test_average_precision_and_ndcg_agree_with_scikit_learn() -> None:
    grades = graded_lists(q=20, n=40)
    falling = np.tile(np.linspace(1.0, 0.0, 40), (20, 1))
    ours = all_metrics(grades)
    for row in range(20):
        wanted = average_precision_score(grades[row] > 0, falling[row])
        assert ours["map"][row] == pytest.approx(wanted)
    assert np.mean(ours["ndcg@10"]) == pytest.approx(ndcg_score(grades, falling, k=10))


def test_an_unknown_metric_is_refused_by_name() -> None:
    assert check_metric("map") == "map"
    with pytest.raises(InvalidInput, match=r"unknown metric 'mAP'; choose one of map, cmc@1"):
        check_metric("mAP")
