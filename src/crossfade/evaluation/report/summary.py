"""What a report says in words and single numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from crossfade.evaluation.result import EvaluationResult

__all__ = ["Figure", "Tone", "Verdict", "headline_figures", "results_to_json", "verdict"]

_NOISE = 1e-9
NAMES = {
    "map": "mAP",
    "cmc@1": "CMC@1",
    "cmc@5": "CMC@5",
    "recall@10": "recall@10",
    "ndcg@10": "nDCG@10",
    "mrr": "MRR",
}
"""How metrics are written in prose."""


class Tone(StrEnum):
    """How good a piece of news is."""

    GOOD = "good"
    BAD = "bad"
    NEUTRAL = "neutral"


@dataclass(frozen=True)
class Verdict:
    """One sentence on an upgrade. ``brief`` is its two-word form."""

    brief: str
    sentence: str
    tone: Tone


@dataclass(frozen=True)
class Figure:
    """A number with its name and what it means."""

    name: str
    value: str
    meaning: str
    tone: Tone = Tone.NEUTRAL


def verdict(result: EvaluationResult, metric: str) -> Verdict:
    """Judge an upgrade by one metric: the gain share, the worst point, regret or none."""
    name = NAMES[metric]
    old, new = result.old_old[metric], result.new_new[metric]
    models = f"{name} {old:.3f} → {new:.3f}"
    if new - old < -_NOISE:
        return Verdict(
            "A step back",
            f"The new model is worse than the old one ({models}): don't make this upgrade.",
            Tone.BAD,
        )
    if new - old <= _NOISE:
        return Verdict(
            "No gain", f"Both models score the same ({models}): no gain to share.", Tone.NEUTRAL
        )
    share = percent(result.gain_share[metric])
    gain = f"On average over the backfill the answers have {share} of the upgrade's gain ({models})"
    worst = result.worst_point[metric]
    if worst < -_NOISE:
        at = result.coverage[int(np.argmin(result.metrics[metric]))]
        return Verdict(
            "Regret",
            f"{gain}, but with regret: "
            f"at {percent(at)} coverage {name} is {-worst:.3f} below the old system.",
            Tone.BAD,
        )
    return Verdict(
        "No regret",
        f"{gain}, with no regret: {name} is never below the old system{_ending(result, metric)}.",
        Tone.GOOD,
    )


def headline_figures(result: EvaluationResult, metric: str) -> Sequence[Figure]:
    """The figures of merit of one metric, worded for people who have not read the paper."""
    flips = max(result.negative_flips)
    worst, drop = result.worst_point[metric], result.drop[metric]
    end = result.end_point[metric]
    return [
        Figure("gain share", percent(result.shown_gain_share[metric]), "a straight line has 50 %"),
        Figure("worst point", signed(worst), "lowest point against the old system", _tone(worst)),
        Figure("drop", f"{drop:.3f}", "deepest fall on the way", _tone(-drop)),
        Figure("end point", signed(end), "against the new model", _tone(end)),
        Figure(
            "negative flips", percent(flips, 1), "of queries, at the worst coverage", Tone.NEUTRAL
        ),
    ]


def results_to_json(
    results: Mapping[str, EvaluationResult], *, compared: bool = False
) -> dict[str, Any]:
    """One object: the first result's own; with several, or ``compared``, all under ``methods``."""
    first = next(iter(results.values())).to_json()
    if len(results) == 1 and not compared:
        return first
    return {**first, "methods": {name: result.to_json() for name, result in results.items()}}


def percent(value: float, digits: int = 0) -> str:
    """``0.794`` as ``79 %``; an n-dash where there is no number."""
    return "–" if math.isnan(value) else f"{_minus(100 * value, digits)} %"


def signed(value: float) -> str:
    """With its sign and a true minus; exactly zero without one."""
    text = _minus(value, 3)
    return f"+{text}" if float(f"{value:.3f}") > 0 else text


def _minus(value: float, digits: int) -> str:
    text = f"{abs(value):.{digits}f}"
    return f"−{text}" if value < 0 and float(text) != 0.0 else text


def _ending(result: EvaluationResult, metric: str) -> str:
    end = result.end_point[metric]
    if abs(end) < 0.0005:
        return ""
    return f", and the end is {abs(end):.3f} {'above' if end > 0 else 'below'} the new model"


def _tone(value: float) -> Tone:
    if abs(value) < 0.0005:
        return Tone.NEUTRAL
    return Tone.GOOD if value > 0 else Tone.BAD
