"""Merges under the protocol: the same as ``evaluate`` where they are the same, exact ends."""

from __future__ import annotations

import numpy as np
import pytest

from crossfade import Pairs, evaluate
from crossfade.baselines import MERGES, evaluate_merge, evaluate_scores, with_isotonic_calibration
from crossfade.embeddings import Qrels
from crossfade.errors import InvalidInput
from crossfade.evaluation import METRICS, Scores
from crossfade.fit.api import fit
from crossfade.testing.worlds import make_world

WORLD = make_world(items=360, queries=50, noise_old=0.5)
FITTING, GALLERY = WORLD.gallery.subset(range(160)), WORLD.gallery.subset(range(160, 360))
RIDGE = fit(FITTING, "ridge")
ALL = [*MERGES, "isotonic"]


def shuffled(pairs: Pairs) -> Pairs:
    return pairs.subset(np.random.default_rng(5).permutation(len(pairs)))


@pytest.mark.parametrize("method", ["ridge", "rank_merge", "forward_ridge", "slerp_fixed"])
def test_a_raw_merge_is_what_evaluate_measures(method: str) -> None:
    upgrade = fit(FITTING, method)
    gallery = shuffled(GALLERY)
    merged = evaluate_merge(upgrade, gallery, WORLD.queries, merge="raw", steps=4, seed=3)
    known = evaluate(upgrade, gallery, WORLD.queries, steps=4, seed=3)
    assert merged.method == f"{method}+raw"
    assert merged.counts == known.counts
    for metric in METRICS:
        assert merged.metrics[metric] == pytest.approx(known.metrics[metric], abs=1e-9)
        assert merged.old_old[metric] == known.old_old[metric]
        assert merged.new_new[metric] == known.new_new[metric]
    assert merged.to_json().keys() == known.to_json().keys()


def test_an_isotonic_merge_is_evaluate_of_the_calibrated_upgrade() -> None:
    merged = evaluate_merge(RIDGE, GALLERY, WORLD.queries, merge="isotonic", pairs=FITTING, steps=3)
    known = evaluate(with_isotonic_calibration(RIDGE, FITTING), GALLERY, WORLD.queries, steps=3)
    assert merged.metrics["map"] == pytest.approx(known.metrics["map"], abs=1e-9)
    assert merged.method == known.method == "ridge+isotonic"


@pytest.mark.parametrize("merge", ALL)
def test_no_merge_changes_either_end(merge: str) -> None:
    merged = evaluate_merge(RIDGE, GALLERY, WORLD.queries, merge=merge, pairs=FITTING, steps=3)
    known = evaluate(RIDGE, GALLERY, WORLD.queries, steps=3)
    for metric in METRICS:
        for end in (0, -1):
            assert merged.metrics[metric][end] == pytest.approx(known.metrics[metric][end])


def test_the_querys_own_item_is_in_no_list() -> None:
    # Queries are the gallery's items: an own item at rank 1 would push its side down.
    merged = evaluate_merge(RIDGE, GALLERY, merge="rrf", steps=3)
    others = evaluate_merge(RIDGE, GALLERY, renamed(GALLERY), merge="rrf", steps=3)
    assert merged.counts.own_left_out == len(GALLERY)
    assert merged.metrics["cmc@1"][0] < others.metrics["cmc@1"][0]
    known = evaluate(RIDGE, GALLERY, steps=3)
    assert merged.metrics["map"][0] == pytest.approx(known.metrics["map"][0])


def renamed(pairs: Pairs) -> Pairs:
    return Pairs.of(10_000 + pairs.ids, pairs.old_rows(), pairs.new_rows(), pairs.labels)


def test_judgements_count_as_in_evaluate() -> None:
    qrels = Qrels({str(WORLD.queries.ids[0]): {str(GALLERY.ids[3]): 1, "nowhere": 1}})
    merged = evaluate_merge(RIDGE, GALLERY, WORLD.queries, merge="z_score", qrels=qrels, steps=2)
    assert merged.counts == evaluate(RIDGE, GALLERY, WORLD.queries, qrels=qrels, steps=2).counts
    assert merged.counts.queries == 1


def test_any_scores_can_be_measured_in_any_order() -> None:
    order = np.argsort(GALLERY.ids)[::-1]

    def scores(rows: np.ndarray) -> Scores:
        labels = GALLERY.labels[np.argsort(GALLERY.ids)]  # type: ignore[index]
        right = (WORLD.queries.labels[rows][:, None] == labels).astype(np.float32)  # type: ignore[index]
        return Scores(right, -right, right, -right)

    result = evaluate_scores(scores, GALLERY, WORLD.queries, order, method="oracle", steps=3)
    assert result.metrics["map"][-1] == 1.0
    assert result.metrics["map"][0] < 0.2
    assert (result.method, result.order) == ("oracle", "given")


def test_isotonic_without_pairs_and_unknown_names_are_refused() -> None:
    with pytest.raises(InvalidInput, match="give pairs"):
        evaluate_merge(RIDGE, GALLERY, WORLD.queries, merge="isotonic")
    with pytest.raises(InvalidInput, match="unknown merge 'sum'"):
        evaluate_merge(RIDGE, GALLERY, WORLD.queries, merge="sum")
    with pytest.raises(InvalidInput, match="unknown order"):
        evaluate_merge(RIDGE, GALLERY, WORLD.queries, merge="raw", order="best")


def test_scores_that_depend_on_coverage_are_refused() -> None:
    def scores(rows: np.ndarray) -> Scores:
        flat = np.zeros((len(rows), len(GALLERY)), np.float32)
        return Scores(flat, flat, flat, flat, new_at=lambda _: flat)

    with pytest.raises(InvalidInput, match="the same at every coverage"):
        evaluate_scores(scores, GALLERY, WORLD.queries, np.arange(200), method="fading")


def test_scores_that_hold_nan_are_refused() -> None:
    def scores(rows: np.ndarray) -> Scores:
        bad = np.full((len(rows), len(GALLERY)), np.nan, np.float32)
        return Scores(bad, bad, bad, bad)

    with pytest.raises(InvalidInput, match="NaN"):
        evaluate_scores(scores, GALLERY, WORLD.queries, np.arange(200), method="broken")
