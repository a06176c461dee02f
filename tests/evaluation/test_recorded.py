"""What recorded queries gain, simulated."""

from __future__ import annotations

import numpy as np
import pytest

from crossfade import evaluate, fit
from crossfade.errors import InvalidInput
from crossfade.evaluation.orders import backfill_order
from crossfade.evaluation.refits import Generations
from crossfade.testing import ShiftedWorld
from crossfade.upgrade import queries_to_teach


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
