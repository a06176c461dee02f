"""Simulated re-extraction, against a real gallery and slow loops."""

import numpy as np
import pytest

from crossfade.embeddings import Pairs
from crossfade.errors import InvalidInput
from crossfade.evaluation import evaluate
from crossfade.evaluation.on_demand import (
    Candidates,
    best_columns,
    evaluate_on_demand,
    score_queries,
)
from crossfade.evaluation.query_stream import (
    Form,
    StreamPlan,
    StreamPoint,
    coverage_reached,
    replay,
)
from crossfade.gallery import Gallery, open_gallery
from crossfade.stores import Item
from crossfade.testing import World, make_upgrade, make_world
from crossfade.upgrade import Side, Upgrade


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(items=200, queries=12, noise_old=0.8)


@pytest.fixture(scope="module")
def upgrade(world: World) -> Upgrade:
    return make_upgrade(Side.ITEMS, reference_old=world.gallery.old_rows(slice(0, 60)))


def filled(upgrade: Upgrade, pairs: Pairs, name: str) -> Gallery:
    def embed(items: list[Item]) -> np.ndarray:
        return pairs.new[[item.payload["row"] for item in items]]

    gallery = open_gallery(f"memory://{name}", upgrade, encoder=embed)
    gallery.upsert(pairs.ids, old=pairs.old, payload=[{"row": row} for row in range(len(pairs))])
    return gallery


@pytest.mark.parametrize("mode", ["one-encoder", "two-encoder"])
def test_it_is_what_a_gallery_answers(world: World, upgrade: Upgrade, mode: str) -> None:
    ranks = []
    for row in range(len(world.queries)):
        with filled(upgrade, world.gallery, f"simulated-{mode}-{row}") as gallery:
            query = {"query_old": world.queries.old[row], "mode": mode}
            gallery.search(world.queries.new[row], 1, reextract=9, **query)
            assert gallery.coverage == pytest.approx(9 / 200)
            (hits,) = gallery.search(world.queries.new[row], 200, **query)
        labels = world.gallery.labels[[int(hit.id) for hit in hits]]
        ranks.append(1 + int(np.argmax(labels == world.queries.labels[row])))
    (point,) = evaluate_on_demand(upgrade, world.gallery, world.queries, n=9, mode=mode)
    wanted = np.mean([1 / rank for rank in ranks])
    # The simulation leaves the coverage as it was, of which two-encoder scores depend a little.
    tolerance = 1e-6 if mode == "one-encoder" else 0.02
    assert point.reextracted["mrr"] == pytest.approx(wanted, abs=tolerance)
    assert point.encodes == 9.0


@pytest.mark.parametrize("mode", ["one-encoder", "two-encoder"])
def test_without_re_extraction_it_is_the_curve(world: World, upgrade: Upgrade, mode: str) -> None:
    curve = evaluate(upgrade, world.gallery, world.queries, steps=3, seed=4, mode=mode)
    points = evaluate_on_demand(
        upgrade, world.gallery, world.queries, n=0, coverage=(0.0, 0.5, 1.0), seed=4, mode=mode
    )
    for step, point in enumerate(points):
        for metric in ("map", "mrr", "cmc@1"):
            assert point.estimated[metric] == pytest.approx(curve.metrics[metric][step])
            assert point.reextracted[metric] == pytest.approx(curve.metrics[metric][step])
    assert points[0].old_old["map"] == pytest.approx(curve.old_old["map"])
    assert points[0].new_new["map"] == pytest.approx(curve.new_new["map"])


def test_all_items_re_extracted_are_coverage_one(world: World, upgrade: Upgrade) -> None:
    start, end = evaluate_on_demand(
        upgrade, world.gallery, world.queries, n=200, coverage=(0.0, 1.0)
    )
    assert start.reextracted == pytest.approx(end.estimated)
    assert start.encodes == 200.0 and end.encodes == 0.0


def test_a_querys_own_item_is_no_candidate(world: World, upgrade: Upgrade) -> None:
    for kind in Candidates:
        (part,) = score_queries(upgrade, world.gallery, None, candidates=kind)
        found = part.candidates(np.zeros(200, bool), 20)
        assert all(row not in listed for row, listed in enumerate(found.tolist()))
        assert all(len(set(listed)) == 20 for listed in found.tolist())


def test_best_columns_are_those_of_a_stable_sort() -> None:
    scores = np.random.default_rng(0).integers(-3, 4, (20, 50)).astype(np.float32)
    for m in (0, 1, 7, 50):
        wanted = np.argsort(-scores, axis=1, kind="stable")[:, :m]
        assert (best_columns(scores, m) == wanted).all()


@pytest.mark.parametrize("form", list(Form))
def test_a_stream_ends_at_the_new_model(world: World, upgrade: Upgrade, form: Form) -> None:
    parts = list(score_queries(upgrade, world.gallery, world.queries))
    points = replay(parts, StreamPlan(form, n=5, rate=4, skew=0.0))
    first, last = points[0], points[-1]
    assert (first.queries, first.coverage) == (0, 0.0)
    assert last.coverage == last.same_first == last.same_ten == 1.0
    assert last.queries == {Form.NOW: 40, Form.LATER: 50}[form]
    assert [point.coverage for point in points] == sorted(point.coverage for point in points)
    (end,) = evaluate_on_demand(upgrade, world.gallery, world.queries, n=0, coverage=(1.0,))
    assert last.mrr == pytest.approx(end.estimated["mrr"])


def test_a_stream_begins_as_the_simulation_at_once(world: World, upgrade: Upgrade) -> None:
    parts = list(score_queries(upgrade, world.gallery, world.queries))
    first = replay(parts, StreamPlan(Form.NOW, n=6, skew=0.0, length=1))[0]
    (point,) = evaluate_on_demand(upgrade, world.gallery, world.queries, n=6)
    assert first.mrr == pytest.approx(point.reextracted["mrr"])


def test_the_job_moves_wanted_items_before_others(world: World, upgrade: Upgrade) -> None:
    """One query asked twice: what it wanted has been moved when it comes again."""
    one = world.queries.subset([0])
    parts = list(score_queries(upgrade, world.gallery, one))
    moved = replay(parts, StreamPlan(Form.LATER, n=10, rate=10, length=1))[-1]
    (now,) = evaluate_on_demand(upgrade, world.gallery, one, n=10)
    assert moved.coverage == pytest.approx(10 / 200) and now.encodes == 10
    assert moved.mrr == pytest.approx(now.reextracted["mrr"])


def test_a_query_of_the_gallery_does_not_want_its_own_item(world: World, upgrade: Upgrade) -> None:
    parts = list(score_queries(upgrade, world.gallery, None))
    first = replay(parts, StreamPlan(Form.NOW, n=1, skew=0.0, length=1))[0]
    (point,) = evaluate_on_demand(upgrade, world.gallery, n=1)
    assert first.mrr == pytest.approx(point.reextracted["mrr"])
    assert first.mrr != pytest.approx(point.estimated["mrr"]), "no answer holds its own item"


def test_a_limited_search_for_candidates_comes_to_an_end(world: World, upgrade: Upgrade) -> None:
    parts = list(score_queries(upgrade, world.gallery, world.queries.subset([0])))
    last, later = (
        replay(parts, StreamPlan(Form.NOW, n=10, within=10, length=length))[-1]
        for length in (30, 60)
    )
    assert 10 / 200 <= last.coverage == later.coverage < 0.3, "its ten best are backfilled"


def test_a_slow_job_moves_first_what_is_wanted_most(world: World, upgrade: Upgrade) -> None:
    """It has time for two of the twenty that a query wants."""
    for row in range(len(world.queries)):
        one = world.queries.subset([row])
        parts = list(score_queries(upgrade, world.gallery, one))
        moved = replay(parts, StreamPlan(Form.LATER, n=20, rate=2, length=1))[-1]
        (best,) = evaluate_on_demand(upgrade, world.gallery, one, n=2)
        assert moved.coverage == 2 / 200
        assert moved.mrr == pytest.approx(best.reextracted["mrr"])


def test_candidates_are_the_best_by_both_models(world: World, upgrade: Upgrade) -> None:
    (part,) = score_queries(upgrade, world.gallery, world.queries)
    (two,) = score_queries(upgrade, world.gallery, world.queries, mode="two-encoder")
    moved = np.arange(200) % 3 == 0
    waiting = np.where(moved, -np.inf, two.scores.old).astype(np.float32)
    found = part.candidates(moved, 12)
    assert (found == best_columns(waiting, 12)).all()
    assert (two.candidates(moved, 12) == found).all()


def test_without_a_rule_for_two_encoders_the_mapped_view_names_candidates(world: World) -> None:
    both, mapped = (
        next(score_queries(make_upgrade(Side.QUERY), world.gallery, world.queries, candidates=kind))
        for kind in (Candidates.BOTH, Candidates.MAPPED)
    )
    moved = np.arange(200) % 3 == 0
    assert (both.candidates(moved, 6) == mapped.candidates(moved, 6)).all()


def test_a_query_answered_by_backfilled_items_wants_nothing_within_a_place(
    world: World, upgrade: Upgrade
) -> None:
    parts = list(score_queries(upgrade, world.gallery, world.queries.subset([0])))
    often = replay(parts, StreamPlan(Form.LATER, n=10, within=1, rate=10, length=9, seed=3))
    once = replay(parts, StreamPlan(Form.LATER, n=10, within=1, rate=10, length=1, seed=3))
    # One item is wanted at its place; all else is moved in the job's order.
    assert once[-1].coverage == 10 / 200 and often[-1].coverage == 90 / 200
    assert often[-1].same_first == 1.0


def test_the_coverage_reached_lies_between_two_points() -> None:
    def at(coverage: float, share: float) -> StreamPoint:
        return StreamPoint(0, coverage, 0.0, 0.0, share, share)

    points = [at(0.0, 0.5), at(0.2, 0.9), at(0.4, 0.7), at(1.0, 1.0)]
    assert coverage_reached(points, "same_first", 0.8) == pytest.approx(0.6)
    assert coverage_reached(points, "same_first", 0.4) == 0.0
    assert coverage_reached(points[:3], "same_ten", 0.8) is None


def test_what_can_not_be_simulated_is_refused(world: World, upgrade: Upgrade) -> None:
    with pytest.raises(InvalidInput, match="n is -1"):
        evaluate_on_demand(upgrade, world.gallery, world.queries, n=-1)
    with pytest.raises(InvalidInput, match="coverage is"):
        evaluate_on_demand(upgrade, world.gallery, world.queries, coverage=(1.5,))
    with pytest.raises(InvalidInput, match="rate is 0"):
        StreamPlan(Form.LATER, rate=0)
    with pytest.raises(InvalidInput, match="at least 1"):
        StreamPlan(Form.NOW, n=0)
