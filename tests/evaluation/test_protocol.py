"""The protocol on small upgrades: what it measures at each coverage, in each mode."""

from __future__ import annotations

import numpy as np
import pytest
from known_upgrades import GALLERY, QUERIES, UPGRADES, forward, plain_map, reverse, turned

from crossfade.evaluation import METRICS, evaluate
from crossfade.evaluation.orders import backfill_order


@pytest.mark.parametrize("name", ["reverse", "forward", "merging", "calibrated"])
def test_at_coverage_one_the_answer_is_the_new_models(name: str) -> None:
    result = evaluate(UPGRADES[name], GALLERY, QUERIES)
    wanted = plain_map(QUERIES.new, GALLERY.new, own=False)
    assert result.curve.merged["map"][-1] == pytest.approx(wanted)
    for metric in METRICS:
        assert result.metrics[metric][-1] == result.new_new[metric]
        assert result.end_point[metric] == 0.0


def test_at_coverage_zero_rank_merge_is_the_old_system() -> None:
    result = evaluate(UPGRADES["calibrated"], GALLERY, QUERIES)
    assert result.old_old["map"] == pytest.approx(
        np.mean(plain_map(QUERIES.old, GALLERY.old, own=False))
    )
    assert {name: values[0] for name, values in result.metrics.items()} == result.old_old
    assert result.negative_flips[0] == 0.0


def test_at_coverage_zero_a_reverse_map_searches_the_old_vectors() -> None:
    upgrade = UPGRADES["reverse"]
    assert upgrade.psi is not None
    result = evaluate(upgrade, GALLERY, QUERIES)
    wanted = plain_map(upgrade.psi(QUERIES.new), GALLERY.old, own=False)
    assert result.curve.merged["map"][0] == pytest.approx(wanted)


def test_at_coverage_zero_a_forward_map_searches_the_mapped_vectors() -> None:
    upgrade = UPGRADES["with rho"]
    mapped = upgrade.map_items(GALLERY.old)
    assert mapped is not None
    result = evaluate(upgrade, GALLERY, QUERIES)
    wanted = plain_map(upgrade.store_new(QUERIES.new), mapped, own=False)
    assert result.curve.merged["map"][0] == pytest.approx(wanted)


def test_rho_moves_the_end_of_the_curve_but_not_the_new_models_cell() -> None:
    result = evaluate(UPGRADES["with rho"], GALLERY, QUERIES)
    stored = UPGRADES["with rho"].store_new
    wanted = plain_map(stored(QUERIES.new), stored(GALLERY.new), own=False)
    assert result.curve.merged["map"][-1] == pytest.approx(wanted)
    assert result.new_new["map"] == pytest.approx(
        np.mean(plain_map(QUERIES.new, GALLERY.new, own=False))
    )
    assert result.end_point["map"] != 0.0


@pytest.mark.parametrize("name", sorted(UPGRADES))
def test_the_old_mode_is_the_old_system_at_every_coverage(name: str) -> None:
    result = evaluate(UPGRADES[name], GALLERY, QUERIES, mode="old")
    for metric, values in result.metrics.items():
        assert values == [result.old_old[metric]] * 11
    assert result.new_new == evaluate(UPGRADES[name], GALLERY, QUERIES).new_new
    assert result.negative_flips == [0.0] * 11


def test_two_encoder_mode_uses_the_old_query_too() -> None:
    one = evaluate(UPGRADES["forward"], GALLERY, QUERIES)
    two = evaluate(UPGRADES["forward"], GALLERY, QUERIES, mode="two-encoder")
    upgrade = UPGRADES["forward"]
    combined = upgrade.old_side(QUERIES.new, QUERIES.old, "two-encoder").scores(
        GALLERY.old, upgrade.map_items(GALLERY.old)
    )
    ranked = combined.argsort(axis=1)[:, ::-1]
    right = GALLERY.labels[ranked[:, 0]] == QUERIES.labels
    assert two.metrics["cmc@1"][0] == pytest.approx(np.mean(right))
    assert two.metrics["map"][0] != one.metrics["map"][0]
    assert two.metrics["map"][-1] == one.metrics["map"][-1]


def test_in_two_encoder_mode_backfilled_items_score_by_both_models_as_far_as_they_are() -> None:
    upgrade = UPGRADES["forward"]
    result = evaluate(upgrade, GALLERY, QUERIES, mode="two-encoder", steps=5)
    by_id = np.argsort(GALLERY.ids, kind="stable")
    order = backfill_order("random", GALLERY, upgrade, seed=0)
    queries = upgrade.old_side(QUERIES.new, QUERIES.old, "two-encoder")
    waiting = queries.scores(GALLERY.old, upgrade.map_items(GALLERY.old))
    for step, coverage in enumerate(result.coverage):
        moved = np.isin(np.arange(60), order[: round(coverage * 60)])
        both = queries.backfilled(
            QUERIES.new @ GALLERY.new.T, QUERIES.old @ GALLERY.old.T, coverage
        )
        merged = np.where(moved, both, waiting)[:, by_id]
        ranked = by_id[np.argsort(-merged, axis=1, kind="stable")]
        right = GALLERY.labels[ranked[:, 0]] == QUERIES.labels
        assert result.metrics["cmc@1"][step] == pytest.approx(np.mean(right))
    assert result.metrics["map"][-1] == pytest.approx(result.new_new["map"])


def test_an_exact_map_of_an_exact_rotation_gives_a_flat_curve() -> None:
    gallery, queries = turned(60, seed=3), turned(20, seed=4)
    for upgrade in (reverse(gallery), forward(gallery)):
        result = evaluate(upgrade, gallery, queries)
        assert result.metrics["map"] == pytest.approx([result.old_old["map"]] * 11)
        assert result.worst_point["map"] == pytest.approx(0.0, abs=1e-6)
