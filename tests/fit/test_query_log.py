"""What a log of queries changes in fitting, and what it doesn't."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest

from crossfade import Pairs, Qrels, QueryLog, evaluate, fit
from crossfade.embeddings import unit_rows
from crossfade.errors import InvalidInput, SpaceMismatch
from crossfade.fit.api import UnusedQueriesWarning
from crossfade.testing import ShiftedWorld, make_world

QUERIES = 300


@pytest.mark.parametrize("method", ["refitted_kernel", "forward_ridge"])
def test_real_queries_make_better_scores_where_queries_are_not_like_items(method: str) -> None:
    gained = []
    for seed in range(3):
        world = ShiftedWorld(seed)
        areas = []
        for log in (None, world.log):
            upgrade = fit(world.fit, method, queries=log)
            assert upgrade.report["queries_used"] == (0 if log is None else QUERIES)
            result = evaluate(upgrade, world.gallery, world.queries, qrels=world.qrels)
            areas.append(result.figures["mrr"].auc)
        gained.append(areas[1] - areas[0])
    assert min(gained) > 0, gained


def test_the_bank_is_the_log_in_both_spaces_or_in_one() -> None:
    world = ShiftedWorld(0)
    both = fit(world.fit, "refitted_kernel", queries=world.log).offset
    new = fit(world.fit, "refitted_kernel", queries=QueryLog(world.log.new)).offset
    neither = fit(world.fit, "refitted_kernel").offset
    assert both is not None and new is not None and neither is not None
    wanted = unit_rows(world.log.new)
    for offset in (both, new):
        assert {tuple(row) for row in offset.bank.tolist()} == {tuple(r) for r in wanted.tolist()}
    assert len(both.old_bank) == QUERIES and both.two_encoders.t > 0
    assert len(new.old_bank) == 0 and new.two_encoders.t == 0
    assert len(neither.old_bank) == len(neither.bank) < QUERIES * 2
    assert not {tuple(r) for r in neither.bank.tolist()} & {tuple(r) for r in wanted.tolist()}


def test_auto_uses_a_log_and_says_so() -> None:
    world = ShiftedWorld(1)
    upgrade = fit(world.fit, "auto", queries=world.log, epochs=1)
    assert upgrade.offset is not None and upgrade.report["queries_used"] == QUERIES
    assert fit(world.fit, "auto", queries=world.log, epochs=1).id == upgrade.id


def test_more_queries_teach_than_searches_can_pay_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("crossfade.fit.item_offset"), "MOST_QUERIES", 200)
    world = ShiftedWorld(1)
    few, many = (
        fit(world.fit, "refitted_kernel", queries=log) for log in (world.log.sample(200), world.log)
    )
    assert few.offset is not None and many.offset is not None
    assert few.offset.distilled is not None and many.offset.distilled is not None
    assert {len(few.offset.bank), len(many.offset.bank)} == {200}
    assert (few.report["queries_used"], many.report["queries_used"]) == (200, QUERIES)
    wanted = unit_rows(world.log.sample(200).new)
    np.testing.assert_array_equal(np.sort(many.offset.bank, 0), np.sort(wanted, 0))
    assert not np.allclose(few.offset.distilled, many.offset.distilled, atol=1e-3)


def test_an_old_bank_is_kept_only_where_it_counts() -> None:
    world = ShiftedWorld(0)
    ridge = fit(world.fit, "forward_ridge", queries=world.log).offset
    assert ridge is not None and len(ridge.old_bank) == 0
    assert fit(world.fit, "forward_ridge", queries=QueryLog(world.log.new)).offset is not None


@pytest.mark.filterwarnings("ignore::crossfade.fit.api.UnusedQueriesWarning")
def test_a_kernel_that_gives_its_pairs_back_does_so_with_a_log_too() -> None:
    world = ShiftedWorld(0)
    for method, used in (("forward_kernel", 0), ("refitted_kernel", QUERIES)):
        upgrade = fit(world.fit, method, queries=world.log)
        assert upgrade.report["queries_used"] == used
        items = world.fit
        asked = Pairs.of(items.ids + 10_000, items.old_rows(), items.new_rows())
        qrels = Qrels({str(id + 10_000): {str(id): 1} for id in items.ids.tolist()})
        got, wanted = (
            evaluate(one, items, asked, qrels=qrels).metrics["mrr"]
            for one in (upgrade, fit(items, method))
        )
        # Every item is a pair: whatever is backfilled, the answer is the new model's.
        assert got == pytest.approx(wanted, abs=1e-6) and got[0] > 0.999


def test_too_few_pairs_to_hold_any_out_leave_the_log_alone() -> None:
    world = ShiftedWorld(0)
    few = world.fit.subset(range(40))
    with pytest.warns(UnusedQueriesWarning, match="40 pairs are too few to hold any out"):
        upgrade = fit(few, "forward_ridge", queries=world.log)
    assert upgrade.offset is None and upgrade.report["queries_used"] == 0


def test_the_report_says_which_log_it_was() -> None:
    world = ShiftedWorld(0)
    first = fit(world.fit, "forward_ridge", queries=world.log).report["queries_sha256"]
    other = fit(world.fit, "forward_ridge", queries=world.log.sample(250)).report["queries_sha256"]
    assert first is not None and first != other
    assert fit(world.fit, "forward_ridge").report["queries_sha256"] is None


@pytest.mark.parametrize("method", ["rank_merge", "ridge"])
def test_a_method_without_a_forward_map_makes_no_use_of_it(method: str) -> None:
    world = ShiftedWorld(1)
    with pytest.warns(UnusedQueriesWarning, match=f"{method} makes no use of queries"):
        upgrade = fit(world.fit, method, queries=world.log)
    assert upgrade.offset is None and upgrade.report["queries_used"] == 0
    assert upgrade.id == fit(world.fit, method).id


def test_a_bad_log_is_refused_before_anything_is_fitted() -> None:
    pairs = make_world(items=80, queries=0).gallery.without_labels()
    wide = np.ones((300, pairs.target.dim + 1), np.float32)
    with pytest.raises(SpaceMismatch, match="new embeddings of queries"):
        fit(pairs, "forward_ridge", queries=QueryLog(wide))
    with pytest.raises(InvalidInput, match="got 20 queries, wanted at least 200"):
        fit(pairs, "forward_ridge", queries=QueryLog(wide[:20, :-1]))
    with pytest.raises(InvalidInput, match="queries is of type ndarray, wanted QueryLog"):
        fit(pairs, "forward_ridge", queries=wide)  # type: ignore[arg-type]
    broken = wide[:, :-1].copy()
    broken[7] = 0
    with pytest.raises(InvalidInput, match="new embeddings of queries"):
        fit(pairs, "forward_ridge", queries=QueryLog(broken))


def test_a_map_that_is_right_has_no_offset_to_speak_of() -> None:
    rng = np.random.default_rng(0)
    old = unit_rows(rng.normal(size=(400, 12)))
    pairs = Pairs.of(range(400), old, old @ np.linalg.qr(rng.normal(size=(12, 12)))[0])
    offset = fit(pairs, "refitted_kernel").offset
    assert offset is not None and max(*offset.one_encoder, *offset.two_encoders) < 0.01
    assert offset.push < 0.001
