"""Plots as SVG text: the curve, negative flips, and score distributions of both sides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.evaluation.distributions import PairScores
from crossfade.evaluation.report.drawing import (
    METHOD_COLORS,
    NEW,
    OLD,
    PALE,
    REGRET,
    draw_svg,
)
from crossfade.evaluation.report.summary import NAMES
from crossfade.evaluation.result import EvaluationResult

__all__ = ["curve_plot", "flips_plot", "scores_plot"]

Results = Mapping[str, EvaluationResult]


def curve_plot(results: Results, metrics: tuple[str, ...]) -> str:
    """The backfilling curve: one panel for each metric, with old, new and chord lines."""

    def draw(axes: list[Any]) -> None:
        for axis, metric in zip(axes, metrics, strict=True):
            _curve_panel(axis, results, metric)
        handles, labels = axes[0].get_legend_handles_labels()
        axes[0].figure.legend(handles, labels, loc="outside lower center", ncols=5)

    return draw_svg(draw, panels=len(metrics), columns=2, name="curve")


def flips_plot(results: Results) -> str:
    """Negative flips against the old system, and between one coverage and the next."""

    def draw(axes: list[Any]) -> None:
        for color, (name, result) in zip(_colors(results), results.items(), strict=True):
            x = _percent(result.curve.coverage)
            axes[0].plot(x, _percent(result.negative_flips), "o-", color=color, label=name, ms=4)
            axes[1].plot(
                x, _percent(result.negative_flips_consecutive), "o-", color=color, label=name, ms=4
            )
        axes[0].set_title("right in the old system, wrong now")
        axes[1].set_title("right one step before, wrong now")
        for axis in axes:
            axis.set(xlabel="coverage, %", ylabel="queries, %")
            axis.set_ylim(bottom=0)
            _start_at_zero(axis)
        if len(results) > 1:
            axes[0].figure.legend(
                *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5
            )

    return draw_svg(draw, panels=2, columns=2, name="flips")


def scores_plot(results: Results) -> str:
    """Scores of relevant and irrelevant pairs on both sides, before and after the maps."""

    def draw(axes: list[Any]) -> None:
        first = next(iter(results.values())).distributions
        _score_panel(axes[0], "before: the two models", first.old_old, first.new_new)
        for axis, (name, result) in zip(axes[1:], results.items(), strict=True):
            sample = result.distributions
            _score_panel(axis, f"after: {name}", sample.old_side, sample.new_side)
        handles, labels = axes[0].get_legend_handles_labels()
        axes[0].figure.legend(handles, labels, loc="outside lower center", ncols=5)

    return draw_svg(draw, panels=1 + len(results), columns=2, name="scores")


def _curve_panel(axis: Any, results: Results, metric: str) -> None:
    first = next(iter(results.values()))
    old, new = first.old_old[metric], first.new_new[metric]
    axis.axhline(old, color=OLD, lw=1.4, ls="--", label="old model")
    axis.axhline(new, color=NEW, lw=1.4, ls="--", label="new model")
    axis.plot([0, 100], [old, new], color=PALE, lw=1.2, ls=":", label="chord (50 % of the gain)")
    for color, (name, result) in zip(_colors(results), results.items(), strict=True):
        x, y = _percent(result.curve.coverage), np.asarray(result.metrics[metric])
        error = 1.96 * result.curve.standard_error(metric)
        axis.fill_between(x, y - error, y + error, color=color, alpha=0.13, lw=0)
        axis.plot(x, y, "o-", color=color, lw=2, ms=4, label=name)
    _shade_regret(axis, first, metric)
    axis.set_title(NAMES[metric])
    axis.set(xlabel="coverage, %", ylabel=NAMES[metric])
    axis.margins(y=0.12)
    _start_at_zero(axis)


def _shade_regret(axis: Any, result: EvaluationResult, metric: str) -> None:
    x, y = _percent(result.curve.coverage), np.asarray(result.metrics[metric])
    old = result.old_old[metric]
    if (y < old).any():
        axis.fill_between(x, y, old, where=y < old, interpolate=True, color=REGRET, alpha=0.13)


def _score_panel(axis: Any, title: str, old: PairScores, new: PairScores) -> None:
    every = np.concatenate([old.relevant, old.irrelevant, new.relevant, new.irrelevant])
    low, high = (float(edge) for edge in np.quantile(every, [0.001, 0.999]))
    margin = 0.05 * (high - low) or 0.5
    low, high = low - margin, high + margin
    bins = np.linspace(low, high, 61)
    for side, color, sample in (("old", OLD, old), ("new", NEW, new)):
        for kind, values, filled in (
            ("relevant", sample.relevant, True),
            ("irrelevant", sample.irrelevant, False),
        ):
            if not len(values):
                continue
            heights = np.histogram(values, bins, density=True)[0]
            line = "-" if filled else ":"
            axis.stairs(heights, bins, color=color, ls=line, lw=1.5, label=f"{side}, {kind}")
            if filled:
                axis.stairs(heights, bins, color=color, fill=True, alpha=0.18, lw=0)
    axis.set_title(title)
    axis.set(xlabel="score", ylabel="density")
    axis.set_xlim(low, high)


def _start_at_zero(axis: Any) -> None:
    axis.set_xlim(-2, 102)
    axis.set_xticks(range(0, 101, 20))


def _colors(results: Results) -> list[str]:
    return [METHOD_COLORS[at % len(METHOD_COLORS)] for at in range(len(results))]


def _percent(shares: Any) -> NDArray[np.float64]:
    return 100.0 * np.asarray(shares, dtype=np.float64)
