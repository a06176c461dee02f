"""The assessment as a folder: JSON, Markdown, the curve plot, and a page without network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from crossfade.assessment.evidence import COVERAGE
from crossfade.assessment.prediction import Prediction
from crossfade.assessment.result import Assessment
from crossfade.assessment.words import (
    PREDICTION_HEADER,
    pace_lines,
    prediction_row,
    recommendation_lines,
    verdict_sentence,
)
from crossfade.durable import check_folder, replace_folder
from crossfade.errors import MissingExtra
from crossfade.evaluation.report.drawing import METHOD_COLORS, NEW, OLD, draw_svg
from crossfade.evaluation.report.summary import NAMES

__all__ = ["check_assessment_folder", "write_assessment"]

_MARKER = "assessment.json"
_OTHERS = ("index.html", "assessment.md", "curve.svg")


def write_assessment(result: Assessment, folder: str | Path) -> Path:
    """Write ``assessment.json``, ``assessment.md``, ``curve.svg`` and ``index.html``.

    Returns:
        The path of ``index.html``.

    Raises:
        MissingExtra: matplotlib or Jinja2 is not installed.
        OutputError: the folder is somebody else's or can't be written.
    """
    plot = _curve_plot(result.predictions, NAMES[result.metric]) if result.predictions else None
    context = {
        "result": result,
        "plot": plot,
        "verdict": verdict_sentence(result),
        "advice": [*recommendation_lines(result), *pace_lines(result)],
        "header": PREDICTION_HEADER,
        "rows": [prediction_row(one) for one in result.predictions],
    }
    texts = {
        _MARKER: json.dumps(result.to_json(), indent=2, allow_nan=False) + "\n",
        "assessment.md": _render("assessment.md.j2", context),
        "index.html": _render("assessment.html.j2", context),
    }
    if plot is not None:
        texts["curve.svg"] = plot
    target = Path(folder)
    with replace_folder(target, marker=_MARKER, others={*_OTHERS}) as temporary:
        for name, text in texts.items():
            (temporary / name).write_text(text, encoding="utf-8")
    return target / "index.html"


def check_assessment_folder(folder: str | Path) -> None:
    """Find out beforehand whether :func:`write_assessment` could write the folder.

    Raises:
        OutputError: it is somebody else's or can't be written.
    """
    check_folder(Path(folder), marker=_MARKER, others=_OTHERS)


def _curve_plot(predictions: Sequence[Prediction], metric: str) -> str:
    """A panel for each kind of evidence, every candidate with its band."""
    kinds = list(dict.fromkeys((one.held_out, one.asked) for one in predictions))

    def draw(axes: list[Any]) -> None:
        for axis, (held_out, asked) in zip(axes, kinds, strict=True):
            shown = [one for one in predictions if (one.held_out, one.asked) == (held_out, asked)]
            axis.axhline(shown[0].old, color=OLD, lw=1.4, ls="--", label="old model")
            axis.axhline(shown[0].new, color=NEW, lw=1.4, ls="--", label="new model")
            for number, one in enumerate(shown):
                _draw_curve(axis, one, METHOD_COLORS[number % len(METHOD_COLORS)])
            axis.set_title(f"held-out {held_out.value}, {asked.value}")
            axis.set(xlabel="coverage, %", ylabel=metric)
        handles, labels = axes[0].get_legend_handles_labels()
        axes[0].figure.legend(handles, labels, loc="outside lower center", ncols=3)

    return draw_svg(draw, panels=len(kinds), columns=2, name="assessment")


def _draw_curve(axis: Any, one: Prediction, color: str) -> None:
    x = 100.0 * COVERAGE
    low, high = (np.array([getattr(point, end) for point in one.curve]) for end in ("low", "high"))
    axis.fill_between(x, low, high, color=color, alpha=0.12, lw=0)
    axis.plot(x, one.values, "o-", color=color, lw=2, ms=3, label=str(one.candidate))


def _render(template: str, context: dict[str, Any]) -> str:
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
    except ImportError as error:
        raise MissingExtra("the report", "report") from error
    loader = PackageLoader("crossfade.evaluation.report", "templates")
    environment = Environment(
        loader=loader,
        autoescape=select_autoescape(["html", "html.j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(context)
