"""What a benchmark found, for people: Markdown tables, and a plot of each suite's curves."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from crossfade.bench.ledger import Ledger
from crossfade.bench.summary import Group, groups_of
from crossfade.durable import replace_file
from crossfade.evaluation.report.drawing import METHOD_COLORS, NEW, OLD, PALE, draw_svg
from crossfade.evaluation.report.summary import NAMES, percent, signed

__all__ = ["RESULTS", "other_data", "write_bench_report"]

RESULTS = "runs.jsonl"
_TABLES = "tables.md"
_HEAD = (
    "method",
    "seeds",
    "old → new",
    "gain share",
    "worst point",
    "drop",
    "end point",
    "rank-1 end",
    "negative flips",
)
_MOST_IN_A_COLUMN = 14
_LEGEND = """\
Gain share and its spread (standard deviation) over the seeds: 0 % is the old model until the
end, 50 % a straight line from old to new, 100 % the new model from the first moment on. Worst
point: the lowest point against the old model, of all seeds; below zero is regret. Drop: the
deepest fall on the way, of all seeds, and that of their mean curve in parentheses, which has less
of a single order's chance in it. End point and rank-1 end: the last point against the new
model, in the suite's metric and in CMC@1. Negative flips: queries right at rank 1 in the old
system and wrong now, at the worst coverage. Every run is a line in `runs.jsonl`."""


def write_bench_report(ledger: Ledger) -> Path:
    """Write ``tables.md`` and an SVG a suite beside the ledger.

    A suite's runs of other data than it has now are left out; how many is said.

    Raises:
        MissingExtra: matplotlib is not installed.
        OutputError: the folder can't be written.
    """
    folder = ledger.path.parent
    lines = ["# Backfilling benchmark", "", *_LEGEND.splitlines()]
    left_out = ledger.left_out
    for title, groups in _by_suite(groups_of(ledger.present)):
        plot = f"{title.replace(' ', '-')}.svg"
        _write(folder / plot, _plot(title, groups))
        others = left_out.pop((groups[0].suite, groups[0].quick), 0)
        lines += ["", *_section(title, groups, plot, others)]
    for (suite, quick), others in left_out.items():  # of whose data of now there is no run
        lines += ["", f"## {_title(suite, quick)}", "", _told(others)]
    _write(folder / _TABLES, "\n".join(lines) + "\n")
    return folder / _TABLES


def _by_suite(groups: Sequence[Group]) -> Iterator[tuple[str, list[Group]]]:
    for (suite, quick), own in groupby(groups, key=lambda group: (group.suite, group.quick)):
        yield _title(suite, quick), list(own)


def _title(suite: str, quick: bool) -> str:
    return f"{suite} quick" if quick else suite


def other_data(runs: int) -> str:
    """Says how many runs are in no table."""
    what = "1 run of other data" if runs == 1 else f"{runs} runs of other data"
    return f"{what} under this name left out"


def _told(others: int) -> str:
    return f"{other_data(others).capitalize()}; every run is in `{RESULTS}`."


def _section(title: str, groups: Sequence[Group], plot: str, others: int) -> Iterator[str]:
    first = groups[0]
    counts, dims = first.runs[0]["counts"], first.runs[0]["dims"]
    yield f"## {title}"
    yield ""
    yield (
        f"{first.setting}; {NAMES[first.metric]}; {dims[0]}-d -> {dims[1]}-d, "
        f"{first.runs[0]['pairs']:,} pairs to fit on, {counts['gallery']:,} items, "
        f"{counts['queries']:,} queries."
    )
    if others:
        yield ""
        yield _told(others)
    if not first.is_upgrade:
        yield ""
        yield "The new model is worse than the old one here: this is no upgrade, don't make it."
    yield ""
    yield f"| {' | '.join(_HEAD)} |"
    yield f"|{'---|' * len(_HEAD)}"
    for group in groups:
        yield f"| {' | '.join(_row(group))} |"
    yield ""
    yield f"![{title}]({plot})"


def _row(group: Group) -> tuple[str, ...]:
    share, spread = group.shown_gain_share
    return (
        group.name,
        str(len(group.runs)),
        f"{group.figure('old_old').mean():.3f} → {group.figure('new_new').mean():.3f}",
        percent(share) if math.isnan(share) else f"{percent(share)} ± {100 * spread:.1f}",
        signed(group.figure("worst_point").min()),
        f"{group.figure('drop').max():.3f} ({group.mean_curve_drop:.3f})",
        signed(group.figure("end_point").mean()),
        signed(group.rank_1_end_point.mean()),
        percent(group.worst_flips.mean(), 1),
    )


def _plot(title: str, groups: Sequence[Group]) -> str:
    def draw(axes: list[Any]) -> None:
        (axis,) = axes
        first = groups[0]
        old, new = first.figure("old_old").mean(), first.figure("new_new").mean()
        axis.axhline(old, color=OLD, lw=1.4, ls="--", label="old model")
        axis.axhline(new, color=NEW, lw=1.4, ls="--", label="new model")
        axis.plot([0, 100], [old, new], color=PALE, lw=1.2, ls=":", label="50 % of the gain")
        for number, group in enumerate(groups):
            _draw_curve(axis, group, METHOD_COLORS[number % len(METHOD_COLORS)], number)
        axis.set_title(title)
        axis.set(xlabel="coverage, %", ylabel=NAMES[first.metric])
        axis.set_xlim(-2, 102)
        axis.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), ncols=beside)

    # A legend that is higher than the figure would squeeze the curves to nothing.
    beside = 1 + len(groups) // _MOST_IN_A_COLUMN
    return draw_svg(draw, panels=1, columns=1, name=title, legend=beside)


def _draw_curve(axis: Any, group: Group, color: str, number: int) -> None:
    x, curves = 100 * group.coverage, group.curves
    mean, spread = curves.mean(axis=0), curves.std(axis=0)
    style = ("o-", "s--", "^-.")[number // len(METHOD_COLORS) % 3]
    axis.fill_between(x, mean - spread, mean + spread, color=color, alpha=0.13, lw=0)
    axis.plot(x, np.asarray(mean), style, color=color, lw=1.8, ms=3.5, label=group.name)


def _write(path: Path, text: str) -> None:
    with replace_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
