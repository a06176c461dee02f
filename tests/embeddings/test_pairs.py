"""Pairs hold only what can be used, in memory and memory-mapped alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossfade import Pairs
from crossfade.errors import InvalidInput

RNG = np.random.default_rng(0)
OLD, NEW = RNG.normal(size=(6, 3)), RNG.normal(size=(6, 5))


def mapped(folder: Path, name: str, rows: np.ndarray) -> np.memmap:
    np.save(folder / f"{name}.npy", rows)
    return np.load(folder / f"{name}.npy", mmap_mode="r")


def pairs_of(labels: Any = None) -> Pairs:
    return Pairs.of([5, 3, 9, 1, 7, 0], OLD, NEW, labels)


def test_rows_are_scaled_and_spaces_named() -> None:
    pairs = Pairs.of(range(6), OLD, NEW, old_name="glove", new_name="llama")
    assert len(pairs) == 6
    assert (pairs.source.name, pairs.source.dim) == ("glove", 3)
    assert (pairs.target.name, pairs.target.dim) == ("llama", 5)
    for rows in (pairs.old_rows(), pairs.new_rows()):
        assert rows.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-6)


@pytest.mark.parametrize(
    ("ids", "old", "new", "why"),
    [
        (range(5), OLD, NEW, "old has 6 rows for 5 ids"),
        (range(6), OLD[:5], NEW, "old has 5 rows for 6 ids"),
        (range(6), OLD, NEW[:2], "new has 2 rows for 6 ids"),
        (range(6), OLD[0], NEW, "old has 1 rows for 6 ids"),
        ([0, 1, 2, 3, 4, 0], OLD, NEW, "ids must be unique"),
        (range(6), OLD, np.where(np.arange(6)[:, None] == 2, np.nan, NEW), "new row 2"),
        (range(6), np.where(np.arange(6)[:, None] == 4, 0, OLD), NEW, "old row 4"),
        (range(6), OLD.astype(str), NEW, "old must be a matrix of numbers"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(ids: Any, old: Any, new: Any, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        Pairs.of(ids, old, new)


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        ([0, 1], "shape \\(2,\\) for 6 ids"),
        (np.zeros((6, 1)), "shape \\(6, 1\\)"),
        (3, "shape \\(\\)"),
        ([0, 1, np.nan, 1, 0, 1], "row 2 is nan"),
        (["a", "b", None, "a", None, "b"], "row 2 is None \\(2 such rows\\)"),
        ([[1], [2, 3], [4], [5], [6], [7]], "no array"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels: Any, why: str) -> None:
    with pytest.raises(InvalidInput, match=f"labels.*{why}"):
        pairs_of(labels)


@pytest.mark.parametrize(
    "labels",
    [
        [1, 0, 1, 0, 1, 0],
        [True, False] * 3,
        ["cat", "dog"] * 3,
        np.array(["cat", "dog"] * 3, object),
        np.array(["cat", "dog"] * 3, np.dtypes.StringDType()),
    ],
)
def test_labels_of_every_plain_type_are_kept(labels: Any) -> None:
    kept = pairs_of(labels).labels
    assert kept is not None
    assert kept.tolist() == list(labels)
    assert kept.dtype != object


def test_no_pairs_are_pairs() -> None:
    empty = Pairs.of([], np.empty((0, 3)), np.empty((0, 5)), [])
    assert len(empty) == 0
    assert empty.new_rows().shape == (0, 5)
    assert len(empty.fingerprint()) == 64


def test_a_subset_keeps_rows_together_in_the_order_asked_for() -> None:
    pairs = pairs_of(list("abcabc"))
    part = pairs.subset([4, 1])
    assert part.ids.tolist() == [7, 3]
    assert part.labels is not None and part.labels.tolist() == ["b", "b"]
    np.testing.assert_array_equal(part.old_rows(), pairs.old_rows()[[4, 1]])
    np.testing.assert_array_equal(part.new_rows(), pairs.new_rows()[[4, 1]])
    assert len(pairs.subset([])) == 0
    assert pairs.subset(np.arange(6) % 2 == 0).ids.tolist() == [5, 9, 7]


def test_labels_can_be_left_out() -> None:
    assert pairs_of([0] * 6).without_labels().labels is None


def test_memory_mapped_rows_stay_on_disk_and_come_out_scaled(tmp_path: Path) -> None:
    old, new = mapped(tmp_path, "old", OLD * 7), mapped(tmp_path, "new", NEW.astype(np.float16))
    pairs = Pairs.of(range(6), old, new)
    assert pairs.old is old
    assert pairs.new is new
    in_memory = Pairs.of(range(6), OLD * 7, NEW.astype(np.float16))
    np.testing.assert_array_equal(pairs.old_rows([2, 0]), in_memory.old_rows([2, 0]))
    np.testing.assert_array_equal(pairs.new_rows(), in_memory.new_rows())
    assert pairs.old_rows([]).shape == (0, 3)


def test_a_mapped_and_a_plain_array_together_are_both_scaled(tmp_path: Path) -> None:
    pairs = Pairs.of(range(6), mapped(tmp_path, "old", OLD * 7), NEW * 7)
    reversed_pairs = Pairs.of(range(6), OLD * 7, mapped(tmp_path, "new", NEW * 7))
    for rows in (
        pairs.old_rows(),
        pairs.new_rows(),
        reversed_pairs.old_rows(),
        reversed_pairs.new_rows(),
    ):
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-6)


def test_memory_mapped_rows_are_validated_too(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="new row 5 holds NaN"):
        Pairs.of(range(6), OLD, mapped(tmp_path, "new", np.vstack([NEW[:5], NEW[5:] * np.nan])))


def test_the_fingerprint_tells_data_apart() -> None:
    base = pairs_of([0, 1] * 3)
    others = [
        base.without_labels(),
        pairs_of([1, 0] * 3),
        base.subset([1, 0, 2, 3, 4, 5]),
        base.subset(range(5)),
        Pairs.of(range(6), OLD, NEW, [0, 1] * 3),
        Pairs.of(base.ids, -OLD, NEW, [0, 1] * 3),
        Pairs.of(base.ids, OLD, np.roll(NEW, 1, axis=1), [0, 1] * 3),
    ]
    prints = {pairs.fingerprint() for pairs in (base, *others)}
    assert len(prints) == 1 + len(others)
    assert pairs_of([0, 1] * 3).fingerprint() == base.fingerprint()
