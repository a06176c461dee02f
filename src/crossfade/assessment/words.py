"""An assessment in sentences and rows, for the terminal and the report."""

from __future__ import annotations

from crossfade.assessment.gain import Gain, Verdict
from crossfade.assessment.pace import Milestone
from crossfade.assessment.prediction import Interval, Prediction, Regret
from crossfade.assessment.recommendation import Recommendation
from crossfade.assessment.result import Assessment
from crossfade.evaluation.report.summary import NAMES

__all__ = [
    "PREDICTION_HEADER",
    "pace_lines",
    "prediction_row",
    "recommendation_lines",
    "verdict_sentence",
]

PREDICTION_HEADER = [
    "method, mode",
    "evidence",
    "old",
    "new",
    "gain share",
    "worst point",
    "regret",
]
_REGRET = {
    Regret.NONE: "avoids regret",
    Regret.POSSIBLE: "may bring regret",
    Regret.LIKELY: "brings regret",
}


def verdict_sentence(result: Assessment) -> str:
    """The verdict with its numbers."""
    gain = result.gain
    if gain is None:
        return (
            "Unknown gain: nothing says what is relevant to a query, so nobody can tell whether "
            "the new model is better. Give queries with qrels, or labels. What follows is only "
            "how far the maps may be trusted."
        )
    measured = _measured(gain)
    if result.verdict is Verdict.REFUSE:
        what = (
            "the new model is worse"
            if gain.difference.high < 0
            else f"the new model is at best {_share(gain.difference.high, gain.old)} better"
        )
        return f"Refuse: {what} ({measured}). Don't make this upgrade."
    if result.verdict is Verdict.UNCERTAIN:
        return (
            f"Uncertain: the difference is within the noise ({measured}). About "
            f"{gain.more_queries:,} more queries would settle it."
        )
    return f"Worth it: the new model is better ({measured})."


def recommendation_lines(result: Assessment) -> list[str]:
    """What to do, how sure it is, and what either mode risks."""
    advice = result.recommendation
    if advice is None:
        return []
    lines = [
        f"Recommended: {advice.candidate}, order {advice.order} "
        f"({advice.certainty:.0%} of bootstrap samples agree on the method); it "
        f"{_REGRET[advice.regret]}."
    ]
    if result.logged:
        lines.append(
            f"It learned from {result.logged:,} queries of the log: give them to fit, too."
        )
    lines += _mode_lines(advice)
    if advice.order_gain is not None:
        lines.append(
            f"Order {advice.order} adds {_percent(advice.order_gain)} of the old model's quality "
            "to random order, averaged over the backfill."
        )
    lines += [
        f"Of {more.pairs:,} pairs fitted on, the second half adds {_percent(more.area)} of the old "
        f"model's quality, averaged over the backfill, and {_percent(more.start)} at its start "
        f"({more.candidate.mode.value}); twice as many add about as much again."
        for more in result.more_pairs
    ]
    return lines


def prediction_row(prediction: Prediction) -> list[str]:
    """One row under :data:`PREDICTION_HEADER`."""
    share = prediction.gain_share
    return [
        str(prediction.candidate),
        f"{prediction.held_out.value}, {prediction.asked.value}",
        f"{prediction.old:.3f}",
        f"{prediction.new:.3f}",
        "-" if share is None else _percent(share, sign=""),
        _percent(prediction.worst_point),
        f"{prediction.regret.value} ({prediction.regret_share:.0%})",
    ]


def pace_lines(result: Assessment) -> list[str]:
    """How long it takes, and when how much of the gain is there."""
    pace = result.pace
    if result.verdict is Verdict.REFUSE:
        return []
    lines = []
    if pace.seconds is None:
        lines.append(f"{pace.items:,} items; give the encoder's speed for the time it takes.")
    else:
        lines.append(f"{pace.items:,} items take {duration(pace.seconds)} of encoding.")
    known = [milestone for milestone in pace.milestones if milestone.coverage is not None]
    lines += [_milestone(milestone) for milestone in known]
    return lines


def duration(seconds: float) -> str:
    """``93784`` as ``26.1 hours``."""
    for unit, size in (("days", 172_800.0), ("hours", 7_200.0), ("minutes", 120.0)):
        if seconds >= size:
            return f"{seconds / {'days': 86_400, 'hours': 3_600, 'minutes': 60}[unit]:.1f} {unit}"
    return f"{seconds:.0f} seconds"


def _measured(gain: Gain) -> str:
    low, high = gain.difference.low, gain.difference.high
    return (
        f"{NAMES[gain.metric]} {gain.old:.3f} to {gain.new:.3f}: {gain.difference.value:+.3f}, "
        f"95 % between {low:+.3f} and {high:+.3f}, {gain.queries:,} queries, "
        f"{gain.items:,} items"
    )


def _mode_lines(advice: Recommendation) -> list[str]:
    modes = (
        ("One-encoder", advice.one_encoder_regret),
        ("Two-encoder", advice.two_encoder_regret),
    )
    return [
        f"{name} mode, at its best candidate, {_REGRET[regret]}."
        for name, regret in modes
        if regret is not None
    ]


def _milestone(milestone: Milestone) -> str:
    after = "" if milestone.seconds is None else f", after {duration(milestone.seconds)}"
    return (
        f"{milestone.share:.0%} of the gain from {milestone.coverage:.0%} coverage on{after} "
        f"(held-out {milestone.held_out})."
    )


def _percent(value: Interval, sign: str = "+") -> str:
    shown, low, high = (f"{100 * x:{sign}.1f}" for x in (value.value, value.low, value.high))
    return f"{shown} % [{low}, {high}]"


def _share(value: float, whole: float) -> str:
    return f"{100 * value / max(whole, 1e-9):.1f} %"
