"""Orders that go by what fitting learned."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crossfade.embeddings import FloatArray, normalise
from crossfade.errors import InvalidInput
from crossfade.fit.api import fit
from crossfade.orders import open_order
from crossfade.orders.random_keys import random_keys
from crossfade.stores import Item
from crossfade.testing import make_upgrade, make_world
from crossfade.upgrade import Affine, Ordering, Side, Upgrade

OLD = normalise(np.random.default_rng(0).normal(size=(30, 12)))
LEARNED = ("predicted_residual", "expected_gain", "central_first", "cluster_mean", "class_mean")


def linear(width: int, seed: int) -> Affine:
    weight = np.random.default_rng(seed).normal(size=(width, 1)).astype(np.float32)
    return Affine(weight, np.zeros(1, dtype=np.float32))


def with_orders(side: Side, *, classes: bool = True, chosen: str = "random") -> Upgrade:
    width = 15 if side is Side.ITEMS else 12
    means = normalise(np.random.default_rng(3).normal(size=(7, 12)))
    centre = normalise(np.random.default_rng(4).normal(size=(1, 20)))[0]
    ordering = Ordering(
        residual=linear(width, 1),
        gain=linear(width, 2),
        centre=centre,
        cluster_means=means[:4],
        class_means=means[4:] if classes else None,
        chosen=chosen,
    )
    return replace(make_upgrade(side), ordering=ordering)


def moved(order: str, upgrade: Upgrade, old: FloatArray = OLD) -> list[int]:
    items = [Item(row, 1, {"old": vector}, {}) for row, vector in enumerate(old)]
    return np.argsort(open_order(order, upgrade, 0).score(items, order)).tolist()


def features(upgrade: Upgrade) -> list[list[float]]:
    assert upgrade.forward is not None and upgrade.ordering is not None
    rows = []
    for old in OLD:
        raw = upgrade.forward.raw(old[None])[0].astype(float)
        length = float(np.sqrt(raw @ raw))
        near = float(raw @ upgrade.ordering.centre) / length
        rows.append([*old.tolist(), length, float(np.log(length)), near])
    return rows


def test_what_is_missed_and_what_gains_most_come_first() -> None:
    upgrade = with_orders(Side.ITEMS)
    assert upgrade.ordering is not None
    rows = np.array(features(upgrade))
    residual, gain = (
        (rows @ part.weight)[:, 0] for part in (upgrade.ordering.residual, upgrade.ordering.gain)
    )
    assert moved("predicted_residual", upgrade) == np.argsort(-residual).tolist()
    assert moved("expected_gain", upgrade) == np.argsort(-gain).tolist()
    assert moved("central_first", upgrade) == np.argsort(-rows[:, -1]).tolist()


def test_on_the_query_side_the_old_vector_alone_predicts() -> None:
    upgrade = with_orders(Side.QUERY)
    assert upgrade.ordering is not None
    gain = (OLD @ upgrade.ordering.gain.weight)[:, 0]
    assert moved("expected_gain", upgrade) == np.argsort(-gain).tolist()
    with pytest.raises(InvalidInput, match="upgrade on the items' side"):
        open_order("central_first", upgrade, 0)


@pytest.mark.parametrize(("order", "means"), [("cluster_mean", "cluster"), ("class_mean", "class")])
def test_what_is_far_from_all_means_comes_first(order: str, means: str) -> None:
    upgrade = with_orders(Side.ITEMS)
    centres = getattr(upgrade.ordering, f"{means}_means")
    nearest = [max(float(old @ centre) for centre in centres) for old in OLD]
    assert moved(order, upgrade) == np.argsort(nearest).tolist()


def test_traffic_weighs_the_expected_gain(tmp_path: Path) -> None:
    upgrade = with_orders(Side.ITEMS)
    assert upgrade.ordering is not None
    gain = replace(upgrade.ordering.gain, bias=np.full(1, 20, dtype=np.float32))
    upgrade = replace(upgrade, ordering=replace(upgrade.ordering, gain=gain))
    last = moved("expected_gain", upgrade)
    middle = last[5]
    log = tmp_path / "log"
    log.write_text(f"{middle}\t1000\n", encoding="utf-8")
    weighed = moved(f"expected_gain:{log}", upgrade)
    assert weighed[0] == middle
    assert [row for row in weighed[:6] if row != middle] == last[:5]
    with pytest.raises(InvalidInput, match="can't be read"):
        open_order("expected_gain:no-such-file", upgrade, 0)


@pytest.mark.parametrize("order", [*LEARNED, "short_mapped_first"])
def test_items_without_an_old_vector_come_first(order: str) -> None:
    scoring = open_order(order, with_orders(Side.ITEMS), 0)
    assert scoring.vectors == ["old"]
    items = [Item(row, 1, {"old": vector}, {}) for row, vector in enumerate(OLD)]
    keys = scoring.score([*items, Item(99, 1, {}, {})], order)
    assert keys[-1] < min(keys[:-1])


@pytest.mark.parametrize("order", LEARNED)
def test_an_upgrade_that_learned_no_orders_says_so(order: str) -> None:
    with pytest.raises(InvalidInput, match=r"earlier release.*fit it anew"):
        open_order(order, make_upgrade(Side.ITEMS), 0)


def test_an_upgrade_fitted_without_labels_has_no_classes() -> None:
    with pytest.raises(InvalidInput, match="fitted without labels"):
        open_order("class_mean", with_orders(Side.ITEMS, classes=False), 0)


def test_auto_is_what_fitting_chose() -> None:
    upgrade = with_orders(Side.ITEMS, chosen="cluster_mean")
    assert moved("auto", upgrade) == moved("cluster_mean", upgrade)
    assert moved("auto", make_upgrade(Side.ITEMS)) == moved("random", make_upgrade(Side.ITEMS))


@pytest.mark.parametrize("order", ["expected_gain", "short_mapped_first", "central_first"])
@pytest.mark.parametrize(("corrects", "share"), [(False, 0.2), (True, 0.05)])
def test_where_the_map_is_fitted_again_some_items_come_first_at_random(
    order: str, corrects: bool, share: float
) -> None:
    pairs = make_world(items=400, queries=0).gallery.without_labels()
    upgrade = fit(pairs.subset(range(100)), "refitted_ridge")
    assert upgrade.refit is not None
    upgrade = replace(upgrade, refit=replace(upgrade.refit, corrects=corrects))
    old = pairs.old_rows()
    source = upgrade.source.name

    def first_to_last(one: Upgrade, seed: int) -> list[int]:
        items = [Item(row, 1, {source: vector}, {}) for row, vector in enumerate(old)]
        keys = open_order(order, one, seed).score([*items, Item(-1, 1, {}, {})], order)
        return [row - 1 for row in np.argsort([keys[-1], *keys[:-1]], kind="stable").tolist()]

    always = first_to_last(upgrade.without_refits(), 0)
    draws = []
    for seed in range(2):
        key_of = random_keys(seed)
        drawn = sorted((row for row in range(400) if key_of(row) < share), key=key_of)
        assert 0.4 * share < len(drawn) / 400 < 1.7 * share
        rest = [row for row in always[1:] if row not in drawn]
        assert first_to_last(upgrade, seed) == [-1, *drawn, *rest]
        draws.append(drawn)
    assert draws[0] != draws[1]


def test_a_traffic_log_leaves_the_random_share_first(tmp_path: Path) -> None:
    pairs = make_world(items=200, queries=0).gallery.without_labels()
    upgrade = fit(pairs, "refitted_ridge")
    log = tmp_path / "log"
    log.write_text("7\t1000\n", encoding="utf-8")
    order = f"expected_gain:{log}"
    items = [Item(row, 1, {upgrade.source.name: v}, {}) for row, v in enumerate(pairs.old_rows())]
    keys = np.array(open_order(order, upgrade, 0).score(items, order))
    drawn = np.array([random_keys(0)(row) < 0.2 for row in range(200)])
    assert keys[drawn].max() < keys[~drawn].min()
    assert not drawn[7] and keys[7] == keys[~drawn].min()
