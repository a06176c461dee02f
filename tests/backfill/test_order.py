"""Orders of backfilling."""

from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.backfill import Scoring, order_names, register_order, traffic_order
from crossfade.backfill.order import open_order
from crossfade.errors import InvalidInput
from crossfade.gallery import Gallery, open_gallery
from crossfade.stores import Id, Item
from crossfade.testing import World, make_upgrade
from crossfade.upgrade import Side

_ids = st.lists(st.integers(-9, 9) | st.text(max_size=2), unique=True, max_size=12)


@pytest.fixture(scope="module")
def empty() -> Gallery:
    return open_gallery("memory://", make_upgrade())


def items_of(ids: Any) -> list[Item]:
    return [Item(id, 1, {}, {}) for id in ids]


def keys_of(order: str, gallery: Gallery, ids: Any, seed: int = 0) -> list[float]:
    return open_order(order, gallery, seed).score(items_of(ids), order)


def ordered(order: str, gallery: Gallery, ids: Any, seed: int = 0) -> list[Id]:
    keys = dict(zip(ids, keys_of(order, gallery, ids, seed), strict=True))
    return sorted(ids, key=keys.__getitem__)


@given(ids=_ids, seed=st.integers(0, 99), shuffle=st.randoms())
def test_a_random_key_depends_on_the_id_and_the_seed_alone(
    empty: Gallery, ids: list[int | str], seed: int, shuffle: Random
) -> None:
    elsewhere = list(ids)
    shuffle.shuffle(elsewhere)
    keys = dict(zip(ids, keys_of("random", empty, ids, seed), strict=True))
    assert keys == dict(zip(elsewhere, keys_of("random", empty, elsewhere, seed), strict=True))
    assert len(set(keys.values())) == len(ids), "5 and '5' are two items"


def test_random_keys_are_the_same_for_ever() -> None:
    """A job begun by one release is gone on with by the next."""
    keys = keys_of("random", open_gallery("memory://", make_upgrade()), [0, "0", -1, "ü"], 7)
    assert keys == [
        0.07808294564370433,
        0.8094159956179602,
        0.6768695909173085,
        0.949239436870488,
    ]


def test_random_keys_are_spread_evenly(empty: Gallery) -> None:
    keys = np.array(keys_of("random", empty, range(20_000)))
    counts, _ = np.histogram(keys, bins=20, range=(0.0, 1.0))
    assert counts.sum() == 20_000 and abs(counts - 1000).max() < 150
    assert abs(np.corrcoef(keys, np.arange(20_000))[0, 1]) < 0.03


def test_seeds_give_different_orders(empty: Gallery) -> None:
    orders = {tuple(ordered("random", empty, range(50), seed)) for seed in range(10)}
    assert len(orders) == 10


def test_gallery_order_is_the_store_s_own_over_all_batches(empty: Gallery) -> None:
    scoring = open_order("gallery", empty, 0)
    keys = scoring.score(items_of([3, 1]), "gallery") + scoring.score(items_of([2]), "gallery")
    assert keys == sorted(keys) and len(set(keys)) == 3


def test_short_mapped_vectors_come_first(world: World) -> None:
    upgrade = make_upgrade(Side.ITEMS)
    gallery = open_gallery("memory://", upgrade)
    gallery.upsert(range(20), old=world.gallery.old[:20])
    gallery.upsert(["no old vector"], new=world.gallery.new[0])
    scoring = open_order("short_mapped_first", gallery, 0)
    items = gallery.store.scan(n=99, vectors=scoring.vectors)
    keys = {item.id: key for item, key in zip(items, scoring.score(items, "it"), strict=True)}
    assert upgrade.forward is not None
    weight = upgrade.forward.skip.weight  # type: ignore[union-attr]
    lengths = [float(np.linalg.norm(old @ weight)) for old in world.gallery.old[:20]]
    assert [keys[row] for row in range(20)] == pytest.approx(lengths, rel=1e-5)
    assert min(keys, key=keys.__getitem__) == "no old vector"


def test_short_mapped_first_needs_a_forward_map(empty: Gallery) -> None:
    with pytest.raises(InvalidInput, match="upgrade on the items' side"):
        open_order("short_mapped_first", empty, 0)


def test_what_is_asked_for_most_comes_first(empty: Gallery, tmp_path: Path) -> None:
    log = tmp_path / "log:1"
    log.write_text("7\nü\n7\n\na\tb\t5\n8\t2\n8\n".replace("a\tb", "a b"), encoding="utf-8")
    ids: list[Id] = ["unknown", "ü", 7, 8, "a b"]
    assert ordered(f"traffic:{log}", empty, ids) == ["a b", 8, 7, "ü", "unknown"]
    assert keys_of(f"traffic:{log}", empty, ["7", 7]) == [-2.0, -2.0]


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"7\tmany\n", "line 1 .* ends in 'many'"), (b"\xff\n", "can't be read")],
)
def test_a_traffic_log_that_is_none_is_refused(
    empty: Gallery, tmp_path: Path, content: bytes, message: str
) -> None:
    log = tmp_path / "log"
    log.write_bytes(content)
    with pytest.raises(InvalidInput, match=message):
        open_order(f"traffic:{log}", empty, 0)
    with pytest.raises(InvalidInput, match="can't be read"):
        open_order(f"traffic:{tmp_path}/none", empty, 0)
    with pytest.raises(InvalidInput, match="traffic:FILE"):
        open_order("traffic", empty, 0)


def test_traffic_can_be_given_as_counts(empty: Gallery) -> None:
    register_order("my traffic", traffic_order({"a": 3, 1: 5}))
    assert ordered("my traffic", empty, ["b", "a", 1, "1"]) == [1, "a", "b", "1"]


def test_an_order_can_be_plugged_in(empty: Gallery) -> None:
    def backwards(gallery: Gallery, seed: int, argument: str) -> Scoring:
        return Scoring(lambda items: [-int(item.id) + len(argument) for item in items])

    register_order("backwards", backwards)
    register_order("backwards", backwards)
    assert "backwards" in order_names()
    assert keys_of("backwards:abc", empty, [1, 2]) == [2.0, 1.0]
    with pytest.raises(InvalidInput, match="registered already"):
        register_order("backwards", lambda gallery, seed, argument: Scoring(len))
    for name in ("", "a:b"):
        with pytest.raises(InvalidInput, match="no name for an order"):
            register_order(name, backwards)


@pytest.mark.parametrize(
    "bad", [[1.0], [[1.0, 2.0]], [1.0, float("nan")], [1.0, float("inf")], ["x", "y"], None]
)
def test_keys_that_are_none_are_refused(empty: Gallery, bad: Any) -> None:
    with pytest.raises(InvalidInput, match="order 'bad' returned"):
        Scoring(lambda items: bad).score(items_of([1, 2]), "bad")


def test_an_unknown_order_lists_the_known_ones(empty: Gallery) -> None:
    with pytest.raises(InvalidInput, match=r"known orders: .*gallery.*random"):
        open_order("alphabetical", empty, 0)


@pytest.mark.parametrize("name", ["random", "gallery", "short_mapped_first"])
def test_an_argument_that_says_nothing_is_refused(empty: Gallery, name: str) -> None:
    with pytest.raises(InvalidInput, match="takes nothing after a colon"):
        open_order(f"{name}:x", empty, 0)
