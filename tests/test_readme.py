"""The README's table of gains says what the committed runs say."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
RUNS = ROOT / "benchmarks" / "results" / "all-local" / "runs.jsonl"
COLUMNS = (
    ("rank_merge", "one-encoder"),
    ("forward_ridge", "one-encoder"),
    ("auto", "one-encoder"),
    ("contrastive", "one-encoder"),
    ("auto", "two-encoder"),
)


def test_the_table_of_gains_is_that_of_the_committed_runs() -> None:
    runs: dict[tuple[str, ...], dict[int, dict[str, Any]]] = defaultdict(dict)
    for line in RUNS.read_text(encoding="utf-8").splitlines():
        run = json.loads(line)
        runs[run["suite"], run["method"], run["mode"]][run["seed"]] = run
    rows = re.findall(r"^\| [^|]+ \(`([a-z0-9-]+)`\) \|(.*)\|$", README, re.MULTILINE)
    assert len(rows) >= 10
    for suite, text in rows:
        cells = [cell.strip() for cell in text.split("|")]
        assert cells[1:] == [expected(list(runs[suite, *column].values())) for column in COLUMNS]
        means = [
            sum(run[end][run["metric"]] for run in runs[suite, "auto", "one-encoder"].values()) / 3
            for end in ("old_old", "new_new")
        ]
        assert cells[0] == f"{means[0]:.3f} -> {means[1]:.3f}", suite


def expected(runs: list[dict[str, Any]]) -> str:
    """A cell: the mean gain share, and the worst point of all seeds."""
    if not runs:
        return "-"
    assert len(runs) == 3, "seeds"
    shares = [run["gain_share"][run["metric"]] for run in runs]
    worst = min(run["worst_point"][run["metric"]] for run in runs)
    return f"{round(100 * sum(shares) / len(shares))} % ({worst:+.3f})"
