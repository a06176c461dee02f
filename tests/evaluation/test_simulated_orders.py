"""Orders of backfilling: seeded, complete, and independent of the file's arrangement."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crossfade.backfill import Backfill
from crossfade.embeddings import Pairs, Space
from crossfade.errors import InvalidInput
from crossfade.evaluation.orders import backfill_order, simulated_order_names, true_residual
from crossfade.fit.ordering import with_ordering
from crossfade.fit.ridge import fit_forward_ridge, fit_ridge
from crossfade.fit.settings import FitSettings
from crossfade.gallery import open_gallery
from crossfade.orders import open_order
from crossfade.testing import FakeEncoder
from crossfade.upgrade import Affine, Side, Transform, Upgrade

NEED_MORE = {"uncertainty", "class_mean", "traffic"}
UPGRADE = Upgrade("rank_merge", Space("old", 2), Space("new", 2), Side.NONE)


def gallery(ids: list[int]) -> Pairs:
    return Pairs.of(ids, np.ones((len(ids), 2)), np.ones((len(ids), 2)))


def unsure_of(direction: list[float]) -> Upgrade:
    """As unsure of an item as it lies along the direction."""
    weight = np.array(direction, dtype=np.float32)[:, None]
    doubt = Transform(Affine(weight, np.zeros(1, dtype=np.float32)))
    return replace(UPGRADE, uncertainty=doubt)


def test_every_order_holds_each_row_once() -> None:
    pairs = gallery(list(range(100)))
    upgrade = with_ordering(fit_forward_ridge(pairs, FitSettings()), pairs, FitSettings())
    known = [name for name in simulated_order_names() if name not in NEED_MORE]
    assert {"random", "expected_gain", "predicted_residual", "oracle", "auto"} <= set(known)
    for name in known:
        rows = backfill_order(name, pairs, upgrade, seed=1)
        assert sorted(rows.tolist()) == list(range(100)), name


def test_the_simulation_moves_items_as_the_job_does(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pairs = Pairs.of(np.arange(90), rng.normal(size=(90, 6)), rng.normal(size=(90, 9)))
    upgrade = with_ordering(fit_forward_ridge(pairs, FitSettings()), pairs, FitSettings())
    log = tmp_path / "log"
    log.write_text("7\n7\n3\n")
    for order in ("random", "expected_gain", f"expected_gain:{log}", "cluster_mean"):
        store = open_gallery("memory://", upgrade)
        store.upsert(range(90), old=pairs.old)
        encoder = FakeEncoder(lambda item: pairs.new[int(item.id)])
        Backfill(store, encoder, order=order, seed=5, batch_size=1).run()
        simulated = backfill_order(order, pairs, upgrade, seed=5)
        assert encoder.encoded == pairs.ids[simulated].tolist(), order


def test_the_oracle_moves_what_the_map_misses_most() -> None:
    rng = np.random.default_rng(1)
    pairs = Pairs.of(np.arange(50), rng.normal(size=(50, 6)), rng.normal(size=(50, 9)))
    items = fit_forward_ridge(pairs, FitSettings())
    query = fit_ridge(pairs, FitSettings())
    assert items.forward is not None and query.psi is not None
    mapped, asked = items.forward(pairs.old), query.psi(pairs.new)
    for upgrade, residual in (
        (items, [1 - float(mapped[row] @ pairs.new[row]) for row in range(50)]),
        (query, [1 - float(asked[row] @ pairs.old[row]) for row in range(50)]),
    ):
        assert true_residual(upgrade, pairs.old, pairs.new) == pytest.approx(residual, abs=1e-5)
        rows = backfill_order("oracle", pairs, upgrade, seed=0)
        assert rows.tolist() == sorted(range(50), key=lambda row: -residual[row])


def test_a_system_without_map_has_no_oracle() -> None:
    with pytest.raises(InvalidInput, match="has no map"):
        backfill_order("oracle", gallery([1, 2]), UPGRADE, seed=0)


def test_the_oracle_is_no_order_of_the_job() -> None:
    with pytest.raises(InvalidInput, match="no order 'oracle'"):
        open_order("oracle", UPGRADE, 0)


def test_the_uncertain_items_come_first_ties_by_id() -> None:
    old = np.array([[1, 0], [0, 1], [-1, 0], [0, -1], [1, 0]])
    given = Pairs.of([9, 7, 5, 3, 1], old, np.ones((5, 2)))
    rows = backfill_order("uncertainty", given, unsure_of([2.0, 1.0]), seed=0)
    assert given.ids[rows].tolist() == [1, 9, 7, 3, 5]


def test_an_upgrade_without_uncertainty_has_no_such_order() -> None:
    with pytest.raises(InvalidInput, match=r"predicts no uncertainty, .* fit 'fastfill'"):
        backfill_order("uncertainty", gallery([1, 2]), UPGRADE, seed=0)


def test_the_random_order_moves_the_same_ids_however_they_are_arranged() -> None:
    ids = np.random.default_rng(3).permutation(30)
    sorted_first = backfill_order("random", gallery(list(range(30))), UPGRADE, seed=1)
    shuffled = backfill_order("random", gallery(ids.tolist()), UPGRADE, seed=1)
    assert ids[shuffled].tolist() == sorted_first.tolist()


def test_the_seed_decides_the_random_order() -> None:
    given = gallery(list(range(30)))
    first, again, other = (backfill_order("random", given, UPGRADE, seed=s) for s in (1, 1, 2))
    assert first.tolist() == again.tolist() != other.tolist()


def test_the_gallery_order_takes_the_rows_as_given() -> None:
    assert backfill_order("gallery", gallery([5, 2, 9]), UPGRADE, seed=0).tolist() == [0, 1, 2]


def test_an_unknown_order_is_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match=r"unknown order 'best'; choose one of auto, .*oracle"):
        backfill_order("best", gallery([1]), UPGRADE, seed=0)
