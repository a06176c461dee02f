"""Payload fields as labels and numbers."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.stores.fields import label, labels, numbers
from crossfade.stores.filters import check_filter, matches

LONG = "x" * 65
VALUES: list[Any] = [
    *(0, 1, -1, True, False, 1.0, -0.0, 0.5, 2**53, 2**53 - 1, 2**60, 2**60 + 1, -(2**63)),
    *("", "0", "1", "true", "a=b", "%", "%%", "é", "e\u0301", LONG, LONG + "y"),
    *("' OR 1=1 --", '"; DROP TABLE items; --', "\\", "\0", "x:y"),
]
scalars = st.one_of(
    st.sampled_from(VALUES), st.text(), st.integers(-(2**63), 2**63 - 1), st.floats(-9e15, 9e15)
)


@given(stored=scalars | st.floats(allow_nan=False, allow_infinity=False), wanted=scalars)
def test_two_fields_share_a_label_if_and_only_if_they_are_equal(stored: Any, wanted: Any) -> None:
    if isinstance(wanted, float) and abs(wanted) >= 2**53:
        return
    check_filter({"f": wanted})
    assert matches({"f": wanted}, {"f": stored}) == (label("f", stored) == label("f", wanted))


@given(key=st.text(), other=st.text(), value=scalars)
def test_fields_of_other_names_share_no_label(key: str, other: str, value: Any) -> None:
    assert (label(key, value) == label(other, value)) == (key == other)


@given(key=st.text(), value=scalars)
def test_nothing_in_a_label_can_end_a_text(key: str, value: Any) -> None:
    safe = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-~%:=+")
    assert set(label(key, value) or "") <= safe
    assert set("".join(numbers({key: value}))) <= safe


def test_a_hash_is_not_taken_for_a_text() -> None:
    hashed = label("f", LONG)
    assert hashed is not None
    assert label("f", hashed.removeprefix("text:f=")) != hashed


@pytest.mark.parametrize("value", [None, [1], {"a": 1}, float(2**60)])
def test_what_equals_nothing_has_no_label(value: Any) -> None:
    assert label("f", value) is None and labels({"f": value}) == []


def test_numbers_are_kept_as_floats_and_flags_are_no_numbers() -> None:
    assert numbers({"a b": 2**60 + 1, "f": 0.5, "flag": True, "text": "1"}) == {
        "a%20b": float(2**60),
        "f": 0.5,
    }
