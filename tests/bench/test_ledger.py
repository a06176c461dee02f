"""Finished runs survive kills, and what was cut off does not spoil them."""

from __future__ import annotations

from pathlib import Path

import pytest

from crossfade.bench.ledger import Ledger, RunKey
from crossfade.errors import DataFileError, OutputError


def run(seed: int, **values: object) -> dict[str, object]:
    key = RunKey("s", seed, "m", "one-encoder", "random", "1", "abc")
    return {**key.to_json(), **values}


def test_runs_are_there_again(tmp_path: Path) -> None:
    Ledger(tmp_path / "new" / "runs.jsonl").append(run(0, gain=1))
    ledger = Ledger(tmp_path / "new" / "runs.jsonl")
    assert ledger.runs == [run(0, gain=1)]
    assert RunKey.of(run(0)) in ledger
    assert RunKey.of(run(1)) not in ledger


def test_another_version_or_other_data_is_another_run(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "runs.jsonl")
    ledger.append(run(0))
    for change in ({"version": "2"}, {"data_sha256": "d"}, {"mode": "x"}, {"order": "x"}):
        assert RunKey.of({**run(0), **change}) not in ledger


def test_of_one_key_the_last_run_counts(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "runs.jsonl")
    ledger.append(run(0, gain=1))
    ledger.append(run(0, gain=2))
    assert ledger.runs == [run(0, gain=2)]
    assert len(ledger.path.read_text().splitlines()) == 2  # nothing is lost


@pytest.mark.parametrize("cut", range(1, 40, 7))
def test_a_line_cut_off_by_a_kill_is_run_again(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "runs.jsonl"
    ledger = Ledger(path)
    ledger.append(run(0))
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:-cut])
    again = Ledger(path)
    assert again.runs == [run(0)]
    again.append(run(1))
    assert Ledger(path).runs == [run(0), run(1)]


def test_two_writers_keep_each_others_runs(tmp_path: Path) -> None:
    first, second = Ledger(tmp_path / "runs.jsonl"), Ledger(tmp_path / "runs.jsonl")
    first.append(run(0))
    second.append(run(1))
    first.append(run(2))
    assert Ledger(tmp_path / "runs.jsonl").runs == [run(0), run(1), run(2)]


@pytest.mark.parametrize("line", ["not json", '{"suite": "s"}', "[]", "3"])
def test_a_file_of_something_else_is_refused_and_kept(tmp_path: Path, line: str) -> None:
    path = tmp_path / "runs.jsonl"
    path.write_text(f"{line}\n")
    with pytest.raises(DataFileError, match="line 1 is not a finished run"):
        Ledger(path)
    assert path.read_text() == f"{line}\n"


def test_a_place_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(OutputError, match="can't keep results"):
        Ledger(tmp_path / "out" / "runs.jsonl")
