"""Files of pairs: what is saved is loaded, and damaged files are refused with a reason."""

from __future__ import annotations

import pickle
import re
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from crossfade import Pairs, QueryLog
from crossfade.errors import CrossfadeError, DataFileError, InvalidInput, OutputError

FORMS = ("pairs.npz", "pairs.parquet", "pairs")
RNG = np.random.default_rng(0)
ARRAYS = {
    "ids": np.arange(6),
    "old": RNG.normal(size=(6, 3)).astype(np.float32),
    "new": RNG.normal(size=(6, 5)).astype(np.float32),
    "labels": np.array(list("ababab")),
}
PAIRS = Pairs.of(**ARRAYS)
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=6)
MANY_IDS = st.one_of(
    st.lists(st.integers(-(2**63), 2**63 - 1), unique=True, max_size=9),
    st.lists(TEXT, unique=True, max_size=9),
)
LABELS = st.sampled_from([st.integers(-(2**63), 2**64 - 1), TEXT, st.booleans(), st.floats(-9, 9)])


@st.composite
def some_pairs(draw: st.DrawFn) -> Pairs:
    ids = draw(MANY_IDS)
    n = len(ids)
    old, new = (
        draw(
            arrays(
                np.float32,
                (n, draw(st.integers(1, 9))),
                elements=st.floats(-100, 100, width=32),
            ).map(lambda rows: np.where(rows.any(axis=1, keepdims=True), rows, np.float32(1)))
        )
        for _ in range(2)
    )
    labels = draw(st.none() | draw(LABELS).flatmap(lambda one: st.lists(st.just(one), **size(n))))
    return Pairs.of(np.array(ids) if ids else [], old, new, labels)


def size(n: int) -> dict[str, int]:
    return {"min_size": n, "max_size": n}


def save_arrays(path: Path, **changed: Any) -> Path:
    """Write arrays without the package; None leaves one out."""
    arrays = {name: array for name, array in {**ARRAYS, **changed}.items() if array is not None}
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    elif path.suffix == ".parquet":
        pq.write_table(pa.table({name: list(array) for name, array in arrays.items()}), path)
    else:
        path.mkdir()
        for name, array in arrays.items():
            np.save(path / f"{name}.npy", array)
    return path


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=25, deadline=None)
@given(pairs=some_pairs())
def test_what_is_saved_is_loaded_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, form: str, pairs: Pairs
) -> None:
    path = tmp_path_factory.mktemp("form") / form
    pairs.save(path)
    loaded = Pairs.load(path)
    np.testing.assert_array_equal(loaded.ids, pairs.ids)
    assert loaded.old_rows().tobytes() == pairs.old_rows().tobytes()
    assert loaded.new_rows().tobytes() == pairs.new_rows().tobytes()
    assert (loaded.source.dim, loaded.target.dim) == (pairs.source.dim, pairs.target.dim)
    if pairs.labels is None:
        assert loaded.labels is None
    else:
        assert loaded.labels is not None
        assert loaded.labels.tolist() == pairs.labels.tolist()
    assert loaded.fingerprint() == pairs.fingerprint()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int32])
def test_files_of_other_number_types_are_accepted(tmp_path: Path, form: str, dtype: Any) -> None:
    rows = (ARRAYS["old"] * 50).astype(dtype)
    loaded = Pairs.load(save_arrays(tmp_path / form, old=rows))
    np.testing.assert_array_equal(
        loaded.old_rows(), Pairs.of(ARRAYS["ids"], rows, ARRAYS["new"]).old_rows()
    )


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("changed", "error", "why"),
    [
        ({"ids": None}, DataFileError, "lacks ids; it holds labels, new, old"),
        ({"old": None, "new": None}, DataFileError, "lacks old, new"),
        ({"ids": np.zeros(6, int)}, InvalidInput, "ids must be unique"),
        ({"ids": np.arange(6) / 2}, InvalidInput, "ids must be integers or strings"),
        ({"old": ARRAYS["old"] * np.nan}, InvalidInput, "old row 0 holds NaN"),
        ({"new": ARRAYS["new"] * 0}, InvalidInput, "new row 0 is the zero vector"),
        ({"ids_old": np.arange(6), "ids_new": np.arange(6)[::-1]}, InvalidInput, "ids_new row 0"),
        ({"old_ids": np.array([0, 1, 2, 3, 4, 9])}, InvalidInput, "old_ids row 5 is 9, ids says 5"),
        ({"new_ids": np.array(list("abcdef"))}, InvalidInput, "new_ids row 0 is a"),
    ],
)
def test_bad_contents_are_refused_with_the_files_name(
    tmp_path: Path, form: str, changed: dict[str, Any], error: type[Exception], why: str
) -> None:
    path = save_arrays(tmp_path / form, **changed)
    with pytest.raises(error, match=f"{re.escape(str(path))}.*{why}"):
        Pairs.load(path)


@pytest.mark.parametrize("form", ["pairs.npz", "pairs"])
@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"new": ARRAYS["new"][:4]}, "new has 4 rows for 6 ids"),
        ({"labels": np.arange(5)}, "labels has shape \\(5,\\) for 6 ids"),
        ({"old": ARRAYS["old"].ravel()}, "old has 1 rows for 6 ids"),
        ({"ids_old": np.arange(3)}, "ids_old has 3 ids, ids has 6"),
    ],
)
def test_arrays_of_different_lengths_are_refused(
    tmp_path: Path, form: str, changed: dict[str, Any], why: str
) -> None:
    with pytest.raises(InvalidInput, match=why):
        Pairs.load(save_arrays(tmp_path / form, **changed))


@pytest.mark.parametrize("form", FORMS)
def test_agreeing_ids_of_both_sides_are_accepted(tmp_path: Path, form: str) -> None:
    path = save_arrays(tmp_path / form, ids_old=np.arange(6), new_ids=np.arange(6))
    assert Pairs.load(path).fingerprint() == PAIRS.fingerprint()


@pytest.mark.parametrize("form", FORMS)
def test_other_arrays_in_the_file_are_left_alone(tmp_path: Path, form: str) -> None:
    path = save_arrays(tmp_path / form, titles=np.array(list("uvwxyz")))
    assert Pairs.load(path).fingerprint() == PAIRS.fingerprint()


@pytest.mark.parametrize("form", ["pairs.npz", "pairs"])
@pytest.mark.parametrize("name", ["ids", "old", "labels"])
def test_pickled_objects_are_never_loaded(tmp_path: Path, form: str, name: str) -> None:
    path = save_arrays(tmp_path / form, **{name: np.array([*"abcde", Explodes()], object)})
    with pytest.raises(DataFileError, match="pickled objects"):
        Pairs.load(path)


class Explodes:
    def __reduce__(self) -> tuple[Any, ...]:
        return pytest.fail, ("a pickle was run",)


def test_a_pickle_by_the_name_of_an_archive_is_never_loaded(tmp_path: Path) -> None:
    (tmp_path / "p.npz").write_bytes(pickle.dumps(Explodes()))
    with pytest.raises(DataFileError):
        Pairs.load(tmp_path / "p.npz")


@pytest.mark.parametrize("form", ["pairs.npz", "pairs.parquet"])
def test_a_file_cut_off_anywhere_is_refused(tmp_path: Path, form: str) -> None:
    PAIRS.save(tmp_path / form)
    whole = (tmp_path / form).read_bytes()
    lengths = {0, 1, 2, 3, 4, 5, len(whole) - 1, *range(7, len(whole), 23)}
    for length in sorted(lengths):
        (tmp_path / form).write_bytes(whole[:length])
        with pytest.raises(DataFileError, match=f"{form}.*(truncated|cut off)"):
            Pairs.load(tmp_path / form)


@pytest.mark.parametrize("text", ["what is a map?\n", "größer\t1\n" * 99])
def test_text_is_called_text_and_nothing_of_pickles_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "q.npz").write_text(text, encoding="utf-8")
    for load in (Pairs.load, QueryLog.load):
        with pytest.raises(DataFileError, match=r"it is text, wanted embeddings") as caught:
            load(tmp_path / "q.npz")
        assert "pickle" not in str(caught.value)
    (tmp_path / "q.npz").write_bytes(bytes(range(256)))
    with pytest.raises(DataFileError, match="it is something else, wanted embeddings"):
        QueryLog.load(tmp_path / "q.npz")


def test_a_log_of_queries_given_as_pairs_is_called_one(tmp_path: Path) -> None:
    QueryLog(PAIRS.new_rows(), PAIRS.old_rows()).save(tmp_path / "log.npz")
    with pytest.raises(DataFileError, match=r"lacks ids; .* looks like a log of queries"):
        Pairs.load(tmp_path / "log.npz")
    np.savez(tmp_path / "other.npz", ids=np.arange(6), new=PAIRS.new)
    with pytest.raises(DataFileError, match="lacks old") as caught:
        Pairs.load(tmp_path / "other.npz")
    assert "looks like a log" not in str(caught.value)


@pytest.mark.parametrize("name", ["ids", "old", "new", "labels"])
def test_an_array_of_a_folder_cut_off_anywhere_is_refused(tmp_path: Path, name: str) -> None:
    PAIRS.save(tmp_path / "pairs")
    file = tmp_path / "pairs" / f"{name}.npy"
    whole = file.read_bytes()
    for length in (0, 1, 5, 6, 7, 9, 40, 127, 128, 129, len(whole) - 1):
        file.write_bytes(whole[:length])
        with pytest.raises(DataFileError, match=f"{name}.npy can't be read"):
            Pairs.load(tmp_path / "pairs")


@pytest.mark.parametrize("form", ["pairs.npz", "pairs.parquet", "compressed.npz"])
def test_a_flipped_byte_is_refused_or_changes_no_vector(tmp_path: Path, form: str) -> None:
    path = tmp_path / form
    if form == "compressed.npz":
        np.savez_compressed(path, **ARRAYS)
    else:
        PAIRS.save(path)
    whole = path.read_bytes()
    step = max(1, len(whole) // 120)
    for position in range(0, len(whole), step):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0xFF]) + whole[position + 1 :])
        try:
            loaded = Pairs.load(path)
        except CrossfadeError as error:
            assert str(path) in str(error)
            continue
        # Parquet's pages carry no checksum; an archive's arrays do.
        if path.suffix == ".npz":
            assert loaded.without_labels().fingerprint() == PAIRS.without_labels().fingerprint()


def test_an_npy_file_by_the_name_of_an_archive_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "pairs.npz").open("wb") as file:
        np.save(file, ARRAYS["old"])
    with pytest.raises(DataFileError, match=r"a single \.npy array, wanted .*\.npz archive"):
        Pairs.load(tmp_path / "pairs.npz")


@pytest.mark.parametrize("name", ["pairs.csv", "pairs.npy", "pairs.NPZ", "pairs.tar.gz"])
def test_an_unknown_form_is_refused_before_anything_is_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match="unknown form"):
        PAIRS.save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(DataFileError, match="unknown form"):
        Pairs.load(tmp_path / name)


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="does not exist"):
        Pairs.load(tmp_path / "none.npz")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataFileError, match="lacks ids, old, new; it holds nothing"):
        Pairs.load(tmp_path / "empty")


def test_arrays_of_other_names_are_told(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", ids=[1], old=[[1.0]], new_embeddings=[[1.0]])
    with pytest.raises(DataFileError, match="lacks new; it holds ids, new_embeddings, old"):
        Pairs.load(tmp_path / "other.npz")


def test_an_existing_folder_of_pairs_is_replaced_as_a_whole(tmp_path: Path) -> None:
    PAIRS.save(tmp_path / "pairs")
    PAIRS.subset([0, 1]).without_labels().save(tmp_path / "pairs")
    assert sorted(file.name for file in (tmp_path / "pairs").iterdir()) == [
        "ids.npy",
        "new.npy",
        "old.npy",
    ]
    assert Pairs.load(tmp_path / "pairs").labels is None


def test_a_folder_of_other_things_is_not_replaced(tmp_path: Path) -> None:
    PAIRS.save(tmp_path / "pairs")
    (tmp_path / "pairs" / "photo.jpg").write_bytes(b"dear")
    with pytest.raises(OutputError, match=r"photo\.jpg"):
        PAIRS.subset([0]).save(tmp_path / "pairs")
    assert Pairs.load(tmp_path / "pairs").fingerprint() == PAIRS.fingerprint()


def test_pairs_can_be_saved_over_the_folder_they_are_mapped_from(tmp_path: Path) -> None:
    PAIRS.save(tmp_path / "pairs")
    mapped = Pairs.load(tmp_path / "pairs")
    mapped.save(tmp_path / "pairs")
    assert mapped.fingerprint() == Pairs.load(tmp_path / "pairs").fingerprint()


def parquet(path: Path, **columns: Any) -> Path:
    plain = {"ids": pa.array(range(6)), "old": rows_of("old"), "new": rows_of("new")}
    pq.write_table(pa.table({**plain, **columns}), path, row_group_size=4)
    return path


def rows_of(name: str, kind: Any = None) -> pa.Array:
    return pa.array(ARRAYS[name].tolist(), type=kind)


@pytest.mark.parametrize(
    "kind", [pa.list_(pa.float64()), pa.large_list(pa.float32()), pa.list_(pa.float32(), 3)]
)
def test_every_kind_of_parquet_list_is_read(tmp_path: Path, kind: Any) -> None:
    loaded = Pairs.load(parquet(tmp_path / "p.parquet", old=rows_of("old", kind)))
    np.testing.assert_array_equal(loaded.old_rows(), PAIRS.old_rows())


@pytest.mark.parametrize(
    ("column", "why"),
    [
        ({"old": pa.array(np.arange(6.0))}, "column old holds double, wanted lists of numbers"),
        ({"new": pa.array(["a"] * 6)}, "column new holds string, wanted lists of numbers"),
        ({"old": pa.array([[1.0, 2.0]] * 5 + [None])}, "column old holds 1 nulls"),
        ({"old": pa.array([[1.0, None]] * 6)}, "NaN"),
        ({"old": pa.array([["a"]] * 6)}, "matrix of numbers"),
        ({"labels": pa.array([1, 2, None, 1, 2, 3])}, "column labels holds 1 nulls"),
        ({"ids": pa.array([1, 2, 3, 4, 5, None])}, "column ids holds 1 nulls"),
        ({"ids": pa.array([[1]] * 6)}, "column ids holds list.*, wanted one value a row"),
    ],
)
def test_parquet_columns_of_another_type_are_refused(
    tmp_path: Path, column: dict[str, Any], why: str
) -> None:
    with pytest.raises(CrossfadeError, match=why):
        Pairs.load(parquet(tmp_path / "p.parquet", **column))


def test_widths_that_differ_far_down_the_file_are_refused(tmp_path: Path) -> None:
    n = 3_000
    old = [[1.0, 2.0]] * (n - 2) + [[1.0], [1.0, 2.0, 3.0]]
    pq.write_table(
        pa.table({"ids": range(n), "old": old, "new": [[1.0]] * n}), tmp_path / "p.parquet"
    )
    with pytest.raises(DataFileError, match="vectors of 1 to 3 numbers"):
        Pairs.load(tmp_path / "p.parquet")


def test_parquet_categories_are_labels(tmp_path: Path) -> None:
    labels = pa.array(list("xyxyxy")).dictionary_encode()
    loaded = Pairs.load(parquet(tmp_path / "p.parquet", labels=labels)).labels
    assert loaded is not None and loaded.tolist() == list("xyxyxy")


def test_a_folder_is_read_through_a_small_window(tmp_path: Path) -> None:
    n, dim = 40_000, 256
    Pairs.of(
        np.arange(n), np.ones((n, 4), np.float32), RNG.normal(size=(n, dim)).astype(np.float32)
    ).save(tmp_path / "pairs")
    tracemalloc.start()
    try:
        pairs = Pairs.load(tmp_path / "pairs")
        for start in range(0, n, 1_000):
            pairs.new_rows(slice(start, start + 1_000))
        pairs.subset(range(0, n, 400))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert isinstance(pairs.new, np.memmap)
    assert peak < n * dim * 4 / 2
