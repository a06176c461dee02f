"""When a recorder writes its file, how, and what becomes of it where it can't."""

from __future__ import annotations

import os
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recorded_queries import (
    POOL,
    log_of,
    old_of,
    queries,
    run,
    settled,
    wait_until,
    writers,
)

from crossfade import QueryLog, QueryRecorder
from crossfade.embeddings import recorder as module
from crossfade.errors import OutputError


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
