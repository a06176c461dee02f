"""Finished runs survive kills, and what was cut off does not spoil them."""

from __future__ import annotations

import shutil
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


def drawn(source: str | None, seed: int = 0, log: str | None = None) -> dict[str, object]:
    """A run of data that was drawn from a user's own; ``None`` is a suite of ours."""
    method = "m" if log is None else "m+queries"
    key = RunKey("s", seed, method, "x", "y", "1", f"{source} {seed} {log}", source, log)
    return {**key.to_json(), "quick": False}


def ledger_of(tmp_path: Path, *runs: dict[str, object]) -> Ledger:
    ledger = Ledger(tmp_path / "runs.jsonl")
    for one in runs:
        ledger.append(one)
    return Ledger(ledger.path)


def test_seeds_of_one_source_are_put_together_though_each_draws_its_own(tmp_path: Path) -> None:
    runs = [drawn("a", 0), drawn("a", 1)]
    ledger = ledger_of(tmp_path, *runs)
    assert ledger.present == runs and not ledger.left_out


def test_runs_of_other_data_under_one_name_are_left_out(tmp_path: Path) -> None:
    ledger = ledger_of(tmp_path, drawn("a", 0), drawn("a", 1), drawn("b", 0))
    assert ledger.present == [drawn("b", 0)]
    assert ledger.left_out == {("s", False): 2}
    ledger.holds_now("s", True, "c", {})  # small sets have tables of their own
    assert ledger.present == [drawn("b", 0)]
    ledger.holds_now("s", False, "a", {})  # the first folder is back
    assert ledger.present == [drawn("a", 0), drawn("a", 1)]
    assert ledger.left_out == {("s", False): 1}


def test_a_users_data_is_not_put_together_with_a_suite_of_that_name(tmp_path: Path) -> None:
    ledger = ledger_of(tmp_path, drawn(None), drawn("a"))
    assert ledger.present == [drawn("a")]


def test_another_log_leaves_out_only_the_runs_that_used_it(tmp_path: Path) -> None:
    ledger = ledger_of(tmp_path, drawn("a"), drawn("a", 0, "l"), drawn("a", 0, "k"), drawn("a", 1))
    assert ledger.present == [drawn("a"), drawn("a", 0, "k"), drawn("a", 1)]
    ledger.holds_now("s", False, "a", {"queries": "l"})
    assert ledger.present == [drawn("a"), drawn("a", 0, "l"), drawn("a", 1)]


@pytest.mark.parametrize("name", ["all-local", "baselines", "kernel", "labels"])
def test_all_committed_runs_are_of_the_data_of_their_suites(tmp_path: Path, name: str) -> None:
    results = Path(__file__).parents[2] / "benchmarks" / "results" / name / "runs.jsonl"
    shutil.copy(results, tmp_path)
    ledger = Ledger(tmp_path / "runs.jsonl")
    assert not ledger.left_out
    assert ledger.present == ledger.runs and ledger.runs
