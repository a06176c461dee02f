"""Recorded queries: which are kept, what is in the file and when, and what goes wrong."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import tracemalloc
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade import QueryLog, QueryRecorder
from crossfade.embeddings import recorder as module
from crossfade.embeddings import unit_rows
from crossfade.errors import DataFileError, InvalidInput, OutputError, SpaceMismatch

DIM_NEW, DIM_OLD = 6, 3


def queries(n: int, seed: int = 0, dim: int = DIM_NEW) -> np.ndarray:
    return unit_rows(np.random.default_rng(seed).normal(size=(n, dim)))


def old_of(rows: np.ndarray) -> np.ndarray:
    """As if by another model: the same row gives the same one."""
    return unit_rows(rows[:, :DIM_OLD] + 2)


def smallest(rows: Iterable[np.ndarray], most: int) -> np.ndarray:
    """The slow reference: all distinct rows, sorted by hash."""
    distinct = {row.tobytes(): row for row in rows}

    def hashed(key: bytes) -> bytes:
        return hashlib.blake2b(key, digest_size=16).digest()

    return np.stack([distinct[key] for key in sorted(distinct, key=hashed)[:most]])


def log_of(recorder: QueryRecorder) -> QueryLog:
    log = recorder.log()
    assert log is not None
    return log


def wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.005)


def writers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "recorded queries"]


def settled() -> None:
    """Wait for all that is due to be written."""
    wait_until(lambda: not writers())


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "queries.npz"
    settled()


@pytest.fixture
def without_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REST_SECONDS", 0.0)


# --- which are kept

POOL = queries(40)
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


def run(code: str, *arguments: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)


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


# --- when the file is written


@pytest.mark.usefixtures("without_rest")
def test_it_is_first_written_with_200_queries(path: Path) -> None:
    recorder = QueryRecorder(path)
    recorder.add(queries(199))
    settled()
    assert not path.exists()
    recorder.add(queries(199)[:50])
    settled()
    assert not path.exists(), "they were there before"
    recorder.add(queries(1, seed=1))
    settled()
    assert len(QueryLog.load(path)) == 200


@pytest.mark.usefixtures("without_rest")
def test_a_sample_that_is_smaller_is_first_written_when_it_is_full(path: Path) -> None:
    recorder = QueryRecorder(path, 20)
    recorder.add(queries(19))
    settled()
    assert not path.exists()
    recorder.add(queries(1, seed=1))
    settled()
    assert len(QueryLog.load(path)) == 20


@pytest.mark.usefixtures("without_rest")
@pytest.mark.parametrize(("held", "changes"), [(10, 50), (200, 67), (400, 134)])
def test_it_is_written_again_when_enough_has_changed(path: Path, held: int, changes: int) -> None:
    """A quarter of what is kept then: 67 of 267, 134 of 534; or 50."""
    with QueryRecorder(path) as recorder:
        recorder.add(queries(held))
    assert len(QueryLog.load(path)) == held
    recorder = QueryRecorder(path)
    recorder.add(queries(changes - 1, seed=1))
    recorder.add(queries(held))
    settled()
    assert len(QueryLog.load(path)) == held
    recorder.add(queries(1, seed=2))
    settled()
    assert len(QueryLog.load(path)) == held + changes


@pytest.mark.usefixtures("without_rest")
def test_old_embeddings_that_come_later_are_changes_as_well(path: Path) -> None:
    recorder = QueryRecorder(path)
    recorder.add(queries(200))
    settled()
    recorder.add(queries(200), old_of(queries(200)))
    settled()
    assert QueryLog.load(path).old is not None


def test_it_rests_between_two_writes_and_then_goes_on_by_itself(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_REST_SECONDS", 1.0)
    recorder = QueryRecorder(path)
    recorder.add(queries(200))
    settled()
    first = path.stat().st_mtime_ns
    recorder.add(queries(100, seed=1))
    settled()
    assert len(QueryLog.load(path)) == 300
    assert path.stat().st_mtime_ns - first > 0.9e9


def test_what_is_closed_does_not_wait_for_the_end_of_the_rest(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_REST_SECONDS", 3600.0)
    with QueryRecorder(path) as recorder:
        recorder.add(queries(200))
        settled()
        recorder.add(queries(100, seed=1))
        time.sleep(0.2)  # its thread rests by now
        began = time.monotonic()
    assert time.monotonic() - began < 60
    assert len(QueryLog.load(path)) == 300 and not writers()


def test_what_has_not_changed_is_not_written(path: Path) -> None:
    recorder = QueryRecorder(path)
    recorder.flush()
    assert not path.exists(), "nothing is kept"
    recorder.add(POOL)
    recorder.flush()
    first = path.stat()
    recorder.add(POOL[:5])
    recorder.flush()
    recorder.close()
    QueryRecorder(path).close()
    assert path.stat().st_ino == first.st_ino
    assert path.stat().st_mtime_ns == first.st_mtime_ns


def test_nobody_waits_for_the_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go, save = threading.Event(), threading.Event(), module._save

    def slow(*arguments: Any) -> None:
        begun.set()
        assert go.wait(60)
        save(*arguments)

    monkeypatch.setattr(module, "_save", slow)
    recorder = QueryRecorder(path)
    recorder.add(queries(200))
    assert begun.wait(60)

    def use() -> None:
        recorder.add(queries(300, seed=1))
        assert len(recorder) == len(log_of(recorder)) == 500

    thread = threading.Thread(target=use, daemon=True)
    thread.start()
    thread.join(30)
    waited = thread.is_alive()
    go.set()
    assert not waited and not path.exists()
    recorder.close()
    assert len(QueryLog.load(path)) == 500, "what came while it was written is not forgotten"


def test_two_writes_never_overlap(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else what is kept now could be replaced by what was kept before."""
    begun, go, save = threading.Event(), threading.Event(), module._save
    under_way: list[int] = []
    seen: list[int] = []

    def slow(*arguments: Any) -> None:
        under_way.append(1)
        seen.append(len(under_way))
        begun.set()
        assert go.wait(60)
        save(*arguments)
        under_way.pop()

    monkeypatch.setattr(module, "_save", slow)
    recorder = QueryRecorder(path)
    recorder.add(queries(200))
    assert begun.wait(60)
    recorder.add(queries(10, seed=1))
    flushing = threading.Thread(target=recorder.flush)
    flushing.start()
    time.sleep(0.2)
    go.set()
    flushing.join()
    assert seen == [1, 1]
    assert len(QueryLog.load(path)) == 210


# --- who may read it


@contextmanager
def umask_of(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def test_a_new_file_is_its_owners_alone_from_its_first_byte_on(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes, savez = [], np.savez

    def watched(file: Any, **arrays: Any) -> None:
        modes.extend(half.stat().st_mode for half in path.parent.iterdir())
        savez(file, **arrays)

    monkeypatch.setattr(module.np, "savez", watched)
    with umask_of(0), QueryRecorder(path) as recorder:
        recorder.add(POOL)
    assert [mode & 0o777 for mode in modes] == [0o600]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_there_stays_as_private_as_it_is(path: Path) -> None:
    for mode in (0o640, 0o400):
        QueryLog(POOL[:1]).save(path)
        path.chmod(mode)
        with QueryRecorder(path) as recorder:
            recorder.add(POOL)
        assert path.stat().st_mode & 0o777 == mode
        path.unlink()


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


# --- a disk that fails


def test_a_folder_that_is_gone_is_made_again(path: Path) -> None:
    place = path.parent / "logs" / "queries.npz"
    recorder = QueryRecorder(place)
    recorder.add(POOL[:20])
    recorder.flush()
    place.unlink()
    place.parent.rmdir()
    recorder.add(POOL)
    recorder.close()
    assert len(QueryLog.load(place)) == 40


def test_what_can_not_be_written_is_warned_of_once_and_tried_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried, save = [], module._save

    def counted(*arguments: Any) -> None:
        tried.append(time.monotonic())
        save(*arguments)

    monkeypatch.setattr(module, "_REST_SECONDS", 0.05)
    monkeypatch.setattr(module, "_save", counted)
    folder = path.parent / "logs"
    folder.write_text("in the folder's place")
    recorder = QueryRecorder(folder / "queries.npz")
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        recorder.add(queries(200))
        wait_until(lambda: len(tried) >= 3)
        with pytest.raises(OutputError, match=r"can't write .*queries\.npz: Not a directory"):
            recorder.flush()
        recorder.add(queries(100, seed=1))
        wait_until(lambda: len(tried) >= 6)
        folder.unlink()
        settled()
    assert len(QueryLog.load(folder / "queries.npz")) == 300
    (only,) = warned
    assert only.category is RuntimeWarning and "tried again" in str(only.message)
    # By the thread; flush need not wait.
    assert sorted(np.diff(tried[:3]))[0] > 0.04
    recorder.close()


@pytest.mark.usefixtures("without_rest")
def test_a_thread_that_died_of_something_else_is_followed_by_another(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    died, save = [], module._save

    def fails_once(*arguments: Any) -> None:
        monkeypatch.setattr(module, "_save", save)
        raise MemoryError

    monkeypatch.setattr(threading, "excepthook", died.append)
    monkeypatch.setattr(module, "_save", fails_once)
    recorder = QueryRecorder(path)
    recorder.add(queries(200))
    wait_until(lambda: bool(died))
    settled()
    recorder.add(queries(1, seed=1))
    settled()
    assert len(QueryLog.load(path)) == 201


def test_close_warns_of_what_is_lost(path: Path) -> None:
    folder = path.parent / "logs"
    folder.write_text("in the folder's place")
    recorder = QueryRecorder(folder / "queries.npz")
    recorder.add(POOL)
    with pytest.warns(RuntimeWarning, match="Not a directory"):
        recorder.close()
    folder.unlink()
    recorder.flush()
    assert len(QueryLog.load(folder)) == 40, "it still has them"


def test_a_full_disk_leaves_the_file_as_it_was(path: Path) -> None:
    done = run(
        """
        import os, resource, sys, warnings
        import numpy as np
        from crossfade import QueryRecorder
        from crossfade.errors import OutputError

        path, rng = sys.argv[1], np.random.default_rng(0)
        recorder = QueryRecorder(path)
        recorder.add(rng.normal(size=(20, 64)))
        recorder.flush()
        held = open(path, "rb").read()
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
        recorder.add(rng.normal(size=(100, 64)))
        try:
            recorder.flush()
        except OutputError as error:
            print("flush:", error)
        assert open(path, "rb").read() == held
        assert os.listdir(os.path.dirname(path)) == [os.path.basename(path)]
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        recorder.flush()
        """,
        path,
    )
    assert "flush: can't write" in done.stdout and "File too large" in done.stdout
    assert len(QueryLog.load(path)) == 120
