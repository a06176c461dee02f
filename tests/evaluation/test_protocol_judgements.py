"""Which items of the gallery count for a query, and how ties are ranked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from known_upgrades import GALLERY, QUERIES, UPGRADES, clustered, merging, plain_map

from crossfade.embeddings import IgnoredItems, Pairs, Qrels
from crossfade.evaluation import METRICS, evaluate


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
