"""Orders of backfilling: seeded, complete, and independent of the file's arrangement."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crossfade.embeddings import Pairs, Space
from crossfade.errors import InvalidInput
from crossfade.evaluation.orders import ORDERS, backfill_order
from crossfade.upgrade import Affine, Side, Transform, Upgrade

UPGRADE = Upgrade("rank_merge", Space("old", 2), Space("new", 2), Side.NONE)


def gallery(ids: list[int]) -> Pairs:
    return Pairs.of(ids, np.ones((len(ids), 2)), np.ones((len(ids), 2)))


def unsure_of(direction: list[float]) -> Upgrade:
    """As unsure of an item as it lies along the direction."""
    weight = np.array(direction, dtype=np.float32)[:, None]
    doubt = Transform(Affine(weight, np.zeros(1, dtype=np.float32)))
    return replace(UPGRADE, uncertainty=doubt)


@pytest.mark.parametrize("name", sorted(ORDERS))
def test_every_order_holds_each_row_once(name: str) -> None:
    rows = backfill_order(name, gallery(list(range(30))), unsure_of([1.0, 2.0]), seed=1)
    assert sorted(rows.tolist()) == list(range(30))


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
    with pytest.raises(InvalidInput, match="unknown order 'best'; choose one of random, gallery"):
        backfill_order("best", gallery([1]), UPGRADE, seed=0)
