"""The README's table of gains says what the committed runs say."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
RESULTS = ROOT / "benchmarks" / "results"
MERGES = {
    "rank_merge": "raw",
    "rank_merge+z_score": "z-score",
    "rank_merge+rrf": "RRF",
    "rank_merge+isotonic": "isotonic",
}
COLUMNS = (
    ("forward_ridge", "one-encoder"),
    ("auto", "one-encoder"),
    ("auto", "two-encoder"),
    ("contrastive", "one-encoder"),
    ("forward_contrastive", "one-encoder"),
)


def test_the_table_of_gains_is_that_of_the_committed_runs() -> None:
    runs: dict[tuple[str, ...], dict[int, dict[str, Any]]] = defaultdict(dict)
    for run in runs_in("all-local/runs.jsonl"):
        runs[run["suite"], run["method"], run["mode"]][run["seed"]] = run
    rows = re.findall(r"^\| [^|]+ \(`([a-z0-9-]+)`\) \|(.*)\|$", README, re.MULTILINE)
    assert len(rows) == 14
    for suite, text in rows:
        cells = [cell.strip() for cell in text.split("|")]
        merges = {name: list(runs[suite, name, "one-encoder"].values()) for name in MERGES}
        best = max(merges, key=lambda name: mean_share(merges[name]))
        assert cells[1] == f"{expected(merges[best])} {MERGES[best]}", suite
        assert cells[2:] == [expected(list(runs[suite, *column].values())) for column in COLUMNS]
        means = [
            sum(run[end][run["metric"]] for run in runs[suite, "auto", "one-encoder"].values()) / 3
            for end in ("old_old", "new_new")
        ]
        assert cells[0] == f"{means[0]:.3f} -> {means[1]:.3f}", suite


def test_what_a_log_of_queries_gains_is_that_of_the_committed_runs() -> None:
    runs: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for run in runs_in("all-local/runs.jsonl"):
        runs[run["suite"], run["method"], run["mode"]].append(run)
    rows = re.findall(r"^\| `([a-z0-9-]+)` \|(.*%.*)\|$", README, re.MULTILINE)
    logged = {suite for suite, method, _ in runs if method == "auto+queries"}
    assert {suite for suite, _ in rows} == logged and len(rows) == 5
    methods = ("auto", "auto+stand-ins", "auto+recorded", "auto+queries")
    for suite, text in rows:
        wanted = [
            expected(runs[suite, method, mode])
            for mode in ("one-encoder", "two-encoder")
            for method in methods
        ]
        assert [cell.strip() for cell in text.split("|")] == wanted, suite


def test_how_far_curves_fall_is_what_the_committed_runs_say() -> None:
    falls: dict[str, float] = defaultdict(float)
    for run in runs_in("all-local/runs.jsonl"):
        if run["mode"] == "two-encoder" and run["upgrade"][run["metric"]]:
            falls[run["method"]] = max(falls[run["method"]], run["drop"][run["metric"]])
    taught = [falls[f"auto+{suffix}"] for suffix in ("queries", "stand-ins", "recorded")]
    for fall, words in (
        (falls["auto"], r"no curve falls by more than ([.0-9]+[0-9])"),
        (max(taught), r"some fall on the way, by ([.0-9]+[0-9]) at most"),
    ):
        text = re.search(words, README)
        assert text is not None
        assert round(fall, 4) == float(text[1])


def test_what_small_gaps_gain_in_the_learned_order_is_that_of_the_committed_runs() -> None:
    shares: dict[str, list[float]] = defaultdict(list)
    for run in runs_in("two-encoder-order/runs.jsonl"):
        assert (run["order"], run["mode"], run["method"]) == ("auto", "two-encoder", "auto")
        if run["setting"] == "small gap":
            shares[run["suite"]].append(run["gain_share"][run["metric"]])
    text = re.search(r"small gaps gain \[([0-9]+) to ([0-9]+) %\]", README)
    assert text is not None
    means = sorted(round(100 * sum(found) / len(found)) for found in shares.values())
    assert [int(number) for number in text.groups()] == means and len(means) == 2


def test_what_labels_cost_at_rank_1_is_that_of_the_committed_runs() -> None:
    ends: dict[tuple[str, str], list[float]] = defaultdict(list)
    corrected: list[float] = []
    for run in runs_in("all-local/runs.jsonl"):
        ends[run["method"], run["suite"]].append(run["end_point"]["cmc@1"])
        if run["method"] == "refitted_contrastive":
            corrected.append(run["gain_share"][run["metric"]])
    means = {key: sum(values) / len(values) for key, values in ends.items()}
    text = re.search(
        r"at the end -([.0-9]+) to -([.0-9]+).*it gains ([0-9]+) % on", README, re.DOTALL
    )
    assert text is not None
    lost = sorted(-mean for (method, _), mean in means.items() if method == "contrastive")
    least, most = (float(number) for number in text.groups()[:2])
    assert round(lost[-1], 2) == most and least in {round(one, 2) for one in lost}
    below = {
        key[1]: mean for key, mean in means.items() if key[0] == "forward_contrastive" and mean < 0
    }
    said = re.search(
        r"`forward_contrastive` hardly\s\(-([.0-9]+) on Fashion-MNIST's unseen", README
    )
    assert said is not None and list(below) == ["fashion-open-class"]
    assert round(-below["fashion-open-class"], 4) == float(said[1])
    assert round(100 * sum(corrected) / len(corrected)) == int(text[3])


def test_what_auto_gains_by_labels_is_that_of_the_committed_runs() -> None:
    """Of classes that were fitted on, of unseen ones, and of those without labels."""
    gained = {
        (run["suite"], run["method"]): f"{100 * run['gain_share'][run['metric']]:.0f}"
        for run in runs_in("labels/runs.jsonl")
        if run["mode"] == "one-encoder"
    }
    text = re.search(r"([0-9]+) % on classes that were fitted on, ([0-9]+) % on unseen", README)
    without = re.search(r"where it has ([0-9]+) % without them", README)
    assert text is not None and without is not None
    assert text[1] == gained["fashion-extended-class", "auto+labels"]
    assert text[2] == gained["fashion-open-class", "auto+labels"]
    assert without[1] == gained["fashion-open-class", "auto"]


def test_auto_is_the_best_on_pairs_that_are_no_suite_or_within_half_a_point() -> None:
    shares: dict[tuple[str, int], dict[str, float]] = defaultdict(dict)
    for run in runs_in("other_pairs.jsonl"):
        shares[run["pair"], run["encoders"]][run["method"]] = run["gain_share"]
    assert len({pair for pair, _ in shares}) == 6 and "On six [pairs of text models" in README
    both = [of_pair["auto"] for (_, encoders), of_pair in shares.items() if encoders == 2]
    assert f"gains {100 * min(both):.0f} to {100 * max(both):.0f} % with two encoders" in README
    for of_pair in shares.values():
        assert len(of_pair) > 5
        assert of_pair["auto"] >= max(of_pair.values()) - 0.005


def test_what_few_pairs_gain_is_that_of_the_committed_runs() -> None:
    shares: dict[tuple[str, int], dict[str, float]] = defaultdict(dict)
    below: dict[int, list[float]] = defaultdict(list)
    for run in runs_in("few_pairs.jsonl"):
        shares[run["pair"], run["encoders"]][run["method"]] = run["gain_share"]
        if run["method"] == "auto" and run["worst_point"] < 0:
            below[run["encoders"]].append(run["worst_point"])
    behind = [
        max(of_pair.values()) - of_pair["auto"]
        for of_pair in shares.values()
        if of_pair["auto"] < max(of_pair.values())
    ]
    text = re.search(r"it is the best in ([0-9]+) of ([0-9]+) cases, and ([0-9]) points", README)
    assert text is not None and len(behind) == 1
    assert [int(number) for number in text.groups()] == [
        *(len(shares) - len(behind), len(shares)),
        round(100 * behind[0]),
    ]
    assert f"begins below the old system on {len(below[1])} of 10, two encoders on one" in README
    assert len(below[2]) == 1 and f"({below[2][0]:.3f})".replace("0.", ".") in README


def test_what_many_pairs_gain_is_that_of_the_committed_runs() -> None:
    shares, starts = {}, {}
    for run in runs_in("many_pairs.jsonl"):
        key = (run["method"], run["pairs"], run["encoders"])
        shares[key] = f"{100 * run['gain_share']:.0f}"
        starts[key] = run["worst_point"]

    def both(method: str, pairs: int) -> str:
        return " and ".join(shares[method, pairs, encoders] for encoders in (1, 2))

    one, two = ([shares["auto", n, encoders] for n in (35_000, 5_000)] for encoders in (1, 2))
    said = " ".join(README.split())
    assert f"gain {one[0]} % in place of {one[1]} % with one encoder" in said
    assert f"and {two[0]} % in place of {two[1]} % with two" in said
    assert f"is asked (below), {both('auto+recorded', 35_000)} %" in said
    many = f"gain {both('auto', 66_003)} %, recorded {both('auto+recorded', 66_003)} %"
    assert f"WordNet's 66,003 {many}" in said
    assert starts["auto", 5_000, 1] < 0 < starts["auto", 35_000, 1], "which then begins above"


def runs_in(name: str) -> list[dict[str, Any]]:
    lines = (RESULTS / name).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def expected(runs: list[dict[str, Any]]) -> str:
    """A cell: the mean gain share, and the worst point of all seeds."""
    if not runs:
        return "-"
    assert len(runs) == 3, "seeds"
    worst = min(run["worst_point"][run["metric"]] for run in runs)
    return f"{round(100 * mean_share(runs))} % ({worst:+.3f})"


def mean_share(runs: list[dict[str, Any]]) -> float:
    return float(sum(run["gain_share"][run["metric"]] for run in runs) / len(runs))
