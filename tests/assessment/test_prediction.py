"""Predicted curves against what is measured afterwards."""

from __future__ import annotations

import numpy as np
import pytest
from assessment_worlds import QUICK, good_upgrade, local_maps_world

from crossfade import Mode, Pairs, Qrels, assess, evaluate, fit
from crossfade.assessment import Assessment, Prediction, Regret
from crossfade.errors import InvalidInput, SpaceMismatch
from crossfade.fit.clusters import cluster


def ridge(result: Assessment, held_out: str, mode: Mode = Mode.ONE_ENCODER) -> Prediction:
    found = [
        one
        for one in result.predictions
        if (one.candidate.method, one.candidate.mode) == ("forward_ridge", mode)
        and one.held_out.value == held_out
    ]
    assert len(found) == 1
    return found[0]


def test_the_predicted_gain_share_brackets_the_one_measured_on_unseen_items() -> None:
    everything = good_upgrade(items=2_700)
    sample, rest = everything.subset(range(900)), everything.subset(range(900, 2_700))
    result = assess(sample, **QUICK)
    assert result.recommendation is not None
    chosen = result.recommendation.candidate
    upgrade = fit(sample.without_labels(), chosen.method)
    measured = evaluate(upgrade, rest, mode=chosen.mode).gain_share["map"]
    shares = [one.gain_share for one in result.of(chosen)]
    assert len(shares) == 2
    known = [share for share in shares if share is not None]
    assert len(known) == 2
    assert min(share.low for share in known) <= measured <= max(share.high for share in known)
    assert max(share.high for share in known) - min(share.low for share in known) < 0.4


def test_failure_on_unseen_classes_is_seen_by_whole_classes_and_not_by_rows() -> None:
    result = assess(local_maps_world(), **QUICK)
    rows, classes = ridge(result, "rows"), ridge(result, "classes")
    assert rows.regret is Regret.NONE
    assert classes.regret is Regret.LIKELY
    assert classes.worst_point.high < rows.worst_point.low
    assert result.recommendation is not None
    assert result.recommendation.one_encoder_regret is Regret.LIKELY


def test_failure_on_unseen_clusters_is_seen_without_labels_too() -> None:
    result = assess(local_maps_world().without_labels(), **QUICK)
    worst = {
        held_out: min(
            one.worst_point.value
            for one in result.predictions
            if one.held_out.value == held_out
            and one.candidate.mode is Mode.ONE_ENCODER
            and one.asked.value == "neighbours"
        )
        for held_out in ("rows", "clusters")
    }
    assert worst["rows"] > worst["clusters"] + 0.1


def test_the_curve_ends_at_the_new_model_inside_its_band() -> None:
    for one in assess(good_upgrade(), **QUICK).predictions:
        assert one.values[-1] == pytest.approx(one.new)
        assert all(point.low <= point.value <= point.high for point in one.curve)


def test_the_same_seed_says_the_same_and_another_one_not() -> None:
    pairs = good_upgrade(items=400)
    first, again, other = (assess(pairs, seed=seed, **QUICK).to_json() for seed in (0, 0, 1))
    for said in (first, again, other):
        said.pop("seconds")
    assert first == again
    assert first["predictions"] != other["predictions"]


def test_nothing_fitted_on_is_measured_on() -> None:
    from crossfade.assessment.sample import check_sample
    from crossfade.assessment.splits import HeldOut, folds

    pairs = good_upgrade(items=400)
    sample = check_sample(pairs, None, None, None, None)
    for kind in HeldOut:
        seen: set[int] = set()
        for fold in folds(sample, kind, 3, seed=0):
            held_out = set(fold.held_out.ids.tolist())
            assert held_out.isdisjoint(fold.fitting.ids.tolist())
            assert held_out.isdisjoint(seen)
            seen |= held_out
            if kind is HeldOut.CLASSES:
                labels = [set(np.asarray(part.labels)) for part in (fold.fitting, fold.held_out)]
                assert labels[0].isdisjoint(labels[1])
        assert seen == set(pairs.ids.tolist())


def test_a_gallery_apart_from_the_pairs_is_measured_whole() -> None:
    everything = good_upgrade(items=900)
    result = assess(
        everything.subset(range(500)), gallery=everything.subset(range(500, 900)), **QUICK
    )
    assert ridge(result, "rows").items == 400
    assert ridge(result, "rows").pairs == 500
    assert ridge(result, "classes").items < 200


def test_milestones_say_when_half_of_the_gain_is_there() -> None:
    result = assess(good_upgrade(), items=1_000_000, rate=100.0, **QUICK)
    assert result.pace.seconds == pytest.approx(10_000)
    for milestone in result.pace.milestones:
        assert milestone.coverage is not None and 0 <= milestone.coverage <= 1
        assert milestone.seconds == pytest.approx(10_000 * milestone.coverage)
    half, _, ninety, _ = result.pace.milestones
    assert half.share == 0.5 and ninety.share == 0.9
    assert (half.coverage or 0) < (ninety.coverage or 0)


def test_clusters_are_the_groups_that_there_are() -> None:
    rng = np.random.default_rng(0)
    kinds = np.repeat(np.arange(4), 50)
    rows = np.eye(8)[kinds] + 0.05 * rng.normal(size=(200, 8))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    codes = cluster(rows, 12, seed=0)
    assert all(len(set(kinds[codes == code])) == 1 for code in np.unique(codes))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"pairs": 10}, "at least 64 pairs, got 10"),
        ({"rate": 0.0}, "rate is 0.0"),
        ({"rate": 1.0, "encode_seconds": 1.0}, "give one"),
        ({"splits": 4}, "splits is 4, wanted 1 to 3"),
        ({"items": 0}, "items is 0"),
        ({"least_gain": 1.0}, "least_gain is 1.0"),
        ({"methods": ["auto"]}, "auto compares methods by itself"),
        ({"methods": "ridge"}, r"wanted a list: \['ridge'\]"),
        ({"methods": []}, "methods is empty"),
        ({"methods": ["contrastive"]}, "learns from labels"),
        ({"metric": "f1"}, "unknown metric"),
    ],
)
def test_what_cannot_be_is_told(change: dict[str, object], said: str) -> None:
    settings = {**QUICK, **change}
    pairs = good_upgrade(items=100).subset(range(int(str(settings.pop("pairs", 100)))))
    with pytest.raises(InvalidInput, match=said):
        assess(pairs, **settings)


def test_sets_of_other_widths_are_refused() -> None:
    pairs = good_upgrade(items=100)
    with pytest.raises(SpaceMismatch, match="the query set's embeddings"):
        assess(pairs, Pairs.of([1], np.ones((1, 3)), np.ones((1, 20))))


def test_labels_of_one_class_are_found_and_not_used() -> None:
    pairs = good_upgrade(items=200)
    one_class = Pairs.of(pairs.ids, pairs.old, pairs.new, np.zeros(200, dtype=int))
    result = assess(one_class, **QUICK)
    assert result.gain is None
    assert any("one class only" in finding for finding in result.findings)
    with pytest.raises(InvalidInput, match="one class only"):
        assess(one_class, use_labels=True, **QUICK)


def test_queries_whose_answers_are_not_in_the_sample_are_counted() -> None:
    every = good_upgrade(items=400).without_labels()
    sample = every.subset(range(200))
    ids = [f"q{row}" for row in range(150)]
    queries = Pairs.of(ids, every.old[100:250], every.new[100:250])
    qrels = Qrels({f"q{row}": {str(row + 100): 1} for row in range(150)})
    result = assess(sample, queries, qrels=qrels, **QUICK)
    assert result.gain is not None and result.gain.queries == 100
    said = [finding for finding in result.findings if "no relevant item" in finding]
    assert len(said) == 1 and said[0].startswith("50 of 150 queries")


def test_few_pairs_and_copies_are_found() -> None:
    pairs = good_upgrade(items=100, dim_new=128)
    copied = Pairs.of(
        range(120), np.vstack([pairs.old, pairs.old[:20]]), np.vstack([pairs.new, pairs.new[:20]])
    )
    said = " ".join(assess(copied, **QUICK).findings)
    assert "120 pairs for 128 dimensions" in said
    assert "20 of 120 new embeddings are copies" in said


def test_a_predicted_curve_has_the_refits_that_the_job_will_make(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On classes never seen only what is backfilled can teach the map anything."""

    def share() -> float:
        result = assess(local_maps_world(600), methods=["refitted_ridge"], splits=2)
        (found,) = (
            one.gain_share
            for one in result.predictions
            if one.candidate.mode is Mode.ONE_ENCODER and one.held_out.value == "classes"
        )
        assert found is not None
        return found.value

    as_the_job = share()
    monkeypatch.setattr("crossfade.assessment.evidence.Generations", lambda *_: None)
    assert as_the_job > share() + 0.05
