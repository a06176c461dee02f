"""What recorded queries gain, simulated."""

from __future__ import annotations

import numpy as np
import pytest

from crossfade import QueryLog, evaluate, fit
from crossfade.embeddings import unit_rows
from crossfade.errors import InvalidInput
from crossfade.evaluation.orders import backfill_order
from crossfade.evaluation.refits import Generations
from crossfade.testing import ShiftedWorld, make_world
from crossfade.upgrade import UnlikeQueriesWarning, queries_to_teach


@pytest.mark.parametrize("mode", ["one-encoder", "two-encoder"])
def test_they_lift_the_curve_from_the_first_milestone_on_and_move_neither_end(mode: str) -> None:
    gained = []
    for seed in range(3):
        world = ShiftedWorld(seed)
        upgrade = fit(world.fit, "refitted_kernel")
        asked = {"qrels": world.qrels, "mode": mode}
        without = evaluate(upgrade, world.gallery, world.queries, **asked)
        taught = evaluate(upgrade, world.gallery, world.queries, recorded=world.log, **asked)
        for end in (0, -1):
            assert taught.metrics["mrr"][end] == without.metrics["mrr"][end]
        assert (without.learned_from, taught.learned_from) == (0, len(world.log))
        gained.append(taught.auc["mrr"] - without.auc["mrr"])
    assert min(gained) > 0, gained


def test_later_generations_keep_what_was_taught() -> None:
    world = ShiftedWorld(0)
    upgrade = fit(world.fit, "refitted_kernel")
    order = backfill_order("random", world.gallery, upgrade, seed=0)
    log = queries_to_teach(upgrade, world.log)
    generations = Generations(upgrade, world.gallery, order, log)
    assert generations.at(0.01) is upgrade
    first, later = generations.at(0.02), generations.at(0.7)
    assert first.offset is later.offset is not upgrade.offset
    assert first.forward is upgrade.forward is not later.forward
    plain = Generations(upgrade, world.gallery, order).at(0.7)
    old = world.gallery.old_rows()
    assert plain.forward is not None and later.forward is not None
    np.testing.assert_array_equal(plain.forward(old), later.forward(old))


def test_what_can_not_be_taught_is_refused() -> None:
    world = ShiftedWorld(0)
    with pytest.raises(InvalidInput, match="can't learn from queries after"):
        evaluate(
            fit(world.fit, "forward_ridge"),
            world.gallery,
            world.queries,
            qrels=world.qrels,
            recorded=world.log,
        )


def test_fewer_than_it_was_fitted_with_change_nothing() -> None:
    world = ShiftedWorld(0)
    upgrade = fit(world.fit, "refitted_kernel", queries=world.log)
    asked = {"qrels": world.qrels}
    plain = evaluate(upgrade, world.gallery, world.queries, **asked)
    same = evaluate(upgrade, world.gallery, world.queries, recorded=world.log, **asked)
    assert plain.metrics["mrr"] == same.metrics["mrr"]
    assert same.learned_from == 0
    few_items = evaluate(fit(world.fit, "refitted_ridge"), world.gallery, world.queries,
                         recorded=world.log, **asked)  # fmt: skip
    assert few_items.learned_from == 0, "450 items, of 500 that a map without pairs is taught by"


def test_queries_that_find_nothing_near_teach_nothing_as_in_a_job() -> None:
    world = make_world(items=300, queries=60, dim_old=48, dim_new=64)
    upgrade = fit(world.gallery.subset(range(200)).without_labels(), "refitted_kernel")
    rest = world.gallery.subset(range(200, 300))
    nonsense = QueryLog(unit_rows(np.random.default_rng(0).normal(size=(300, 64))))
    with pytest.warns(UnlikeQueriesWarning, match="nothing is learned from recorded.*harms"):
        same = evaluate(upgrade, rest, world.queries, recorded=nonsense)
    assert same.learned_from == 0
    assert evaluate(upgrade, rest, world.queries).metrics["map"] == same.metrics["map"]


def test_a_path_in_place_of_what_it_holds_is_refused() -> None:
    world = ShiftedWorld(0)
    upgrade = fit(world.fit, "forward_ridge")
    for given, said in (
        (("upgrade/", world.gallery), "upgrade is of type str, wanted Upgrade: Upgrade.load"),
        ((upgrade, "gallery.npz"), "gallery_set is of type str, wanted Pairs"),
        ((upgrade, world.gallery, world.queries.new_rows()), "query_set is of type ndarray"),
    ):
        with pytest.raises(InvalidInput, match=said):
            evaluate(*given)
    for name, wanted in (("qrels", "Qrels"), ("recorded", "QueryLog"), ("ignored", "IgnoredItems")):
        with pytest.raises(InvalidInput, match=f"{name} is of type str, wanted {wanted}"):
            evaluate(upgrade, world.gallery, world.queries, **{name: "file"})


def test_without_refits_there_is_nothing_to_teach() -> None:
    world = ShiftedWorld(0)
    upgrade = fit(world.fit, "refitted_kernel")
    with pytest.raises(InvalidInput, match="refit=False leaves that out"):
        evaluate(
            upgrade,
            world.gallery,
            world.queries,
            qrels=world.qrels,
            refit=False,
            recorded=world.log,
        )
