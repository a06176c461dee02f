"""`crossfade assess` as users call it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossfade import Pairs

Run = Callable[..., Any]
QUICK = ("--methods", "forward_ridge", "--splits", 1)


def test_assess_prints_a_verdict_a_table_and_what_to_do(run: Run, files: Path) -> None:
    outcome = run("assess", files / "fit.npz", *QUICK, "--items", 7_200, "--rate", 1)
    assert outcome.code == 0, outcome.err
    assert outcome.out.startswith("Worth it: the new model is better (mAP ")
    for said in (
        "Recommended: forward_ridge",
        "7,200 items take 2.0 hours",
        "50% of the gain",
        "twice as many add",
    ):
        assert said in outcome.out


def test_assess_prints_one_json_object(run: Run, files: Path) -> None:
    outcome = run(
        "assess", files / "fit.npz", "--gallery", files / "gallery.npz", "--queries",
        files / "queries.npz", "--qrels", files / "qrels.txt", *QUICK, "--json",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    result = json.loads(outcome.out)
    assert result["verdict"] == "worth it"
    assert result["metric"] == "mrr"
    assert result["gain"]["new_new"] > result["gain"]["old_old"]
    assert {one["mode"] for one in result["predictions"]} == {"one-encoder", "two-encoder"}
    assert {one["held_out"] for one in result["predictions"]} >= {"rows"}


def test_assess_says_that_it_learned_from_a_log(run: Run, files: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(200, 20))
    np.savez(files / "log.npz", new=rows)
    outcome = run("assess", files / "fit.npz", *QUICK, "--log", files / "log.npz")
    assert outcome.code == 0, outcome.err
    assert "It learned from 200 queries of the log: give them to fit, too." in outcome.out
    np.savez(files / "log.npz", new=rows[:9])
    outcome = run("assess", files / "fit.npz", *QUICK, "--log", files / "log.npz")
    assert outcome.code == 2
    assert "got 9 queries, wanted at least 200" in outcome.err


def test_a_worse_model_exits_with_one(run: Run, files: Path, tmp_path: Path) -> None:
    pairs = Pairs.load(files / "fit.npz")
    Pairs.of(pairs.ids, pairs.new, pairs.old, pairs.labels).save(tmp_path / "back.npz")
    outcome = run("assess", tmp_path / "back.npz", *QUICK)
    assert outcome.code == 1
    assert outcome.out.startswith("Refuse: the new model is worse (mAP ")
    assert "Recommended" not in outcome.out


def test_the_report_opens_without_network_and_replaces_its_own_folder_only(
    run: Run, files: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "report"
    for _ in range(2):
        assert run("assess", files / "fit.npz", *QUICK, "--report", folder).code == 0
    assert {path.name for path in folder.iterdir()} == {
        "assessment.json", "assessment.md", "curve.svg", "index.html",
    }  # fmt: skip
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert "<svg" in page and "forward_ridge, two-encoder" in page
    assert "<script" not in page and "<link" not in page
    lines = (folder / "assessment.md").read_text(encoding="utf-8").splitlines()
    assert "| method, mode | evidence |" in "\n".join(lines)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    outcome = run("assess", files / "fit.npz", *QUICK, "--report", tmp_path / "mine")
    assert outcome.code == 2
    assert (tmp_path / "mine" / "notes.txt").read_text() == "keep"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("missing.npz",), "missing.npz"),
        (("fit.npz", "--qrels", "qrels.txt"), "give queries as well"),
        (("fit.npz", "--rate", "0"), "rate is 0.0"),
        (("fit.npz", "--methods", "nonsense"), "unknown method 'nonsense'"),
        (("unlabelled.npz", "--labels"), "the pairs hold none"),
        (("few.npz",), "at least 64 pairs, got 40"),
    ],
)
def test_bad_input_exits_with_two_and_says_what_is_wrong(
    run: Run, files: Path, arguments: tuple[str, ...], said: str
) -> None:
    pairs = Pairs.load(files / "fit.npz")
    pairs.without_labels().save(files / "unlabelled.npz")
    pairs.subset(np.arange(40)).save(files / "few.npz")
    paths = [str(files / one) if one.endswith((".npz", ".txt")) else one for one in arguments]
    outcome = run("assess", *paths)
    assert outcome.code == 2
    assert outcome.err.count("error:") == 1
    assert said in outcome.err
