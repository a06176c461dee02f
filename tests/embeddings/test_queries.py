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
