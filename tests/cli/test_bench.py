"""`crossfade bench` as users call it, with a data set of their own."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossfade import Pairs
from crossfade.bench.dataset import FILES

Run = Callable[..., Any]


def test_a_users_folder_is_measured_and_reported(run: Run, files: Path) -> None:
    outcome = run("bench", files, "--methods", "rank_merge", "ridge", "--seeds", 2, "--out",
                  files / "out", "--json")  # fmt: skip
    assert outcome.code == 0, outcome.err
    rows = json.loads(outcome.out)
    assert [(row["method"], row["seeds"]) for row in rows] == [
        ("rank_merge", [0, 1]),
        ("ridge", [0, 1]),
    ]
    assert rows[0]["metric"] == "mrr"  # there are qrels
    lines = (files / "out" / "runs.jsonl").read_text().splitlines()
    assert len(lines) == 4
    assert {path.name for path in (files / "out").iterdir()} == {
        "runs.jsonl",
        "tables.md",
        f"{files.name}.svg",
    }
    assert "4 runs" in outcome.err
    assert "nothing left" in outcome.err


def test_the_numbers_are_those_of_fit_and_evaluate(run: Run, files: Path) -> None:
    run("bench", files, "--methods", "forward_ridge", "--seeds", 1, "--out", files / "out")
    (line,) = (files / "out" / "runs.jsonl").read_text().splitlines()
    assert run("fit", files / "fit.npz", "--out", files / "up", "--method",
               "forward_ridge").code == 0  # fmt: skip
    evaluated = run("evaluate", files / "up", "--gallery", files / "gallery.npz", "--queries",
                    files / "queries.npz", "--qrels", files / "qrels.txt", "--json")  # fmt: skip
    assert json.loads(line)["curve"]["mrr"] == pytest.approx(
        json.loads(evaluated.out)["metrics"]["mrr"], abs=1e-5
    )


def test_the_order_of_words_is_free_and_tables_are_printed(run: Run, files: Path) -> None:
    outcome = run("bench", "--quick", "--methods=ridge,procrustes", files, "--out", files / "out")
    assert outcome.code == 0, outcome.err
    assert "ridge" in outcome.out
    assert "procrustes" in outcome.out
    assert "gain share" in outcome.out


def test_another_folder_of_the_same_name_is_not_put_together_with_the_first(
    run: Run, files: Path, tmp_path: Path
) -> None:
    first, other = (tmp_path / name / "mine" for name in ("a", "b"))
    for folder, items in ((first, 120), (other, 100)):
        folder.mkdir(parents=True)
        shutil.copy(files / "fit.npz", folder)
        Pairs.load(files / "gallery.npz").subset(range(items)).save(folder / "gallery.npz")
    arguments = ("--methods=ridge", "--json", "--out", tmp_path / "out", "--seeds")
    before = run("bench", first, *arguments, 2)
    after = run("bench", other, *arguments, 1)
    assert after.code == 0, after.err
    assert [row["seeds"] for row in json.loads(after.out)] == [[0]]
    assert "note: mine: 2 runs of other data under this name left out" in after.err
    assert "2 runs of other data under this name" in (tmp_path / "out" / "tables.md").read_text()
    again = run("bench", first, *arguments, 2)
    assert json.loads(again.out) == json.loads(before.out), "the first is as it was"
    assert len((tmp_path / "out" / "runs.jsonl").read_text().splitlines()) == 3


def test_ignored_items_are_used(run: Run, files: Path) -> None:
    arguments = ("bench", files, "--methods=ridge", "--metric=map", "--seeds=1", "--json", "--out")
    before = json.loads(run(*arguments, files / "a").out)[0]
    judged = (files / "qrels.txt").read_text().splitlines()
    others = [line.split() for line in judged[:: len(judged) // 20]]
    (files / "ignored.txt").write_text("".join(f"{q} {item}\n" for q, _, item, _ in others))
    after = json.loads(run(*arguments, files / "b").out)[0]
    assert after["old_old"] != before["old_old"]


def test_list_shows_every_suite(run: Run) -> None:
    outcome = run("bench", "list", "--json")
    names = [suite["name"] for suite in json.loads(outcome.out)]
    assert "fashion-extended-class" in names
    plain = run("bench", "list").out
    assert all(name in plain for name in names)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("nothing",), "no suite and no folder or .npz file 'nothing'"),
        (("emoji", "--methods", "magic"), "unknown method 'magic'"),
        (
            ("emoji", "--methods", "magic"),
            "auto, auto+labels, auto+queries, auto+stand-ins, auto+recorded; with +queries",
        ),
        (("emoji", "--methods", "auto+magic"), "unknown suffix 'magic' of auto"),
        (("emoji", "--orders", "magic"), "unknown order 'magic'"),
        (("emoji", "--metric", "magic"), "unknown metric 'magic'"),
        (("emoji", "--seeds", "0"), "--seeds"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    outcome = run("bench", *arguments, "--out", tmp_path / "out")
    assert outcome.code == 2
    assert told in outcome.err
    assert not (tmp_path / "out").exists()


def test_runs_of_a_log_that_was_edited_are_not_in_the_tables_of_now(
    run: Run, files: Path, tmp_path: Path
) -> None:
    rows = Pairs.load(files / "fit.npz").new_rows()
    measured = ("bench", files, "--methods", "forward_ridge+queries", "--seeds", 1)
    told = []
    for first in (0, 0, 10):
        np.savez(files / "log.npz", new=rows[first : first + 200])
        told.append(run(*measured, "--out", tmp_path / "out", "--json"))
        assert told[-1].code == 0, told[-1].err
        assert len(json.loads(told[-1].out)) == 1, "the run of this log"
    lines = (tmp_path / "out" / "runs.jsonl").read_text().splitlines()
    assert len(lines) == 2, "the second time there was nothing to do"
    assert "left out" not in told[1].err
    assert "1 run of other data under this name left out" in told[2].err
    (files / "log.npz").unlink()
    without = run(*measured, "--out", tmp_path / "out", "--json")
    assert "it needs a log of queries" in without.err and json.loads(without.out) == []
    tables = (tmp_path / "out" / "tables.md").read_text()
    assert f"## {files.name}\n\n2 runs of other data under this name left out;" in tables


def test_help_shows_how_a_users_own_data_is_laid_out(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = run("bench", "--help").out
    for words in (
        "crossfade bench FOLDER --out DIR",
        "crossfade bench FILE.npz --out DIR",
        "ids (n,), old (n, d_old), new (n, d_new)",
        "gallery_ids, gallery_old, gallery_new",
        "query_old, query_new, relevant",
    ):
        assert words in shown
    lines = [line.strip() for line in shown.splitlines()]
    assert {*FILES} <= {*lines}, "each file has a line"


def test_export_writes_what_the_suite_is_measured_on(run: Run, files: Path) -> None:
    outcome = run("bench", "export", files, "--out", files / "again")
    assert outcome.code == 0, outcome.err
    assert {path.name for path in (files / "again").iterdir()} == {
        "fit.npz",
        "gallery.npz",
        "queries.npz",
        "qrels.txt",
    }


@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on_and_loses_nothing(files: Path) -> None:
    command = [sys.executable, "-c", "from crossfade.cli import main; main()", "bench",
               str(files), "--methods", "rank_merge", "ridge", "procrustes", "forward_ridge",
               "--seeds", "6", "--out", str(files / "out")]  # fmt: skip
    path = files / "out" / "runs.jsonl"
    kept = ""
    for more in (1, 5, 9):
        with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            deadline = time.monotonic() + 100
            while not path.exists() or path.read_text().count("\n") < more:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            process.kill()
            process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert path.read_text().startswith(kept)
        kept = path.read_text()[: path.read_text().rfind("\n") + 1]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "nothing left" in done.stderr
    runs = [json.loads(line) for line in path.read_text().splitlines()]
    assert len({(run["seed"], run["method"]) for run in runs}) == len(runs) == 24


def test_training_on_a_folder_of_something_else_is_refused(run: Run, files: Path) -> None:
    outcome = run("bench", "train-backbones", files, "--out", files / "pair")
    assert outcome.code == 2
    assert "no layout that is known here" in outcome.err
    assert not (files / "pair").exists()


def test_a_paper_suite_without_the_data_is_told_what_is_wanted(run: Run, tmp_path: Path) -> None:
    outcome = run("bench", "cifar100-extended-class", "--quick", "--out", tmp_path / "out")
    assert outcome.code == 2
    assert "cifar100-extended-class reads a data set that you have; give --data" in outcome.err
    assert not (tmp_path / "out").exists()
