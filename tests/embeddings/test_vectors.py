"""Arrays of every kind either become unit rows or are refused with a reason."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from crossfade.embeddings import as_ids, normalise, unit_rows
from crossfade.errors import InvalidInput, SpaceMismatch

SHAPES = array_shapes(min_dims=2, max_dims=2, max_side=12)


def matrices(dtype: Any, largest: float) -> st.SearchStrategy[np.ndarray]:
    """Matrices without a zero row, of any magnitude that the type can hold."""
    width = np.dtype(dtype).itemsize * 8
    values = st.floats(-largest, largest, width=width)
    return arrays(dtype, SHAPES, elements=values).filter(lambda m: m.any(axis=1).all())


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_nan_and_infinite_rows_are_refused_by_their_number(bad: float, dtype: Any) -> None:
    rows = np.ones((5, 3), dtype)
    rows[3, 1] = bad
    with pytest.raises(InvalidInput, match="gallery row 3 holds NaN or an infinite value"):
        unit_rows(rows, name="gallery")


def test_a_bad_row_is_found_in_whatever_chunk_it_is() -> None:
    rows = np.ones((40, 2**18), np.float32)
    rows[37] = 0
    with pytest.raises(InvalidInput, match="row 37 is the zero vector"):
        unit_rows(rows)


@pytest.mark.parametrize("zero", [np.zeros((2, 3)), np.zeros(3), np.array([[0, 0]])])
def test_zero_vectors_are_refused(zero: np.ndarray) -> None:
    with pytest.raises(InvalidInput, match="row 0 is the zero vector"):
        unit_rows(zero)


@pytest.mark.parametrize(
    "value",
    [
        "text",
        None,
        3.0,
        [["a", "b"]],
        [[1.0, 2.0], [3.0]],
        np.ones((2, 2, 2)),
        np.ones((2, 3), bool),
        np.ones((2, 3), complex),
        np.array([[1, 2], [3, 4]], dtype=object),
        np.array([], dtype=object),
        np.ones((3, 0)),
    ],
)
def test_what_is_no_matrix_of_numbers_is_refused(value: Any) -> None:
    with pytest.raises(InvalidInput, match="vectors"):
        unit_rows(value)


def test_the_wrong_width_is_a_mismatch_of_spaces() -> None:
    with pytest.raises(SpaceMismatch, match="dimension 3, wanted 4"):
        unit_rows(np.ones((2, 3)), dim=4)


def test_more_rows_than_allowed_are_refused() -> None:
    with pytest.raises(InvalidInput, match="3 rows, at most 2"):
        unit_rows(np.ones((3, 3)), max_rows=2)


def test_one_vector_is_a_matrix_of_one_row() -> None:
    assert unit_rows([3.0, 4.0]).tolist() == [[np.float32(0.6), np.float32(0.8)]]


def test_no_rows_stay_no_rows() -> None:
    out = unit_rows(np.empty((0, 7), np.float64), dim=7)
    assert out.shape == (0, 7)
    assert out.dtype == np.float32


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.int64, np.uint64])
def test_integers_are_numbers(dtype: Any) -> None:
    largest = np.iinfo(dtype).max
    assert unit_rows(np.array([[largest, 0], [3, 4]], dtype)).tolist() == [
        [1.0, 0.0],
        [np.float32(0.6), np.float32(0.8)],
    ]


def test_the_smallest_integer_has_an_absolute_value() -> None:
    assert unit_rows(np.array([[-128, 0]], np.int8)).tolist() == [[-1.0, 0.0]]


@pytest.mark.parametrize("scale", [5e-324, 1e-200, 1e-40, 1.0, 1e38, 1e200, 1e308])
def test_magnitudes_that_square_to_zero_or_infinity_are_kept(scale: float) -> None:
    out = unit_rows(np.array([[scale, scale], [0.0, -scale]]))
    np.testing.assert_allclose(out, [[0.5**0.5, 0.5**0.5], [0.0, -1.0]], rtol=1e-6)


def test_large_float32_rows_overflow_nowhere() -> None:
    rows = np.full((2, 3), np.finfo(np.float32).max)
    np.testing.assert_allclose(unit_rows(rows), 3**-0.5, rtol=1e-6)


@given(matrices(np.float64, 1e300))
def test_float64_rows_come_out_as_float32_unit_rows_in_their_direction(rows: np.ndarray) -> None:
    out = unit_rows(rows)
    assert out.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(out.astype(np.float64), axis=1), 1.0, atol=1e-6)
    wide = rows / np.abs(rows).max(axis=1, keepdims=True)
    wide /= np.linalg.norm(wide, axis=1, keepdims=True)
    np.testing.assert_allclose(out, wide, atol=2e-7)


@given(matrices(np.float16, 60_000))
def test_float16_rows_are_scaled_as_exactly_as_their_float32_copies(rows: np.ndarray) -> None:
    np.testing.assert_array_equal(unit_rows(rows), unit_rows(rows.astype(np.float32)))


@given(matrices(np.float32, float(np.float32(1e30))))
def test_scaling_twice_changes_no_bit(rows: np.ndarray) -> None:
    once = normalise(rows)
    np.testing.assert_array_equal(normalise(once), once)


@pytest.mark.parametrize("dim", [1, 2, 127, 2048, 9_000])
def test_wide_unit_rows_are_kept_bit_for_bit_in_any_batch_and_layout(dim: int) -> None:
    rows = unit_rows(np.random.default_rng(dim).normal(size=(40, dim)))
    np.testing.assert_array_equal(unit_rows(np.asfortranarray(rows)), rows)
    for row in range(0, 40, 7):
        np.testing.assert_array_equal(unit_rows(rows[row]), rows[row : row + 1])


@given(matrices(np.float32, 8.0), st.data())
def test_a_row_comes_out_alike_in_every_batch(rows: np.ndarray, data: st.DataObject) -> None:
    picked = data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1))
    np.testing.assert_array_equal(normalise(rows[picked]), normalise(rows)[picked])


def test_the_callers_array_is_neither_changed_nor_shared() -> None:
    rows = unit_rows(np.eye(3))
    again = unit_rows(rows)
    again[0] = 7
    assert rows[0].tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    ("given_ids", "wanted", "kind"),
    [
        ([3, 1, 2], [3, 1, 2], "i"),
        (range(3), [0, 1, 2], "i"),
        (np.array([1, 2], np.uint8), [1, 2], "i"),
        (np.array([2**63 - 1], np.uint64), [2**63 - 1], "i"),
        (np.array([-(2**63)]), [-(2**63)], "i"),
        (np.array([5, 6], ">i4"), [5, 6], "i"),
        (["b", "a"], ["b", "a"], "U"),
        (np.array(["x", "é"], object), ["x", "é"], "U"),
        (np.array(["x", "é"], np.dtypes.StringDType()), ["x", "é"], "U"),
        (np.array([b"x", "é".encode()]), ["x", "é"], "U"),
        (np.array(["a", "b"], ">U3"), ["a", "b"], "U"),
        ([], [], "i"),
        (np.array([], object), [], "U"),
        (np.array([], "U4"), [], "U"),
    ],
)
def test_ids_become_int64_or_str(given_ids: Any, wanted: list[Any], kind: str) -> None:
    ids = as_ids(given_ids)
    assert ids.tolist() == wanted
    assert ids.dtype.kind == kind
    assert kind == "U" or ids.dtype == np.int64


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ([1, 2, 1], "1 repeated, e.g. 1"),
        (["a", "b", "a", "b"], "2 repeated, e.g. a"),
        (np.array([2**63], np.uint64), "largest integer id is 2\\^63-1"),
        ([2**64], "integers or strings"),
        ([0.5, 1.5], "integers or strings, got float64"),
        ([True, False], "integers or strings, got bool"),
        ([None, "a"], "integers or strings, got object"),
        (np.array([1, "a"], object), "integers or strings, got object"),
        ([1, "a"], "mixes text and other types"),
        (np.array(["2024-01-01"], "M8[D]"), "integers or strings"),
        (np.array([b"\xff\xfe"]), "not UTF-8"),
        ([[1], [2]], "one-dimensional"),
        (7, "one-dimensional"),
        ([[1], [2, 3]], "no array"),
    ],
)
def test_ids_that_name_no_item_for_certain_are_refused(bad: Any, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        as_ids(bad)


def test_ids_may_repeat_where_that_is_allowed() -> None:
    assert as_ids([1, 1], unique=False).tolist() == [1, 1]
