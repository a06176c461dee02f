"""The verdict in one sentence, and how numbers are written."""

from __future__ import annotations

import math

import numpy as np
import pytest

from crossfade.embeddings import Space
from crossfade.evaluation.curve import BackfillingCurve, coverage_grid
from crossfade.evaluation.distributions import PairScores, ScoreDistributions
from crossfade.evaluation.metrics import METRICS
from crossfade.evaluation.report.summary import (
    Tone,
    headline_figures,
    percent,
    signed,
    verdict,
)
from crossfade.evaluation.result import Counts, EvaluationResult
from crossfade.upgrade import Mode


def result(old: float, values: list[float], new: float) -> EvaluationResult:
    """One query whose every metric takes the given values."""
    empty = PairScores(np.empty(0, np.float32), np.empty(0, np.float32))
    return EvaluationResult(
        method="ridge",
        source=Space("a", 2),
        target=Space("b", 2),
        order="random",
        seed=0,
        mode=Mode.ONE_ENCODER,
        counts=Counts(gallery=1, queries=1, skipped=0, own_left_out=0),
        curve=BackfillingCurve(
            coverage_grid(len(values)),
            np.array([0]),
            merged={name: np.array(values)[:, None] for name in METRICS},
            old_old={name: np.array([old]) for name in METRICS},
            new_new={name: np.array([new]) for name in METRICS},
        ),
        distributions=ScoreDistributions(empty, empty, empty, empty),
    )


@pytest.mark.parametrize(
    ("old", "values", "new", "brief", "tone", "words"),
    [
        (0.2, [0.3, 0.5, 0.6], 0.6, "No regret", Tone.GOOD, "69 % of the upgrade's gain"),
        (0.2, [0.2, 0.5, 0.7], 0.6, "No regret", Tone.GOOD, "the end is 0.100 above the new"),
        (0.2, [0.2, 0.1, 0.6], 0.6, "Regret", Tone.BAD, "at 50 % coverage mAP is 0.100 below"),
        (0.6, [0.6, 0.5, 0.4], 0.4, "A step back", Tone.BAD, "don't make this upgrade"),
        (0.5, [0.5, 0.4, 0.5], 0.5, "No gain", Tone.NEUTRAL, "no gain to share"),
    ],
)
def test_the_verdict_says_gain_and_regret(
    old: float, values: list[float], new: float, brief: str, tone: Tone, words: str
) -> None:
    found = verdict(result(old, values, new), "map")
    assert (found.brief, found.tone) == (brief, tone)
    assert words in found.sentence
    assert f"mAP {old:.3f} → {new:.3f}" in found.sentence


def test_bad_news_is_marked_as_such() -> None:
    figures = {
        figure.name: figure for figure in headline_figures(result(0.2, [0.2, 0.1, 0.6], 0.6), "mrr")
    }
    assert figures["worst point"].tone is Tone.BAD
    assert figures["worst point"].value == "−0.100"
    assert figures["drop"].tone is Tone.BAD
    assert figures["end point"].tone is Tone.NEUTRAL


def test_a_worse_model_has_no_gain_to_share_wherever_it_is_shown() -> None:
    worse, better = result(0.6, [0.6, 0.5, 0.4], 0.4), result(0.2, [0.2, 0.4, 0.6], 0.6)
    assert worse.gain_share["map"] == pytest.approx(0.5)
    assert [headline_figures(one, "map")[0].value for one in (worse, better)] == ["–", "50 %"]


def test_numbers_are_written_with_a_true_minus_and_no_minus_zero() -> None:
    assert [percent(x) for x in (0.794, -0.46, -0.001, 1.0, math.nan)] == [
        "79 %",
        "−46 %",
        "0 %",
        "100 %",
        "–",
    ]
    assert percent(0.1153, 1) == "11.5 %"
    assert [signed(x) for x in (0.0314, -0.0314, 0.0, -0.0001)] == [
        "+0.031",
        "−0.031",
        "0.000",
        "0.000",
    ]
