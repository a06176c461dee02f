"""What searches want, as priorities."""

import numpy as np
import pytest

from crossfade.orders import HIGHEST_LEVEL, DemandLevels, demand
from crossfade.stores import Id


def test_levels_rise_with_the_place_and_with_how_often_an_item_is_wanted() -> None:
    levels = DemandLevels()
    first = levels.count([{f"item {place}": place for place in range(1, 33)}])
    ranked = list(first.values())
    assert ranked == sorted(ranked, reverse=True) and ranked[-1] == 1
    assert first["item 1"] > first["item 2"] > first["item 3"] > first["item 4"]
    assert levels.count([{"item 2": 1}])["item 2"] >= first["item 1"], "1/4 + 1 is more than 1"


def test_the_queries_of_one_search_count_each() -> None:
    together, one_by_one = DemandLevels(), DemandLevels()
    wanted: list[dict[Id, int]] = [{"a": 1, "b": 2}, {"b": 1, "c": 2}, {"b": 1}, {}]
    counted = together.count(wanted)
    apart: dict[Id, int] = {}
    for places in wanted:
        apart |= one_by_one.count([places])
    assert counted == apart and max(counted, key=counted.__getitem__) == "b"


def test_an_item_is_written_a_few_times_however_often_it_is_wanted() -> None:
    levels = DemandLevels()
    seen = [levels.count([{7: 1}])[7] for _ in range(5_000)]
    assert seen == sorted(seen) and len(set(seen)) <= 2 * np.ceil(np.log2(5_000)) + 1
    assert seen[-1] <= HIGHEST_LEVEL


def test_a_far_place_counts_too() -> None:
    assert DemandLevels().count([{499: 500}])[499] == 1


def test_what_was_not_wanted_for_long_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demand, "_MOST_ITEMS", 3)
    levels = DemandLevels()
    for _ in range(8):
        levels.count([{"often": 1}, {"old": 1}])
    levels.count([{"a": 1}, {"often": 1}, {"b": 1}])
    again = levels.count([{"often": 1}, {"old": 1}])
    assert again["often"] > again["old"] == DemandLevels().count([{"new": 1}])["new"]
