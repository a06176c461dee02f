"""Orders of backfilling."""

from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.embeddings import normalise
from crossfade.errors import InvalidInput
from crossfade.orders import Scoring, open_order, order_names, register_order, traffic_order
from crossfade.stores import Id, Item
from crossfade.testing import make_upgrade
from crossfade.upgrade import Side, Upgrade

_ids = st.lists(st.integers(-9, 9) | st.text(max_size=2), unique=True, max_size=12)


@pytest.fixture(scope="module")
def plain() -> Upgrade:
    return make_upgrade()


def items_of(ids: Any) -> list[Item]:
    return [Item(id, 1, {}, {}) for id in ids]


def keys_of(order: str, upgrade: Upgrade, ids: Any, seed: int = 0) -> list[float]:
    return open_order(order, upgrade, seed).score(items_of(ids), order)


def ordered(order: str, upgrade: Upgrade, ids: Any, seed: int = 0) -> list[Id]:
    keys = dict(zip(ids, keys_of(order, upgrade, ids, seed), strict=True))
    return sorted(ids, key=keys.__getitem__)


@given(ids=_ids, seed=st.integers(0, 99), shuffle=st.randoms())
def test_a_random_key_depends_on_the_id_and_the_seed_alone(
    plain: Upgrade, ids: list[int | str], seed: int, shuffle: Random
) -> None:
    elsewhere = list(ids)
    shuffle.shuffle(elsewhere)
    keys = dict(zip(ids, keys_of("random", plain, ids, seed), strict=True))
    assert keys == dict(zip(elsewhere, keys_of("random", plain, elsewhere, seed), strict=True))
    assert len(set(keys.values())) == len(ids), "5 and '5' are two items"


def test_random_keys_are_the_same_for_ever() -> None:
    """A job begun by one release is gone on with by the next."""
    keys = keys_of("random", make_upgrade(), [0, "0", -1, "ü"], 7)
    assert keys == [
        0.07808294564370433,
        0.8094159956179602,
        0.6768695909173085,
        0.949239436870488,
    ]


def test_random_keys_are_spread_evenly(plain: Upgrade) -> None:
    keys = np.array(keys_of("random", plain, range(20_000)))
    counts, _ = np.histogram(keys, bins=20, range=(0.0, 1.0))
    assert counts.sum() == 20_000 and abs(counts - 1000).max() < 150
    assert abs(np.corrcoef(keys, np.arange(20_000))[0, 1]) < 0.03


def test_seeds_give_different_orders(plain: Upgrade) -> None:
    orders = {tuple(ordered("random", plain, range(50), seed)) for seed in range(10)}
    assert len(orders) == 10


def test_gallery_order_is_the_store_s_own_over_all_batches(plain: Upgrade) -> None:
    scoring = open_order("gallery", plain, 0)
    keys = scoring.score(items_of([3, 1]), "gallery") + scoring.score(items_of([2]), "gallery")
    assert keys == sorted(keys) and len(set(keys)) == 3


def test_short_mapped_vectors_come_first() -> None:
    rows = normalise(np.random.default_rng(0).normal(size=(20, 12)))
    upgrade = make_upgrade(Side.ITEMS)
    scoring = open_order("short_mapped_first", upgrade, 0)
    items = [Item(row, 1, {"old": rows[row]}, {}) for row in range(20)]
    items.append(Item("no old vector", 1, {}, {}))
    keys = {item.id: key for item, key in zip(items, scoring.score(items, "it"), strict=True)}
    assert upgrade.forward is not None
    weight = upgrade.forward.skip.weight  # type: ignore[union-attr]
    lengths = [float(np.linalg.norm(old @ weight)) for old in rows]
    assert [keys[row] for row in range(20)] == pytest.approx(lengths, rel=1e-5)
    assert min(keys, key=keys.__getitem__) == "no old vector"


def test_short_mapped_first_needs_a_forward_map(plain: Upgrade) -> None:
    with pytest.raises(InvalidInput, match="upgrade on the items' side"):
        open_order("short_mapped_first", plain, 0)


def test_what_is_asked_for_most_comes_first(plain: Upgrade, tmp_path: Path) -> None:
    log = tmp_path / "log:1"
    log.write_text("7\nü\n7\n\na\tb\t5\n8\t2\n8\n".replace("a\tb", "a b"), encoding="utf-8")
    ids: list[Id] = ["unknown", "ü", 7, 8, "a b"]
    assert ordered(f"traffic:{log}", plain, ids) == ["a b", 8, 7, "ü", "unknown"]
    assert keys_of(f"traffic:{log}", plain, ["7", 7]) == [-2.0, -2.0]


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"7\tmany\n", "line 1 .* ends in 'many'"), (b"\xff\n", "can't be read")],
)
def test_a_traffic_log_that_is_none_is_refused(
    plain: Upgrade, tmp_path: Path, content: bytes, message: str
) -> None:
    log = tmp_path / "log"
    log.write_bytes(content)
    with pytest.raises(InvalidInput, match=message):
        open_order(f"traffic:{log}", plain, 0)
    with pytest.raises(InvalidInput, match="can't be read"):
        open_order(f"traffic:{tmp_path}/none", plain, 0)
    with pytest.raises(InvalidInput, match="traffic:FILE"):
        open_order("traffic", plain, 0)


def test_traffic_can_be_given_as_counts(plain: Upgrade) -> None:
    register_order("my traffic", traffic_order({"a": 3, 1: 5}))
    assert ordered("my traffic", plain, ["b", "a", 1, "1"]) == [1, "a", "b", "1"]


def test_an_order_can_be_plugged_in(plain: Upgrade) -> None:
    def backwards(upgrade: Upgrade, seed: int, argument: str) -> Scoring:
        return Scoring(lambda items: [-int(item.id) + len(argument) for item in items])

    register_order("backwards", backwards)
    register_order("backwards", backwards)
    assert "backwards" in order_names()
    assert keys_of("backwards:abc", plain, [1, 2]) == [2.0, 1.0]
    with pytest.raises(InvalidInput, match="registered already"):
        register_order("backwards", lambda upgrade, seed, argument: Scoring(len))
    for name in ("", "a:b"):
        with pytest.raises(InvalidInput, match="no name for an order"):
            register_order(name, backwards)


@pytest.mark.parametrize(
    "bad", [[1.0], [[1.0, 2.0]], [1.0, float("nan")], [1.0, float("inf")], ["x", "y"], None]
)
def test_keys_that_are_none_are_refused(plain: Upgrade, bad: Any) -> None:
    with pytest.raises(InvalidInput, match="order 'bad' returned"):
        Scoring(lambda items: bad).score(items_of([1, 2]), "bad")


def test_an_unknown_order_lists_the_known_ones(plain: Upgrade) -> None:
    with pytest.raises(InvalidInput, match=r"known orders: .*gallery.*random"):
        open_order("alphabetical", plain, 0)


@pytest.mark.parametrize(
    "name", ["random", "gallery", "short_mapped_first", "predicted_residual", "auto"]
)
def test_an_argument_that_says_nothing_is_refused(plain: Upgrade, name: str) -> None:
    with pytest.raises(InvalidInput, match="takes nothing after a colon"):
        open_order(f"{name}:x", plain, 0)
