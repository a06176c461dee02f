"""The protocol on small upgrades whose answers are known."""

from __future__ import annotations

import json
import math
import resource
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from crossfade.embeddings import IgnoredItems, Pairs, Qrels, Space
from crossfade.errors import InvalidInput, SpaceMismatch
from crossfade.evaluation import METRICS, EvaluationResult, evaluate
from crossfade.evaluation.orders import backfill_order
from crossfade.upgrade import Affine, Calibration, Side, Transform, TwoEncoder, Upgrade

Change = Callable[[Pairs], Pairs]


def rotation(dim: int) -> NDArray[np.float32]:
    random = np.random.default_rng(5).normal(size=(dim, dim))
    return np.linalg.qr(random)[0].astype(np.float32)


def linear(weight: NDArray[np.float32]) -> Transform:
    return Transform(skip=Affine(weight, np.zeros(weight.shape[1], dtype=np.float32)))


def clustered(n: int, *, seed: int, old_noise: float = 1.5, dim: int = 6) -> Pairs:
    """Items of five classes; the old model is a noisier view in fewer dimensions."""
    generator = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(5, dim))
    labels = generator.integers(0, 5, n)
    new = centres[labels] + 0.5 * generator.normal(size=(n, dim))
    old = (new + old_noise * generator.normal(size=(n, dim)))[:, : dim - 2]
    ids = 1_000_000 * seed + generator.permutation(10 * n)[:n]  # no id in two sets
    return Pairs.of(ids, old, new, labels)


def turned(n: int, *, seed: int) -> Pairs:
    """A new model that is the old one in another basis."""
    pairs = clustered(n, seed=seed)
    old = pairs.new
    return Pairs.of(pairs.ids, old, old @ rotation(old.shape[1]), pairs.labels)


def reverse(pairs: Pairs) -> Upgrade:
    weight = np.linalg.lstsq(pairs.new, pairs.old, rcond=None)[0].astype(np.float32)
    return Upgrade("ridge", pairs.source, pairs.target, Side.QUERY, psi=linear(weight))


def forward(pairs: Pairs, rho: Transform | None = None) -> Upgrade:
    weight = np.linalg.lstsq(pairs.old, pairs.new, rcond=None)[0].astype(np.float32)
    return Upgrade(
        "forward_ridge",
        pairs.source,
        pairs.target,
        Side.ITEMS,
        forward=linear(weight),
        rho=rho,
        two_encoder=TwoEncoder(0.4, 0.5, pairs.old[:50], pairs.new[:50]),
    )


def merging(pairs: Pairs, calibration: Calibration | None = None) -> Upgrade:
    return Upgrade(
        "rank_merge",
        pairs.source,
        pairs.target,
        Side.NONE,
        calibration=calibration or Calibration(),
    )


GALLERY, QUERIES = clustered(60, seed=1), clustered(25, seed=2)
RHO = Transform(
    skip=True,
    layers=(Affine(0.5 * rotation(6), np.zeros(6, dtype=np.float32)),),
)
UPGRADES = {
    "reverse": reverse(GALLERY),
    "forward": forward(GALLERY),
    "merging": merging(GALLERY),
    "calibrated": merging(GALLERY, Calibration.affine(0.5, 0.2)),
    "with rho": forward(GALLERY, RHO),
}


def plain_map(queries: NDArray[np.float32], items: NDArray[np.float32], own: bool) -> list[float]:
    """mAP of one model alone, the slow way; with ``own`` the queries are the gallery."""
    values = []
    labels = GALLERY.labels if own else QUERIES.labels
    for row, query in enumerate(queries):
        scores = items @ query
        columns = sorted(range(len(items)), key=lambda c: (-scores[c], GALLERY.ids[c]))
        relevant = [GALLERY.labels[c] == labels[row] for c in columns if not (own and c == row)]
        hits = np.cumsum(relevant)
        values.append(float(np.mean([hits[r] / (r + 1) for r in np.flatnonzero(relevant)])))
    return values


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


def test_a_query_whose_id_is_in_the_gallery_leaves_that_item_out() -> None:
    ids = QUERIES.ids.copy()
    ids[4] = GALLERY.ids[9]
    apart = evaluate(UPGRADES["merging"], GALLERY, QUERIES)
    shared = evaluate(UPGRADES["merging"], GALLERY, replace(QUERIES, ids=ids))
    assert (apart.counts.own_left_out, shared.counts.own_left_out) == (0, 1)
    others = np.delete(np.arange(60), 9)
    without = evaluate(UPGRADES["merging"], GALLERY.subset(others), QUERIES)
    assert shared.curve.old_old["map"][4] == without.curve.old_old["map"][4]
    assert shared.curve.new_new["mrr"][4] == without.curve.new_new["mrr"][4]


def test_without_queries_every_item_with_a_mate_is_one_and_leaves_itself_out() -> None:
    labels = GALLERY.labels.copy()
    labels[7] = 77
    result = evaluate(UPGRADES["merging"], replace(GALLERY, labels=labels))
    assert result.counts.queries == result.counts.own_left_out == 59
    assert result.counts.skipped == 1
    plain = evaluate(UPGRADES["merging"], GALLERY)
    assert plain.old_old["map"] == pytest.approx(
        np.mean(plain_map(GALLERY.old, GALLERY.old, own=True))
    )


def test_an_exact_map_of_an_exact_rotation_gives_a_flat_curve() -> None:
    gallery, queries = turned(60, seed=3), turned(20, seed=4)
    for upgrade in (reverse(gallery), forward(gallery)):
        result = evaluate(upgrade, gallery, queries)
        assert result.metrics["map"] == pytest.approx([result.old_old["map"]] * 11)
        assert result.worst_point["map"] == pytest.approx(0.0, abs=1e-6)


def test_two_equal_spaces_have_no_gain_share_and_say_null() -> None:
    same = Pairs.of(GALLERY.ids, GALLERY.new, GALLERY.new, GALLERY.labels)
    result = evaluate(merging(same), same)
    assert all(math.isnan(value) for value in result.gain_share.values())
    assert set(result.to_json()["gain_share"].values()) == {None}
    assert set(result.worst_point.values()) == set(result.drop.values()) == {0.0}


@settings(max_examples=20)
@given(st.randoms(use_true_random=False), st.sampled_from(sorted(UPGRADES)))
def test_the_row_order_of_the_gallery_does_not_matter(random: object, name: str) -> None:
    rows = list(range(len(GALLERY)))
    random.shuffle(rows)  # type: ignore[attr-defined]
    plain = evaluate(UPGRADES[name], GALLERY, QUERIES, steps=4)
    shuffled = evaluate(UPGRADES[name], GALLERY.subset(rows), QUERIES, steps=4)
    assert shuffled.metrics == plain.metrics
    assert shuffled.negative_flips == plain.negative_flips


def test_equal_items_are_ranked_by_id() -> None:
    one = np.ones((3, 2), dtype=np.float32)
    gallery = Pairs.of([30, 4, 100], one, one)
    query = Pairs.of([7], one[:1], one[:1])
    for item, rank in ((4, 1), (30, 2), (100, 3)):
        qrels = Qrels({"7": {str(item): 1}})
        result = evaluate(merging(gallery), gallery, query, qrels=qrels, steps=4)
        assert result.metrics["mrr"] == [1 / rank] * 4


def test_judgements_give_every_metric_and_the_ignored_are_counted() -> None:
    qrels = Qrels(
        {
            str(QUERIES.ids[0]): {str(GALLERY.ids[3]): 2, str(GALLERY.ids[5]): 1, "none": 1},
            str(QUERIES.ids[1]): {str(GALLERY.ids[4]): 1},
            "nobody": {str(GALLERY.ids[3]): 1},
        }
    )
    result = evaluate(UPGRADES["forward"], GALLERY, QUERIES, qrels=qrels)
    assert result.counts.queries == 2
    assert result.counts.skipped == 23
    assert result.counts.ignored_judgements == 2
    assert set(result.metrics) == set(METRICS)


def test_memory_mapped_pairs_give_the_same_result(tmp_path: Path) -> None:
    GALLERY.save(tmp_path / "gallery")
    mapped = Pairs.load(tmp_path / "gallery")
    assert isinstance(mapped.new, np.memmap)
    assert (
        evaluate(UPGRADES["forward"], mapped, QUERIES).to_json()
        == evaluate(UPGRADES["forward"], GALLERY, QUERIES).to_json()
    )


def test_a_gallery_too_large_to_keep_is_read_block_by_block(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = evaluate(UPGRADES["with rho"], GALLERY, QUERIES)
    monkeypatch.setattr("crossfade.evaluation.scoring._KEPT_BYTES", 0)
    monkeypatch.setattr("crossfade.evaluation.scoring._BLOCK_ROWS", 7)
    monkeypatch.setattr("crossfade.evaluation.scoring._STREAMED_CHUNK_SCORES", 300)
    streamed = evaluate(UPGRADES["with rho"], GALLERY, QUERIES)
    for metric in METRICS:
        assert streamed.metrics[metric] == pytest.approx(kept.metrics[metric])


def test_the_seed_is_the_orders_and_the_same_seed_gives_the_same_result() -> None:
    first, again, other = (
        evaluate(UPGRADES["forward"], GALLERY, QUERIES, seed=seed) for seed in (1, 1, 2)
    )
    assert first.to_json() == again.to_json()
    assert first.metrics["map"] != other.metrics["map"]
    assert first.metrics["map"][0] == other.metrics["map"][0]


def test_the_json_object_holds_every_key_and_survives_strict_json() -> None:
    result = evaluate(UPGRADES["forward"], GALLERY, QUERIES, steps=5)
    parsed = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert parsed["method"] == "forward_ridge"
    assert (parsed["order"], parsed["seed"], parsed["mode"]) == ("random", 0, "one-encoder")
    assert parsed["coverage"] == [0.0, 0.25, 0.5, 0.75, 1.0]
    for key in ("old_old", "new_new", "gain_share", "worst_point", "drop", "end_point", "auc"):
        assert list(parsed[key]) == list(METRICS), key
    assert {name: len(values) for name, values in parsed["metrics"].items()} == dict.fromkeys(
        METRICS, 5
    )
    assert len(parsed["negative_flips"]) == len(parsed["negative_flips_consecutive"]) == 5
    assert parsed["counts"]["gallery"] == 60


def test_score_samples_hold_relevant_and_irrelevant_pairs_but_no_own_item() -> None:
    result = evaluate(UPGRADES["merging"], GALLERY)
    sample = result.distributions
    assert len(sample.new_new.relevant) + len(sample.new_new.irrelevant) == 60 * 59
    assert sample.new_new.relevant.mean() > sample.new_new.irrelevant.mean()
    assert np.array_equal(sample.old_side.relevant, sample.old_old.relevant)
    assert np.array_equal(sample.new_side.irrelevant, sample.new_new.irrelevant)


EMPTY = GALLERY.subset(np.array([], dtype=np.int64))
WIDE = Pairs.of([1, 2], np.ones((2, 4)), np.ones((2, 7)), [0, 0])


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"gallery_set": EMPTY}, InvalidInput, "the gallery set is empty"),
        ({"query_set": EMPTY}, InvalidInput, "the query set is empty"),
        ({"gallery_set": WIDE}, SpaceMismatch, "new embeddings have 7 dimensions"),
        ({"query_set": WIDE}, SpaceMismatch, "the query set's new embeddings have 7"),
        ({"steps": 1}, InvalidInput, "steps is 1, wanted at least 2"),
        ({"order": "best"}, InvalidInput, "unknown order 'best'"),
        ({"mode": "both"}, InvalidInput, "unknown mode 'both'; choose one of one-encoder"),
        ({"query_set": QUERIES.without_labels()}, InvalidInput, "the query set has no labels"),
        ({"query_set": clustered(1, seed=8), "qrels": Qrels({"x": {}})}, InvalidInput, "none of"),
        (
            {"query_set": replace(QUERIES, labels=QUERIES.labels + 50)},
            InvalidInput,
            "no query has a relevant gallery item",
        ),
    ],
)
def test_bad_input_gets_one_clear_error(
    settings: dict[str, object], error: type[Exception], message: str
) -> None:
    given = {"gallery_set": GALLERY, "query_set": QUERIES, **settings}
    with pytest.raises(error, match=message):
        evaluate(UPGRADES["forward"], **given)  # type: ignore[arg-type]


def test_two_encoder_mode_needs_an_upgrade_that_can() -> None:
    with pytest.raises(InvalidInput, match="carries nothing to combine both models' scores"):
        evaluate(UPGRADES["reverse"], GALLERY, QUERIES, mode="two-encoder")


def test_embeddings_that_are_no_numbers_are_refused() -> None:
    spoilt = QUERIES.new.copy()
    spoilt[3, 1] = np.nan
    with pytest.raises(InvalidInput, match="NaN"):
        evaluate(UPGRADES["forward"], GALLERY, replace(QUERIES, new=spoilt))


@pytest.mark.slow
def test_ten_thousand_by_ten_thousand_stays_within_four_gigabytes() -> None:
    pairs = clustered(20_000, seed=6, dim=64)
    gallery, queries = pairs.subset(np.arange(10_000)), pairs.subset(np.arange(10_000, 20_000))
    result: EvaluationResult = evaluate(forward(gallery), gallery, queries)
    assert result.counts.queries == 10_000
    peak_kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert peak_kilobytes < 4 * 2**20


def test_spaces_of_the_upgrade_are_part_of_the_result() -> None:
    named = Upgrade("rank_merge", Space("clip-a", 4), Space("clip-b", 6), Side.NONE)
    result = evaluate(named, GALLERY, QUERIES, steps=2)
    assert result.to_json()["source"] == {"name": "clip-a", "dim": 4}
    assert result.target.name == "clip-b"


def test_ignoring_an_item_is_as_if_the_query_had_another_gallery() -> None:
    gallery, queries = clustered(40, seed=1), clustered(3, seed=2)
    upgrade = merging(gallery)
    gone = {str(id): {str(item) for item in gallery.ids[at : at + 9]} for at, id in
            enumerate(queries.ids)}  # fmt: skip
    whole = evaluate(upgrade, gallery, queries, ignored=IgnoredItems(gone), order="gallery")
    assert whole.counts.ignored_items == 27
    for row in range(3):
        kept = [at for at in range(40) if str(gallery.ids[at]) not in gone[str(queries.ids[row])]]
        alone = evaluate(upgrade, gallery.subset(kept), queries.subset([row]), order="gallery")
        for name in METRICS:
            assert whole.curve.old_old[name][row] == pytest.approx(alone.curve.old_old[name][0])
            assert whole.curve.new_new[name][row] == pytest.approx(alone.curve.new_new[name][0])
            # Coverage 0 and 1: between them, a smaller gallery is backfilled in other steps.
            for step in (0, -1):
                assert whole.curve.merged[name][step, row] == pytest.approx(
                    alone.curve.merged[name][step, 0]
                )
