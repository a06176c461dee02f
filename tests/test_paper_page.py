"""The paper's page names files that exist, and numbers that are in the results."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "paper.md").read_text(encoding="utf-8")
LINKS = sorted(set(re.findall(r"\]\((?!https?:)([^)#]+)\)", PAGE)))


@pytest.mark.parametrize("link", LINKS)
def test_every_file_beside_a_part_exists(link: str) -> None:
    assert (ROOT / "docs" / link).resolve().exists()


def test_our_gain_shares_are_the_committed_ones() -> None:
    shares: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    runs = ROOT / "benchmarks" / "results" / "all-local" / "runs.jsonl"
    for line in runs.read_text(encoding="utf-8").splitlines():
        run = json.loads(line)
        share = run["gain_share"][run["metric"]]
        shares[run["suite"], run["method"], run["mode"]].append(share)
    columns = ("fashion-extended-class", "fashion-extended-data", "wordnet-l3-l6", "emoji-vendors")
    rows = {
        "rank merge, two encoders": ("rank_merge", "one-encoder"),
        "forward ridge": ("forward_ridge", "one-encoder"),
        "contrastive + rho": ("contrastive", "one-encoder"),
        "`forward_contrastive`": ("forward_contrastive", "one-encoder"),
        "`auto`, no labels": ("auto", "one-encoder"),
        "`auto`, two encoders": ("auto", "two-encoder"),
    }
    checked = 0
    for start, (method, mode) in rows.items():
        (line,) = (line for line in PAGE.splitlines() if line.startswith(f"| {start}"))
        for column, cell in zip(columns, line.strip("| ").split(" | ")[1:], strict=True):
            if number := re.match(r"(-?\d+) %", cell):
                measured = shares[column, method, mode]
                assert round(100 * sum(measured) / len(measured)) == int(number[1]), (start, column)
                checked += 1
    assert checked == 20
