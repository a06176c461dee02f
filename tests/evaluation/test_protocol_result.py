"""What a result holds, and that the same seed gives the same one."""

from __future__ import annotations

import json
import math

import numpy as np
from known_upgrades import GALLERY, QUERIES, UPGRADES, merging

from crossfade.embeddings import Pairs, Space
from crossfade.evaluation import METRICS, evaluate
from crossfade.upgrade import Side, Upgrade


def test_two_equal_spaces_have_no_gain_share_and_say_null() -> None:
    same = Pairs.of(GALLERY.ids, GALLERY.new, GALLERY.new, GALLERY.labels)
    result = evaluate(merging(same), same)
    assert all(math.isnan(value) for value in result.gain_share.values())
    assert set(result.to_json()["gain_share"].values()) == {None}
    assert set(result.worst_point.values()) == set(result.drop.values()) == {0.0}


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


def test_spaces_of_the_upgrade_are_part_of_the_result() -> None:
    named = Upgrade("rank_merge", Space("clip-a", 4), Space("clip-b", 6), Side.NONE)
    result = evaluate(named, GALLERY, QUERIES, steps=2)
    assert result.to_json()["source"] == {"name": "clip-a", "dim": 4}
    assert result.target.name == "clip-b"
