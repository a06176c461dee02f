"""Runs are resumed, failures don't end the others, and labels go where they are used only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench_worlds import Told, small_data, small_suite

from crossfade.baselines import evaluate_merge
from crossfade.bench import BenchPlan, BuildPlan, DataSet, Ledger, run_suites
from crossfade.bench.ledger import RunKey
from crossfade.bench.measure import EVERY_METHOD, check_method, is_method
from crossfade.embeddings import QueryLog, unit_rows
from crossfade.errors import BenchIncomplete, InvalidInput
from crossfade.evaluation import METRICS, evaluate
from crossfade.fit.api import fit
from crossfade.testing import make_world


def finished(path: Path) -> list[tuple[Any, ...]]:
    return [(run["suite"], run["seed"], run["method"], run["mode"]) for run in Ledger(path).runs]


def test_a_run_is_what_fit_and_evaluate_say(tmp_path: Path, told: Told) -> None:
    plan = BenchPlan([small_suite()], seeds=[3], methods=["forward_ridge"])
    run_suites(plan, Ledger(tmp_path / "runs.jsonl"), told)
    (run,) = Ledger(tmp_path / "runs.jsonl").runs
    data = small_data(3)
    upgrade = fit(data.fit.without_labels(), "forward_ridge", seed=3)
    wanted = evaluate(upgrade, data.gallery, seed=3)
    assert run["curve"]["map"] == pytest.approx(wanted.metrics["map"], abs=1e-5)
    assert run["gain_share"]["map"] == pytest.approx(wanted.gain_share["map"], abs=1e-5)
    assert run["negative_flips"] == pytest.approx(wanted.negative_flips, abs=1e-5)
    assert set(run["curve"]) == set(METRICS)
    assert (run["data_sha256"], run["pairs"]) == (data.fingerprint(), 120)
    assert run["upgrade"]["map"] == (wanted.new_new["map"] > wanted.old_old["map"])


def test_what_is_there_is_not_run_again(tmp_path: Path, told: Told) -> None:
    path = tmp_path / "runs.jsonl"
    run_suites(BenchPlan([small_suite()], seeds=[0], methods=["ridge"]), Ledger(path), told)
    before = path.read_text()
    plan = BenchPlan([small_suite()], seeds=[0, 1], methods=["ridge", "procrustes"])
    run_suites(plan, Ledger(path), told)
    assert path.read_text().startswith(before)
    assert finished(path) == [
        ("small", 0, "ridge", "one-encoder"),
        ("small", 0, "procrustes", "one-encoder"),
        ("small", 1, "ridge", "one-encoder"),
        ("small", 1, "procrustes", "one-encoder"),
    ]
    whole = path.read_text()
    run_suites(plan, Ledger(path), told)
    assert path.read_text() == whole


def test_again_repeats_what_is_there(tmp_path: Path, told: Told) -> None:
    path = tmp_path / "runs.jsonl"
    plan = BenchPlan([small_suite()], seeds=[0], methods=["ridge"])
    run_suites(plan, Ledger(path), told)
    run_suites(replace(plan, again=True), Ledger(path), told)
    assert len(path.read_text().splitlines()) == 2
    assert len(Ledger(path).runs) == 1


def test_other_data_under_the_same_name_is_run_anew(tmp_path: Path, told: Told) -> None:
    path = tmp_path / "runs.jsonl"
    for suite in (small_suite(), replace(small_suite(), build=lambda _: small_data(9))):
        run_suites(BenchPlan([suite], seeds=[0], methods=["ridge"]), Ledger(path), told)
    assert len({RunKey.of(run).data_sha256 for run in Ledger(path).runs}) == 2


def test_auto_is_measured_with_one_and_two_encoders(tmp_path: Path, told: Told) -> None:
    plan = BenchPlan([small_suite()], seeds=[0], methods=["rank_merge", "auto"], quick=True)
    run_suites(plan, Ledger(tmp_path / "runs.jsonl"), told)
    runs = Ledger(tmp_path / "runs.jsonl").runs
    assert [(run["method"], run["mode"], run["encoders"]) for run in runs] == [
        ("rank_merge", "one-encoder", 2),
        ("auto", "one-encoder", 1),
        ("auto", "two-encoder", 2),
    ]
    assert all(run["quick"] for run in runs)


def test_a_method_that_needs_labels_is_left_out_where_there_are_none(
    tmp_path: Path, told: Told
) -> None:
    suite = small_suite(labels=False)
    plan = BenchPlan([suite], seeds=[0], methods=["contrastive", "auto+labels", "ridge"])
    run_suites(plan, Ledger(tmp_path / "runs.jsonl"), told)
    assert [run[2] for run in finished(tmp_path / "runs.jsonl")] == ["ridge"]
    assert sum("left out, it needs labels" in line for line in told.lines) == 2
    assert told.lines[-1].endswith("nothing left")


def test_labels_reach_only_methods_that_use_them(
    tmp_path: Path, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, bool] = {}

    def spy(pairs: Any, method: str, **settings: Any) -> Any:
        seen[f"{method} {len(seen)}"] = pairs.labels is not None
        return fit(pairs, "ridge", seed=settings["seed"])

    monkeypatch.setattr("crossfade.bench.measure.fit", spy)
    plan = BenchPlan([small_suite()], [0], ["ridge", "auto", "auto+labels", "contrastive"])
    run_suites(plan, Ledger(tmp_path / "runs.jsonl"), told)
    assert seen == {"ridge 0": False, "auto 1": False, "auto 2": True, "contrastive 3": True}


def test_a_failing_suite_is_told_and_the_others_are_run(tmp_path: Path, told: Told) -> None:
    def failing(_: BuildPlan) -> DataSet:
        raise InvalidInput("no such data")

    broken = replace(small_suite("broken"), build=failing)
    plan = BenchPlan([broken, small_suite()], seeds=[0], methods=["ridge"])
    path = tmp_path / "runs.jsonl"
    with pytest.raises(BenchIncomplete, match=r"1 of 2 runs failed.*broken, seed 0"):
        run_suites(plan, Ledger(path), told)
    assert finished(path) == [("small", 0, "ridge", "one-encoder")]
    assert any("no such data" in line for line in told.lines)
    mended = replace(plan, suites=[small_suite("broken"), small_suite()])
    run_suites(mended, Ledger(path), told)
    assert [run[0] for run in finished(path)] == ["small", "broken"]


def test_a_bug_in_a_method_is_shown_with_its_place(
    tmp_path: Path, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    def buggy(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("crossfade.bench.protocol.measure", buggy)
    with pytest.raises(BenchIncomplete):
        run_suites(
            BenchPlan([small_suite()], [0], ["ridge"]), Ledger(tmp_path / "runs.jsonl"), told
        )
    assert any("in buggy" in line and "ZeroDivisionError" in line for line in told.lines)


def test_an_interrupt_ends_the_run_and_keeps_what_is_done(
    tmp_path: Path, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    path = tmp_path / "runs.jsonl"
    run_suites(BenchPlan([small_suite()], [0], ["ridge"]), Ledger(path), told)
    monkeypatch.setattr("crossfade.bench.protocol.fit_method", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_suites(BenchPlan([small_suite()], [0, 1], ["ridge"]), Ledger(path), told)
    assert finished(path) == [("small", 0, "ridge", "one-encoder")]


def test_a_suffix_merges_as_other_tools_do(tmp_path: Path, told: Told) -> None:
    plan = BenchPlan([small_suite()], [0], ["rank_merge", "rank_merge+raw", "rank_merge+rrf",
                                            "rank_merge+isotonic"])  # fmt: skip
    path = tmp_path / "runs.jsonl"
    run_suites(plan, Ledger(path), told)
    curves = {run["method"]: run["curve"]["map"] for run in Ledger(path).runs}
    assert curves["rank_merge+raw"] == curves["rank_merge"]
    assert curves["rank_merge+rrf"] != curves["rank_merge"]
    data = small_data(0)
    wanted = evaluate_merge(
        fit(data.fit.without_labels(), "rank_merge", seed=0), data.gallery, merge="rrf"
    )
    assert curves["rank_merge+rrf"] == pytest.approx(wanted.metrics["map"], abs=1e-5)
    assert {run["encoders"] for run in Ledger(path).runs} == {2}


@pytest.mark.parametrize("name", ["magic", "ridge+magic", "ridge+labels", "auto+", "ridge+rrf+rrf"])
def test_an_unknown_method_or_suffix_is_refused(name: str) -> None:
    assert not is_method(name)
    with pytest.raises(InvalidInput, match="unknown"):
        check_method(name)


def test_every_method_is_one() -> None:
    assert all(is_method(name) for name in EVERY_METHOD)
    wanted = {
        "rank_merge+z_score",
        "rank_merge+isotonic",
        "auto+labels",
        "auto+queries",
        "auto+stand-ins",
        "auto+recorded",
    }
    assert wanted < {*EVERY_METHOD}


def test_a_log_of_queries_is_for_the_methods_that_ask_for_it(tmp_path: Path) -> None:
    log = make_world(items=10, queries=240, classes=6, seed=5).queries
    logged = QueryLog(log.new_rows(), log.old_rows())

    def build(plan: BuildPlan) -> DataSet:
        return replace(small_data(plan.seed), logs={"queries": logged})

    told, path = Told(), tmp_path / "runs.jsonl"
    suites = [replace(small_suite("with"), build=build), small_suite("without")]
    methods = ["forward_ridge", "forward_ridge+queries", "rank_merge+queries"]
    plan = BenchPlan(suites, [0], methods=methods)
    run_suites(plan, Ledger(path), told)
    runs = {(run["suite"], run["method"]): run for run in Ledger(path).runs}
    assert runs.keys() == {
        ("with", "forward_ridge"),
        ("with", "forward_ridge+queries"),
        ("without", "forward_ridge"),
    }
    curves = {key: run["curve"]["map"] for key, run in runs.items()}
    assert curves["with", "forward_ridge"] == curves["without", "forward_ridge"]
    assert curves["with", "forward_ridge+queries"] != curves["with", "forward_ridge"]
    assert any("left out, it needs a log of queries" in line for line in told.lines)
    assert any("left out, it makes no use of a log" in line for line in told.lines)


def test_recorded_queries_teach_on_the_way_and_not_in_fitting(tmp_path: Path) -> None:
    data = small_data(0)
    asked = np.tile(data.gallery.new_rows(), (240 // len(data.gallery) + 1, 1))[:240]
    noise = np.random.default_rng(0).normal(scale=0.1, size=asked.shape)
    logged = QueryLog(unit_rows(asked + noise))

    def build(plan: BuildPlan) -> DataSet:
        return replace(small_data(plan.seed), logs={"queries": logged})

    told, path = Told(), tmp_path / "runs.jsonl"
    suites = [replace(small_suite("with"), build=build), small_suite("without")]
    methods = ["refitted_kernel", "refitted_kernel+recorded", "forward_ridge+recorded"]
    run_suites(BenchPlan(suites, [0], methods=methods), Ledger(path), told)
    runs = {(run["suite"], run["method"]): run for run in Ledger(path).runs}
    assert runs.keys() == {
        ("with", "refitted_kernel"),
        ("with", "refitted_kernel+recorded"),
        ("without", "refitted_kernel"),
    }
    plain = runs["with", "refitted_kernel"]["curve"]["map"]
    taught = runs["with", "refitted_kernel+recorded"]["curve"]["map"]
    assert plain[0] == taught[0] and plain[-1] == taught[-1] and plain != taught
    assert any("left out, it needs a log of queries" in line for line in told.lines)
    assert any("left out, it makes no use of a log" in line for line in told.lines)
