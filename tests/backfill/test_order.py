"""Orders of backfilling."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.backfill import order_names, register_order
from crossfade.backfill.order import order_ids
from crossfade.errors import InvalidInput
from crossfade.gallery import Gallery, open_gallery
from crossfade.testing import make_upgrade

_ids = st.lists(st.integers(-9, 9) | st.text(max_size=2), unique=True, max_size=12)


@pytest.fixture(scope="module")
def empty() -> Gallery:
    return open_gallery("memory://", make_upgrade())


@given(ids=_ids, seed=st.integers(0, 99), shuffle=st.randoms())
def test_random_order_depends_on_the_ids_and_the_seed_alone(
    empty: Gallery, ids: list[int | str], seed: int, shuffle: Random
) -> None:
    elsewhere = list(ids)
    shuffle.shuffle(elsewhere)
    ordered = order_ids("random", empty, ids, seed)
    assert ordered == order_ids("random", empty, elsewhere, seed)
    assert sorted(map(repr, ordered)) == sorted(map(repr, ids))


def test_seeds_give_different_orders(empty: Gallery) -> None:
    orders = {tuple(order_ids("random", empty, range(50), seed)) for seed in range(10)}
    assert len(orders) == 10


def test_gallery_order_is_the_store_s_own(empty: Gallery) -> None:
    assert order_ids("gallery", empty, [3, 1, 2], 0) == [3, 1, 2]


def test_an_order_can_be_plugged_in(empty: Gallery) -> None:
    def backwards(gallery: Gallery, ids: list[int], seed: int) -> list[int]:
        return ids[::-1]

    register_order("backwards", backwards)  # type: ignore[arg-type]
    register_order("backwards", backwards)  # type: ignore[arg-type]
    assert "backwards" in order_names()
    assert order_ids("backwards", empty, [1, 2, 3], 0) == [3, 2, 1]
    with pytest.raises(InvalidInput, match="registered already"):
        register_order("backwards", lambda gallery, ids, seed: ids)


@pytest.mark.parametrize("bad", [[1], [1, 2, 2], [1, 2, 4]])
def test_an_order_that_loses_or_invents_items_is_refused(empty: Gallery, bad: list[int]) -> None:
    name = f"bad {bad}"
    register_order(name, lambda gallery, ids, seed: bad)
    with pytest.raises(InvalidInput, match="did not return the 3 ids"):
        order_ids(name, empty, [1, 2, 3], 0)


def test_an_unknown_order_lists_the_known_ones(empty: Gallery) -> None:
    with pytest.raises(InvalidInput, match=r"known orders: .*gallery.*random"):
        order_ids("alphabetical", empty, [], 0)
