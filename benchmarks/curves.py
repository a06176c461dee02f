"""The curves in the README, of committed runs: what a live index answers as its backfill goes on.

    python -m benchmarks.curves

Reads ``results/all-local/runs.jsonl``, what ``crossfade bench all-local --seeds 3`` measures,
and writes ``docs/curves.svg``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from crossfade.bench.ledger import Ledger
from crossfade.bench.report import RESULTS
from crossfade.bench.summary import Group, groups_of
from crossfade.evaluation.report.drawing import METHOD_COLORS, NEW, OLD, PALE, draw_svg
from crossfade.evaluation.report.summary import NAMES
from crossfade.upgrade import Mode

_ROOT = Path(__file__).parent.parent
_PANELS = {
    "wesnoth-rows": "images, HOG -> EfficientNet (Wesnoth)",
    "fashion-open-class": "classes never fitted on (Fashion-MNIST)",
    "wordnet-l3-l6": "text, a small gap (WordNet)",
}
_AUTO, _AUTO_BOTH, _RANK_MERGE = METHOD_COLORS[0], METHOD_COLORS[5], METHOD_COLORS[6]
_CURVES = (
    ("rank_merge", Mode.ONE_ENCODER, "rank merge, 2 encoders", _RANK_MERGE, "-", 1.6),
    ("forward_ridge", Mode.ONE_ENCODER, "forward ridge", PALE, "-", 1.6),
    ("auto", Mode.ONE_ENCODER, "Crossfade", _AUTO, "-", 2.8),
    ("auto", Mode.TWO_ENCODER, "Crossfade, 2 encoders", _AUTO_BOTH, "--", 2.4),
)


def main() -> None:
    """Draw them."""
    ledger = Ledger(Path(__file__).parent / "results" / "all-local" / RESULTS)
    groups = groups_of(ledger.present)

    def draw(axes: list[Any]) -> None:
        for axis, (suite, title) in zip(axes, _PANELS.items(), strict=True):
            _panel(axis, [group for group in groups if group.suite == suite], title)
        handles, labels = axes[0].get_legend_handles_labels()
        axes[0].figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))

    text = draw_svg(draw, panels=len(_PANELS), columns=len(_PANELS), name="curves")
    # Readable on a dark page too.
    opened = text.index(">") + 1
    white = '<rect width="100%" height="100%" fill="white"/>'
    (_ROOT / "docs" / "curves.svg").write_text(text[:opened] + white + text[opened:], "utf-8")


def _panel(axis: Any, groups: list[Group], title: str) -> None:
    found = {(group.method, group.mode): group for group in groups}
    first = groups[0]
    for name, color, label in (("old_old", OLD, "old model"), ("new_new", NEW, "new model")):
        axis.axhline(first.figure(name).mean(), color=color, lw=1.4, ls=":", label=label)
    for method, mode, label, color, style, width in _CURVES:
        group = found[method, mode.value]
        curve = group.curves.mean(axis=0)
        axis.plot(100 * group.coverage, curve, style, color=color, lw=width, label=label)
    axis.set_title(title)
    axis.set(xlabel="coverage, %", ylabel=NAMES[first.metric])
    axis.set_xlim(0, 100)


if __name__ == "__main__":
    main()
