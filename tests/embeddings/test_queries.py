"""Logs of queries: what they hold, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from crossfade import QueryLog
from crossfade.errors import DataFileError, InvalidInput, SpaceMismatch

RNG = np.random.default_rng(0)
NEW, OLD = RNG.normal(size=(9, 4)).astype(np.float32), RNG.normal(size=(9, 3)).astype(np.float32)


@pytest.mark.parametrize("old", [None, OLD])
def test_what_is_saved_is_loaded(tmp_path: Path, old: np.ndarray | None) -> None:
    log = QueryLog(NEW, old).checked(3, 4)
    log.save(tmp_path / "log.npz")
    again = QueryLog.load(tmp_path / "log.npz").checked(3, 4)
    assert len(again) == 9 and (again.old is None) is (old is None)
    for name, rows in log.arrays().items():
        np.testing.assert_allclose(again.arrays()[name], rows, atol=1e-6)
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)


def test_a_sample_keeps_old_and_new_of_a_query_together() -> None:
    log = QueryLog(NEW, NEW[:, :3])
    few = log.sample(5)
    assert few.old is not None and len(few) == 5
    np.testing.assert_array_equal(few.new[:, :3], few.old)
    np.testing.assert_array_equal(few.new, log.sample(5).new)
    assert len(log.sample(100)) == 9


def test_bad_files_are_clear_errors(tmp_path: Path) -> None:
    np.savez(tmp_path / "old.npz", old=OLD)
    with pytest.raises(DataFileError, match=r"holds \['old'\], wanted an array new"):
        QueryLog.load(tmp_path / "old.npz")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "old.npz").read_bytes()[:60])
    with pytest.raises(DataFileError, match=r"cut.npz can't be read"):
        QueryLog.load(tmp_path / "cut.npz")
    with pytest.raises(DataFileError, match=r"missing.npz can't be read"):
        QueryLog.load(tmp_path / "missing.npz")
    np.savez(tmp_path / "fewer.npz", new=NEW, old=OLD[:8])
    with pytest.raises(InvalidInput, match=r"fewer.npz has 9 new and 8 old embeddings"):
        QueryLog.load(tmp_path / "fewer.npz")
    np.savez(tmp_path / "nan.npz", new=np.full((3, 4), np.nan))
    with pytest.raises(InvalidInput, match=r"nan.npz: new"):
        QueryLog.load(tmp_path / "nan.npz")


def test_what_does_not_fit_the_spaces_is_refused() -> None:
    with pytest.raises(SpaceMismatch, match="new embeddings of queries has dimension 4, wanted 5"):
        QueryLog(NEW).checked(3, 5)
    with pytest.raises(SpaceMismatch, match="old embeddings of queries"):
        QueryLog(NEW, OLD).checked(4, 4)
    with pytest.raises(InvalidInput, match="9 new and 8 old"):
        QueryLog(NEW, OLD[:8]).checked(3, 4)


def as_sets(log: QueryLog) -> set[tuple[bytes, bytes]]:
    olds = [b""] * len(log) if log.old is None else [row.tobytes() for row in log.old]
    return set(zip((row.tobytes() for row in log.new), olds, strict=True))


def test_a_folder_of_logs_is_one_log_of_every_query_once(tmp_path: Path) -> None:
    whole = QueryLog(NEW, OLD).checked(3, 4)
    assert whole.old is not None
    QueryLog(whole.new[:5], whole.old[:5]).save(tmp_path / "a.npz")
    QueryLog(whole.new[3:], whole.old[3:]).save(tmp_path / "b.npz")
    # What is being written beside them, notes, and a folder are none of it.
    (tmp_path / ".b.npz.0123abcd.tmp").write_bytes(b"half")
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "older.npz").mkdir()
    log = QueryLog.load(tmp_path)
    assert len(log) == 9 and as_sets(log) == as_sets(whole)


def test_a_folder_has_old_embeddings_if_every_query_has_one_somewhere(tmp_path: Path) -> None:
    whole = QueryLog(NEW, OLD).checked(3, 4)
    assert whole.old is not None
    QueryLog(whole.new[:5]).save(tmp_path / "a.npz")
    QueryLog(whole.new[3:], whole.old[3:]).save(tmp_path / "b.npz")
    log = QueryLog.load(tmp_path)
    assert len(log) == 9 and log.old is None
    QueryLog(whole.new[:3], whole.old[:3]).save(tmp_path / "c.npz")
    assert as_sets(QueryLog.load(tmp_path)) == as_sets(whole)


def test_folders_that_are_no_log_are_clear_errors(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match=r"holds no .npz file"):
        QueryLog.load(tmp_path)
    QueryLog(NEW[:0]).save(tmp_path / "a.npz")
    assert len(QueryLog.load(tmp_path)) == 0
    QueryLog(NEW, OLD).save(tmp_path / "b.npz")
    QueryLog(NEW, NEW).save(tmp_path / "c.npz")
    with pytest.raises(SpaceMismatch, match=r"old .* 3 in .*b\.npz and 4 in .*c\.npz"):
        QueryLog.load(tmp_path)
    QueryLog(OLD).save(tmp_path / "c.npz")
    with pytest.raises(SpaceMismatch, match=r"new .* 3 in .*c\.npz and 4 in .*b\.npz"):
        QueryLog.load(tmp_path)
    (tmp_path / "c.npz").write_text("text")
    with pytest.raises(DataFileError, match=r"c\.npz can't be read"):
        QueryLog.load(tmp_path)


def test_distinct_queries_are_those_that_came_first() -> None:
    new = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]], np.float32)
    old = np.array([[1.0], [2.0], [3.0]], np.float32)
    distinct = QueryLog(new, old).distinct()
    assert distinct.new.tolist() == new[:2].tolist() and distinct.old is not None
    assert distinct.old.tolist() == [[1.0], [2.0]]
    assert QueryLog(new).distinct().old is None
    assert len(QueryLog(np.empty((0, 2), np.float32)).distinct()) == 0
