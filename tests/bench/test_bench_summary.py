"""Tables over seeds, against numbers worked out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crossfade.bench import Ledger, write_bench_report
from crossfade.bench.summary import groups_of


def run(seed: int, share: float | None, **changes: Any) -> dict[str, Any]:
    """A run as the ledger holds it, with one metric and three coverages."""
    return {
        "suite": "s", "seed": seed, "method": "auto", "mode": "one-encoder", "order": "random",
        "version": "1", "data_sha256": f"d{seed}", "quick": False, "setting": "instance",
        "metric": "mrr", "chosen": "ridge", "encoders": 1, "pairs": 50, "dims": [4, 8],
        "counts": {"gallery": 30, "queries": 20}, "fit_seconds": 1.0, "evaluate_seconds": 1.0,
        "coverage": [0.0, 0.5, 1.0], "curve": {"mrr": [0.2, 0.3 + seed / 10, 0.5]},
        "old_old": {"mrr": 0.2, "cmc@1": 0.1}, "new_new": {"mrr": 0.5, "cmc@1": 0.4},
        "gain_share": {"mrr": share}, "worst_point": {"mrr": 0.0 - seed / 10},
        "drop": {"mrr": 0.01 * seed}, "end_point": {"mrr": 0.0, "cmc@1": 0.02 * seed},
        "negative_flips": [0.0, 0.1 + 0.1 * seed, 0.05], **changes,
    }  # fmt: skip


def test_means_are_over_seeds_and_the_worst_is_of_all() -> None:
    (group,) = groups_of([run(0, 0.5), run(1, 0.7)])
    assert group.to_json() == {
        "suite": "s", "setting": "instance", "metric": "mrr", "method": "auto",
        "mode": "one-encoder", "order": "random", "quick": False, "encoders": 1,
        "seeds": [0, 1], "old_old": 0.2, "new_new": 0.5, "is_upgrade": True,
        "gain_share": 0.6, "gain_share_spread": 0.1, "worst_point": -0.1, "drop": 0.01,
        "mean_curve_drop": 0.0, "end_point": 0.0, "rank_1_end_point": 0.01, "negative_flips": 0.15,
    }  # fmt: skip
    assert group.name == "auto (ridge)"


def test_the_drop_of_the_mean_curve_is_less_than_that_of_a_single_order() -> None:
    falling = {"curve": {"mrr": [0.4, 0.3, 0.5]}, "drop": {"mrr": 0.1}}
    rising = {"curve": {"mrr": [0.2, 0.26, 0.5]}, "drop": {"mrr": 0.0}}
    (group,) = groups_of([run(0, 0.5, **falling), run(1, 0.7, **rising)])
    assert group.figure("drop").max() == 0.1
    assert group.mean_curve_drop == pytest.approx(0.02)


def test_of_a_seed_the_last_run_counts_whatever_its_data() -> None:
    (group,) = groups_of([run(0, 0.5), run(0, 0.9, data_sha256="other", version="2")])
    assert group.figure("gain_share").tolist() == [0.9]


def test_modes_orders_and_sizes_are_told_apart() -> None:
    runs = [
        run(0, 0.5),
        run(0, 0.5, mode="two-encoder", encoders=2),
        run(0, 0.5, order="gallery"),
        run(0, 0.5, quick=True),
        run(1, 0.5, suite="t"),
        run(1, 0.5),
    ]
    groups = groups_of(runs)
    assert [(g.suite, g.quick, g.name, len(g.runs)) for g in groups] == [
        ("s", False, "auto (ridge)", 2),
        ("s", False, "auto (ridge), 2 encoders", 1),
        ("s", False, "auto (ridge), order gallery", 1),
        ("s", True, "auto (ridge)", 1),
        ("t", False, "auto (ridge)", 1),
    ]


def test_a_gain_share_that_does_not_exist_is_null_and_a_dash(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "runs.jsonl")
    ledger.append(run(0, None))
    (group,) = groups_of(ledger.runs)
    assert group.to_json()["gain_share"] is None
    assert "–" in write_bench_report(ledger).read_text()


def test_the_tables_hold_the_numbers_and_a_plot_of_each_suite(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "runs.jsonl")
    for one in (run(0, 0.5), run(1, 0.7), run(0, 0.2, suite="t", new_new={"mrr": 0.1})):
        ledger.append(one)
    tables = write_bench_report(ledger).read_text()
    assert "| auto (ridge) | 2 | 0.200 → 0.500 | 60 % ± 10.0 | −0.100 | 0.010 (0.000) |" in tables
    assert tables.count("this is no upgrade") == 1
    assert "this is no upgrade" in tables.split("## t")[1]
    for name in ("s.svg", "t.svg"):
        assert f"]({name})" in tables
        assert "auto (ridge)" in (tmp_path / name).read_text()


def test_the_same_runs_make_the_same_files(tmp_path: Path) -> None:
    texts = []
    for name in ("a", "b"):
        ledger = Ledger(tmp_path / name / "runs.jsonl")
        ledger.append(run(0, 0.5))
        write_bench_report(ledger)
        texts.append([(tmp_path / name / file).read_text() for file in ("tables.md", "s.svg")])
    assert texts[0] == texts[1]


@pytest.mark.parametrize("gap", [0.0, -0.1])
def test_a_new_model_that_is_not_better_is_no_upgrade_and_shares_no_gain(
    tmp_path: Path, gap: float
) -> None:
    ledger = Ledger(tmp_path / "runs.jsonl")
    ledger.append(run(0, 1.52 if gap else None, new_new={"mrr": 0.2 + gap, "cmc@1": 0.1}))
    (group,) = groups_of(ledger.runs)
    assert not group.is_upgrade
    assert "| – | " in write_bench_report(ledger).read_text()
