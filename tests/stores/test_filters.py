"""What a filter means, by hand."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.errors import InvalidInput
from crossfade.stores.filters import check_filter, matches

RED = {"color": "red", "price": 10, "sale": True, "tags": ["a"], "none": None}


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        ({}, True),
        ({"color": "red"}, True),
        ({"color": "blue"}, False),
        ({"color": "red", "price": {"lt": 10}}, False),
        ({"price": {"gte": 10, "lte": 10}}, True),
        ({"price": {"gt": 10}}, False),
        ({"price": 10.0}, True),
        ({"price": "10"}, False),
        ({"sale": True}, True),
        ({"sale": 1}, False),
        ({"sale": {"gte": 0}}, False),
        ({"tags": "a"}, False),
        ({"color": {"gte": 0}}, False),
        ({"missing": "x"}, False),
        ({"not": {"missing": "x"}}, True),
        ({"not": {"none": "x"}}, True),
        ({"color": {"in": ["blue", "red"]}}, True),
        ({"color": {"in": []}}, False),
        ({"or": [{"color": "blue"}, {"price": 10}]}, True),
        ({"and": [{"color": "red"}, {"color": "blue"}]}, False),
        ({"or": [{"color": "blue"}], "sale": True}, False),
    ],
)
def test_a_filter_means_what_it_says(filter: Mapping[str, Any], expected: bool) -> None:
    check_filter(filter)
    assert matches(filter, RED) is expected


@pytest.mark.parametrize(
    "filter",
    [
        "color",
        {"and": []},
        {"or": {"color": "red"}},
        {"not": "red"},
        {"a": None},
        {"a": ["red"]},
        {"a": {"in": "red"}},
        {"a": {"in": [None]}},
        {"a": {"between": [1, 2]}},
        {"a": {"in": [1], "lt": 3}},
        {"a": {"lt": "3"}},
        {"a": {"lt": True}},
        {"a": {"lt": float("inf")}},
        {"a": float("nan")},
        {"a": 1e300},
        {"a": 2**63},
    ],
)
def test_another_form_is_refused(filter: Any) -> None:
    with pytest.raises(InvalidInput):
        check_filter(filter)


@pytest.mark.parametrize("huge", [2**53, 2**60, -(2**63), 2**63 - 1])
def test_huge_integers_equal_only_themselves(huge: int) -> None:
    assert matches({"n": huge}, {"n": huge})
    assert not matches({"n": huge}, {"n": float(huge)})
    assert not matches({"n": huge}, {"n": huge - 1 if huge > 0 else huge + 1})


@given(value=st.integers(-5, 5) | st.floats(-5, 5), bound=st.integers(-5, 5) | st.floats(-5, 5))
def test_ranges_and_equality_cover_every_number_once(value: float, bound: float) -> None:
    payload = {"n": value}
    passed = [
        matches({"n": {"lt": bound}}, payload),
        matches({"n": bound}, payload),
        matches({"n": {"gt": bound}}, payload),
    ]
    assert sum(passed) == 1
    assert matches({"n": {"lte": bound}}, payload) == (passed[0] or passed[1])
    assert matches({"n": {"gte": bound}}, payload) == (passed[1] or passed[2])
