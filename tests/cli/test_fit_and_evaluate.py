"""The two commands as users call them, good input and bad."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossfade import Pairs, Upgrade

Run = Callable[..., Any]

KEYS = {
    "method", "order", "seed", "coverage", "metrics", "old_old", "new_new", "gain_share",
    "worst_point", "drop", "end_point", "negative_flips",
}  # fmt: skip
METRICS = {"map", "cmc@1", "cmc@5", "recall@10", "ndcg@10", "mrr"}


@pytest.fixture
def upgrade(run: Run, files: Path) -> Path:
    outcome = run("fit", files / "fit.npz", "--out", files / "up", "--method", "forward_ridge")
    assert outcome.code == 0, outcome.err
    return files / "up"


def test_evaluate_prints_one_json_object_with_every_key(
    run: Run, files: Path, upgrade: Path
) -> None:
    outcome = run(
        "evaluate", upgrade, "--gallery", files / "gallery.npz", "--queries",
        files / "queries.npz", "--qrels", files / "qrels.txt", "--steps", 5, "--json",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    result = json.loads(outcome.out)
    assert set(result) >= KEYS
    assert set(result["metrics"]) == METRICS
    assert result["coverage"] == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert all(len(curve) == 5 for curve in result["metrics"].values())
    assert result["metrics"]["map"][-1] == pytest.approx(result["new_new"]["map"])
    assert result["new_new"]["map"] > result["old_old"]["map"] + 0.05  # or the world is too easy


def test_labels_and_qrels_of_the_same_classes_agree(run: Run, files: Path, upgrade: Path) -> None:
    common = ("evaluate", upgrade, "--gallery", files / "gallery.npz", "--queries",
              files / "queries.npz", "--json")  # fmt: skip
    by_labels = json.loads(run(*common).out)
    by_qrels = json.loads(run(*common, "--qrels", files / "qrels.txt").out)
    assert by_labels["metrics"] == by_qrels["metrics"]


def test_the_metric_is_that_of_bench_and_assess(run: Run, files: Path, upgrade: Path) -> None:
    common = ("evaluate", upgrade, "--gallery", files / "gallery.npz", "--queries",
              files / "queries.npz")  # fmt: skip
    judged = (*common, "--qrels", files / "qrels.txt")
    assert "mrr: old/old" in run(*judged).out
    assert "map: old/old" in run(*common).out
    assert "ndcg@10: old/old" in run(*judged, "--metric", "ndcg@10").out


def swapped(files: Path, name: str) -> Path:
    """The same pairs with the better model as the old one."""
    pairs = Pairs.load(files / name)
    path = files / f"worse-{name}"
    Pairs.of(pairs.ids, pairs.new, pairs.old, pairs.labels).save(path)
    return path


def test_a_worse_model_is_said_to_be_no_gain_by_every_command(run: Run, files: Path) -> None:
    (files / "worse").mkdir()
    for name in ("fit.npz", "gallery.npz"):
        swapped(files, name).rename(files / "worse" / name)
    fit = run(
        "fit", files / "worse" / "fit.npz", "--out", files / "up", "--method=ridge", "--labels"
    )
    assert "held-out items as queries (labels): no gain (mAP" in fit.out
    evaluated = run("evaluate", files / "up", "--gallery", files / "worse" / "gallery.npz")
    bench = run("bench", files / "worse", "--methods=ridge", "--seeds=1", "--out", files / "out")
    assert "no gain to share" in bench.err
    for outcome in (evaluated, bench):
        (row,) = [line for line in outcome.out.splitlines() if line.startswith("│ ridge")]
        assert " - │" in row


def test_a_gallery_that_was_fitted_on_is_told_in_one_line_by_every_command(
    run: Run, files: Path, upgrade: Path
) -> None:
    told = "240 of 240 gallery items are among the pairs"
    own = ("--gallery", files / "fit.npz")
    outcome = run("evaluate", upgrade, *own, "--compare", "ridge", "rank_merge", "--json")
    (line,) = [line for line in outcome.err.splitlines() if told in line]
    assert line.startswith("note: forward_ridge, ridge: ")
    assert told not in run("evaluate", upgrade, "--gallery", files / "gallery.npz").err
    assessed = run("assess", files / "fit.npz", "--gallery", files / "fit.npz", "--methods=ridge")
    assert told in assessed.out
    (files / "own").mkdir()
    for name in ("fit.npz", "gallery.npz"):
        shutil.copy(files / "fit.npz", files / "own" / name)
    bench = run("bench", files / "own", "--methods=ridge", "--seeds=1", "--out", files / "out")
    assert f"own, seed 0: {told}" in bench.err


@pytest.mark.parametrize(
    "form",
    [
        ("--compare", "rank_merge", "procrustes"),
        ("--compare", "rank_merge,procrustes"),
        ("--compare", "rank_merge", "--compare", "procrustes"),
    ],
)
def test_compare_takes_several_methods_in_any_form(
    run: Run, files: Path, upgrade: Path, form: tuple[str, ...]
) -> None:
    outcome = run("evaluate", upgrade, "--gallery", files / "gallery.npz", *form, "--json")
    assert outcome.code == 0, outcome.err
    methods = json.loads(outcome.out)["methods"]
    assert set(methods) == {"forward_ridge", "rank_merge", "procrustes"}
    assert set(methods["procrustes"]) >= KEYS


def test_compared_methods_are_fitted_on_the_upgrades_own_pairs(
    run: Run, files: Path, upgrade: Path
) -> None:
    arguments = ("evaluate", upgrade, "--gallery", files / "gallery.npz", "--compare", "ridge")
    assert "measured on" not in run(*arguments).err
    (files / "fit.npz").unlink()
    assert "fitted on the gallery that they are measured on" in run(*arguments).err


def test_auto_leaves_labels_alone_unless_it_is_told_to_use_them(run: Run, files: Path) -> None:
    outcome = run("fit", files / "fit.npz", "--out", files / "up", "--epochs", 1)
    assert "pass --labels to use them" in outcome.err
    assert Upgrade.load(files / "up").report["labels_used"] is False
    run("fit", files / "fit.npz", "--out", files / "up", "--epochs", 1, "--labels")
    report = Upgrade.load(files / "up").report
    assert report["labels_used"] is True
    assert "refitted_contrastive" in report["candidates"]


def test_contrastive_uses_the_labels_without_being_told(run: Run, files: Path) -> None:
    outcome = run(
        "fit", files / "fit.npz", "--out", files / "up", "--method", "contrastive",
        "--epochs", 1, "--json",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["method"] == "contrastive"
    assert Upgrade.load(files / "up").rho is not None


def test_two_encoder_mode_and_the_report_folder(run: Run, files: Path, upgrade: Path) -> None:
    outcome = run(
        "evaluate", upgrade, "--gallery", files / "gallery.npz", "--mode", "two-encoder",
        "--report", files / "report",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert "two-encoder" in outcome.out
    assert "<html" in (files / "report" / "index.html").read_text()


BAD_ARRAYS = {
    "NaN": {"old": lambda a: np.where(np.arange(len(a))[:, None] == 3, np.nan, a)},
    "zero vector": {"new": lambda a: a * (np.arange(len(a))[:, None] != 5)},
    "unique": {"ids": lambda a: np.zeros_like(a)},
    "rows for": {"old": lambda a: a[:-1]},
    "labels has shape": {"labels": lambda a: a[:-2]},
}


@pytest.mark.parametrize("complaint", BAD_ARRAYS)
def test_bad_pairs_are_one_clear_error_and_leave_nothing(
    run: Run, files: Path, complaint: str
) -> None:
    with np.load(files / "fit.npz") as file:
        arrays = {name: file[name] for name in file.files}
    for name, spoil in BAD_ARRAYS[complaint].items():
        arrays[name] = spoil(arrays[name])
    np.savez(files / "bad.npz", **arrays)
    outcome = run("fit", files / "bad.npz", "--out", files / "out")
    assert (outcome.code, outcome.out) == (2, "")
    assert complaint in outcome.err
    assert outcome.err.count("error:") == 1
    assert "Traceback" not in outcome.err
    assert not (files / "out").exists()


def test_a_truncated_file_is_one_clear_error(run: Run, files: Path) -> None:
    whole = (files / "fit.npz").read_bytes()
    (files / "fit.npz").write_bytes(whole[: len(whole) // 2])
    outcome = run("fit", files / "fit.npz", "--out", files / "out")
    assert outcome.code == 2
    assert "truncated" in outcome.err


def test_one_class_only_is_refused_by_contrastive(run: Run, files: Path) -> None:
    pairs = Pairs.load(files / "fit.npz")
    Pairs.of(pairs.ids, pairs.old, pairs.new, np.zeros(len(pairs), dtype=int)).save(
        files / "one.npz"
    )
    outcome = run("fit", files / "one.npz", "--out", files / "out", "--method", "contrastive")
    assert outcome.code == 2
    assert "only one" in outcome.err


def test_one_class_only_is_refused_by_labels_and_by_evaluate(
    run: Run, files: Path, upgrade: Path
) -> None:
    pairs = Pairs.load(files / "gallery.npz")
    Pairs.of(pairs.ids, pairs.old, pairs.new, np.zeros(len(pairs), dtype=int)).save(
        files / "one.npz"
    )
    for arguments in (
        ("fit", files / "one.npz", "--out", files / "out", "--labels"),
        ("evaluate", upgrade, "--gallery", files / "one.npz"),
    ):
        outcome = run(*arguments)
        assert outcome.code == 2
        assert "one class only" in outcome.err


def test_comparing_with_the_upgrades_own_method_still_lists_it(
    run: Run, files: Path, upgrade: Path
) -> None:
    outcome = run(
        "evaluate", upgrade, "--gallery", files / "gallery.npz", "--compare=forward_ridge",
        "--json",
    )  # fmt: skip
    assert set(json.loads(outcome.out)["methods"]) == {"forward_ridge"}


def test_pairs_that_have_changed_since_are_not_compared_on(
    run: Run, files: Path, upgrade: Path
) -> None:
    (files / "fit.npz").write_bytes((files / "gallery.npz").read_bytes())
    outcome = run("evaluate", upgrade, "--gallery", files / "gallery.npz", "--compare", "ridge")
    assert "not the data that the upgrade was fitted on" in outcome.err


@pytest.mark.parametrize("wrong", [("--seed", "-1"), ("--metric", "foo"), ("--report", "/proc/x")])
def test_wrong_options_are_found_out_before_any_work(
    run: Run, files: Path, upgrade: Path, wrong: tuple[str, str]
) -> None:
    outcome = run("evaluate", upgrade, "--gallery", files / "gallery.npz", *wrong)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.count("error:") == 1


def test_a_report_folder_with_somebodys_notes_is_kept(run: Run, files: Path, upgrade: Path) -> None:
    arguments = ("evaluate", upgrade, "--gallery", files / "gallery.npz", "--report", files / "r")
    assert run(*arguments).code == 0
    assert run(*arguments).code == 0  # its own files may be replaced
    (files / "r" / "notes.txt").write_text("mine")
    assert run(*arguments).code == 2
    assert (files / "r" / "notes.txt").read_text() == "mine"


def test_a_folder_of_other_files_is_never_written(run: Run, files: Path) -> None:
    (files / "mine").mkdir()
    (files / "mine" / "thesis.txt").write_text("years of work")
    outcome = run("fit", files / "fit.npz", "--out", files / "mine", "--method", "ridge")
    assert outcome.code == 2
    assert [path.name for path in (files / "mine").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--method", "magic"), "unknown method 'magic'"),
        (("--method", "contrastive", "--epochs", "0"), "epochs"),
    ],
)
def test_wrong_settings_are_named(
    run: Run, files: Path, arguments: tuple[str, ...], complaint: str
) -> None:
    outcome = run("fit", files / "fit.npz", "--out", files / "out", *arguments)
    assert outcome.code == 2
    assert complaint in outcome.err


def test_a_gallery_of_another_width_is_refused(run: Run, files: Path, upgrade: Path) -> None:
    rng = np.random.default_rng(0)
    Pairs.of(range(30), rng.normal(size=(30, 9)), rng.normal(size=(30, 20)), [0, 1] * 15).save(
        files / "other.npz"
    )
    outcome = run("evaluate", upgrade, "--gallery", files / "other.npz", "--json")
    assert outcome.code == 2
    assert "9 dimensions" in outcome.err


def test_usage_errors_exit_with_two(run: Run, files: Path) -> None:
    assert run("evaluate", files / "up").code == 2
    assert run("nonsense").code == 2


def test_every_command_has_help_with_an_example(run: Run) -> None:
    for command in ("demo", "fit", "evaluate"):
        outcome = run(command, "--help")
        assert outcome.code == 0
        assert f"crossfade {command}" in outcome.out


def test_models_are_called_as_they_are_named(files: Path, run: Run) -> None:
    named = ("--old-name", "clip-1", "--new-name", "clip-2")
    made = run(
        *("fit", files / "fit.npz", "--out", files / "named", "--method", "ridge"), *named, "--json"
    )
    assert made.code == 0, made.err
    fitted = json.loads(made.out)
    assert (fitted["source"]["name"], fitted["target"]["name"]) == ("clip-1", "clip-2")
    done = run(
        *("evaluate", files / "named", "--gallery", files / "gallery.npz"),
        *("--queries", files / "queries.npz", "--compare", "rank_merge"),
    )
    assert done.code == 0, done.err
