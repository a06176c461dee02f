"""Recorded queries: which are kept, what is in the file and when, and what goes wrong."""

from __future__ import annotations

import tempfile
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded_queries import (
    DIM_NEW,
    DIM_OLD,
    POOL,
    log_of,
    old_of,
    queries,
    run,
    smallest,
)

from crossfade import QueryLog, QueryRecorder
from crossfade.errors import DataFileError, InvalidInput, SpaceMismatch

ASKED = st.lists(
    st.lists(st.integers(0, 39), max_size=8).flatmap(
        lambda rows: st.tuples(st.just(rows), st.booleans())
    ),
    max_size=12,
)


@given(ASKED, st.integers(1, 15), st.integers(0, 12))
def test_the_sample_is_the_smallest_hashes_of_all_however_they_come(
    asked: list[tuple[list[int], bool]], most: int, restart: int
) -> None:
    """And a recorder that is started again in the middle keeps what one would have kept."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "queries.npz"
        recorder = QueryRecorder(place, most)
        for number, (rows, with_old) in enumerate(asked):
            if number == restart:
                recorder.close()
                recorder = QueryRecorder(place, most)
            recorder.add(POOL[rows], old_of(POOL[rows]) if with_old else None)
        all_rows = [POOL[row] for rows, _ in asked for row in rows]
        if not all_rows:
            assert recorder.log() is None and len(recorder) == 0
            return
        log, expected = log_of(recorder), smallest(all_rows, most)
        np.testing.assert_array_equal(log.new, expected)
        assert len(recorder) == len(log) == len(expected)
        came_with_old = {POOL[row].tobytes() for rows, is_old in asked if is_old for row in rows}
        if all(row.tobytes() in came_with_old for row in expected):
            assert log.old is not None
            np.testing.assert_array_equal(log.old, old_of(expected))
        else:
            assert log.old is None
        recorder.close()
        again = QueryLog.load(place)
        assert again.fingerprint() == log.fingerprint()


def test_every_query_is_as_likely_to_be_kept_as_any_other(path: Path) -> None:
    """Early or late, often asked or seldom: chi-square of ten groups, below its 99.9 %."""
    n, most = 5_000, 600
    rows = queries(n)
    places = {row.tobytes(): place for place, row in enumerate(rows)}
    recorder = QueryRecorder(path, most)
    for place in range(0, n, 100):
        part = rows[place : place + 100]
        recorder.add(np.concatenate([part, *[part[::10]] * 30]))
    kept = np.array([places[row.tobytes()] for row in log_of(recorder).new])
    for group in (kept * 10 // n, kept % 10):
        counts, expected = np.bincount(group, minlength=10), most / 10
        assert ((counts - expected) ** 2 / expected).sum() < 27.9


def test_rows_are_scaled_and_a_single_one_may_be_a_vector(path: Path) -> None:
    recorder = QueryRecorder(path)
    recorder.add(POOL[0] * 7.0, old_of(POOL[:1])[0] * 0.1)
    recorder.add(np.float64(POOL[0]) * 7.0)
    log = log_of(recorder)
    assert log.old is not None and log.old.shape == (1, DIM_OLD)
    np.testing.assert_allclose(log.new[0], POOL[0], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(log.old, axis=1), 1, atol=1e-6)
    assert log.new.dtype == log.old.dtype == np.float32


def test_many_queries_are_forgotten_for_good(path: Path) -> None:
    """A row that is kept must not hold on to all that came with it."""
    recorder = QueryRecorder(path, 10)
    tracemalloc.start()
    try:
        for seed in range(60):
            recorder.add(queries(500, seed, dim=64), queries(500, seed, dim=32))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(recorder) == 10
    assert held < 100_000, "one batch is 192,000 bytes"


# --- old embeddings


def test_a_query_that_comes_again_with_its_old_embedding_takes_it(path: Path) -> None:
    rows = smallest(POOL, 4)
    recorder = QueryRecorder(path, 4)
    recorder.add(rows)
    recorder.add(rows[:3], old_of(rows[:3]))
    recorder.add(rows)
    assert log_of(recorder).old is None
    recorder.close()
    assert QueryLog.load(path).old is None, "a log's old is of all queries"
    with QueryRecorder(path, 4) as again:
        assert log_of(again).old is None
        again.add(rows[3:], old_of(rows[3:]))
        old = log_of(again).old
        assert old is not None
        np.testing.assert_array_equal(old, old_of(rows))
    written = QueryLog.load(path)
    assert written.old is not None
    np.testing.assert_array_equal(written.old, old_of(written.new))


# --- several recorders of one file


def test_two_recorders_of_one_file_lose_nothing_of_each_other(path: Path) -> None:
    first, second = QueryRecorder(path, 25), QueryRecorder(path, 25)
    first.add(POOL[:30])
    second.add(POOL[20:], old_of(POOL[20:]))
    first.flush()
    second.flush()
    expected = smallest(POOL, 25)
    np.testing.assert_array_equal(QueryLog.load(path).new, expected)
    first.add(POOL[:20], old_of(POOL[:20]))
    first.close()
    written = QueryLog.load(path)
    np.testing.assert_array_equal(written.new, expected)
    assert written.old is not None, "each knew a part of it"
    np.testing.assert_array_equal(written.old, old_of(expected))


def test_another_process_writes_the_same_file(path: Path, tmp_path: Path) -> None:
    recorder = QueryRecorder(path, 300)
    recorder.add(queries(400, seed=1))
    np.save(tmp_path / "rows.npy", queries(400, seed=2))
    run(
        """
        import sys
        import numpy as np
        from crossfade import QueryRecorder

        with QueryRecorder(sys.argv[1], 300) as recorder:
            recorder.add(np.load(sys.argv[2]))
        """,
        path,
        tmp_path / "rows.npy",
    )
    recorder.close()
    expected = smallest([*queries(400, seed=1), *queries(400, seed=2)], 300)
    np.testing.assert_array_equal(QueryLog.load(path).new, expected)


@pytest.mark.usefixtures("without_rest")
def test_many_threads_record_while_the_file_is_written(path: Path) -> None:
    recorder, rows = QueryRecorder(path, 500), queries(3_000)
    failed: list[BaseException] = []

    def work(number: int) -> None:
        try:
            order = np.random.default_rng(number).permutation(2_000) + 125 * number
            for part in np.split(order, 200):
                recorder.add(rows[part], old_of(rows[part]) if number % 2 else None)
                if number == 0 and part[0] % 4 == 0:
                    recorder.flush()
                    assert len(log_of(recorder)) <= 500
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    recorder.close()
    expected = smallest(rows[: 2_000 + 125 * 7], 500)
    np.testing.assert_array_equal(log_of(recorder).new, expected)
    np.testing.assert_array_equal(QueryLog.load(path).new, expected)


# --- what is refused


def test_bad_queries_are_refused_and_nothing_of_them_is_kept(path: Path) -> None:
    recorder = QueryRecorder(path)
    nan, zero = POOL[:2].copy(), POOL[:2].copy()
    nan[1, 0], zero[1] = np.nan, 0
    for bad in (nan, zero, "text", POOL[None]):
        with pytest.raises(InvalidInput, match="new embeddings of queries"):
            recorder.add(bad)
    for bad in (nan, zero):
        with pytest.raises(InvalidInput, match="old embeddings of queries"):
            recorder.add(POOL[:2], bad)
    with pytest.raises(InvalidInput, match="2 new and 3 old"):
        recorder.add(POOL[:2], old_of(POOL[:3]))
    assert len(recorder) == 0 and recorder.dim_new is None and recorder.dim_old is None


def test_the_first_queries_say_how_wide_all_are(path: Path) -> None:
    recorder = QueryRecorder(path)
    recorder.add(np.empty((0, 9)), np.empty((0, 9)))
    assert recorder.dim_new is None, "of no query nothing is known"
    recorder.add(POOL[:5])
    assert (recorder.dim_new, recorder.dim_old) == (DIM_NEW, None)
    recorder.add(POOL[5:9], old_of(POOL[5:9]))
    recorder.add(POOL[9:10])
    assert (recorder.dim_new, recorder.dim_old) == (DIM_NEW, DIM_OLD)
    recorder.close()
    again = QueryRecorder(path)
    assert (again.dim_new, again.dim_old) == (DIM_NEW, DIM_OLD), "known from one query's old"
    with pytest.raises(SpaceMismatch, match="new embeddings of queries has dimension 5, wanted 6"):
        again.add(POOL[:2, :5])
    with pytest.raises(SpaceMismatch, match="old embeddings of queries has dimension 2, wanted 3"):
        again.add(POOL[:2], POOL[:2, :2])
    assert len(again) == 10


@pytest.mark.parametrize("most", [0, -1, 2.5, True, "many"])
def test_how_many_are_kept_is_a_whole_number(path: Path, most: Any) -> None:
    with pytest.raises(InvalidInput, match="most is"):
        QueryRecorder(path, most)


def test_a_closed_recorder_takes_no_more(path: Path) -> None:
    recorder = QueryRecorder(path, 5)
    recorder.add(POOL)
    recorder.close()
    with pytest.raises(InvalidInput, match="is closed"):
        recorder.add(POOL)
    recorder.flush()
    recorder.close()
    assert len(recorder) == len(QueryLog.load(path)) == 5


def no_archive(path: Path) -> None:
    path.write_text("not a log")


def cut_off(path: Path) -> None:
    QueryLog(POOL).save(path)
    path.write_bytes(path.read_bytes()[:-100])


def flipped(path: Path) -> None:
    QueryLog(POOL).save(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def of(**arrays: Any) -> Callable[[Path], None]:
    return lambda path: np.savez(path, **arrays)


OLD = old_of(POOL)
NOT_OURS: list[tuple[Callable[[Path], None], type[Exception], str]] = [
    (no_archive, DataFileError, "it is text, wanted embeddings"),
    (cut_off, DataFileError, "cut off"),
    (flipped, DataFileError, "can't be read"),
    (Path.mkdir, DataFileError, "Is a directory"),
    (of(old=OLD), DataFileError, "wanted an array new"),
    (of(ids=np.arange(40), new=POOL, old=OLD), DataFileError, "holds ids, which a log"),
    (of(new=np.full((3, 4), np.nan)), InvalidInput, "NaN"),
    (of(new=POOL, old=OLD[:39]), InvalidInput, "40 new and 39 old"),
    (of(new=POOL, old_of_some=OLD), DataFileError, "don't fit together"),
    (of(new=POOL, rows_with_old=[1]), DataFileError, "don't fit together"),
    (of(new=POOL, old_of_some=OLD[:2], rows_with_old=[1]), DataFileError, "don't fit"),
    (of(new=POOL, old_of_some=OLD[:2], rows_with_old=[1, 40]), DataFileError, "don't fit"),
    (of(new=POOL, old_of_some=OLD[:2], rows_with_old=[-1, 4]), DataFileError, "don't fit"),
    (of(new=POOL, old_of_some=OLD[:2], rows_with_old=[0.0, 4.0]), DataFileError, "don't fit"),
    (of(new=POOL, old_of_some=0 * OLD[:1], rows_with_old=[1]), InvalidInput, "zero vector"),
    (of(new=queries(51)), InvalidInput, "holds 51 queries, most is 50"),
]


def content_of(path: Path) -> bytes | None:
    return None if path.is_dir() else path.read_bytes()


@pytest.mark.parametrize(("make", "error", "words"), NOT_OURS)
def test_a_file_that_can_not_be_gone_on_with_is_refused_and_kept(
    path: Path, make: Callable[[Path], None], error: type[Exception], words: str
) -> None:
    """When the recorder is made, and when the file was put in its place later."""
    recorder = QueryRecorder(path, 50)
    recorder.add(POOL)
    make(path)
    before = content_of(path)
    with pytest.raises(error, match=words) as refused:
        QueryRecorder(path, 50)
    assert str(path) in str(refused.value)
    with pytest.raises(error, match=words):
        recorder.flush()
    with pytest.warns(RuntimeWarning, match="are lost"):
        recorder.close()
    assert content_of(path) == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("name", ["queries", "queries.npy", "folder/", ".npz"])
def test_another_kind_of_path_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match=r"recorded in an \.npz file"):
        QueryRecorder(tmp_path / name)


def test_repeated_queries_of_a_log_made_elsewhere_count_once(path: Path) -> None:
    QueryLog(np.concatenate([POOL, POOL])).save(path)
    recorder = QueryRecorder(path, 40)
    np.testing.assert_array_equal(log_of(recorder).new, smallest(POOL, 40))


def test_a_log_of_other_widths_that_takes_the_files_place_is_not_overwritten(path: Path) -> None:
    recorder = QueryRecorder(path)
    recorder.add(POOL, OLD)
    for other in (QueryLog(POOL[:, :5]), QueryLog(POOL, POOL[:, :5])):
        other.save(path)
        before = path.read_bytes()
        with pytest.raises(SpaceMismatch, match=r"dimension 5, those recorded so far [36]"):
            recorder.flush()
        assert path.read_bytes() == before
