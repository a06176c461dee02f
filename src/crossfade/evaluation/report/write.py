"""Write the report folder, all of it or nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from crossfade.durable import check_folder, replace_folder
from crossfade.errors import InvalidInput, MissingExtra
from crossfade.evaluation.metrics import METRICS, check_metric
from crossfade.evaluation.report.plots import curve_plot, flips_plot, scores_plot
from crossfade.evaluation.report.summary import (
    NAMES,
    headline_figures,
    percent,
    results_to_json,
    signed,
    verdict,
)
from crossfade.evaluation.result import EvaluationResult

__all__ = ["Page", "check_report_folder", "write_report"]

_MARKER = "report.json"
# What a report folder may hold beside the marker: anything else in it is the user's.
_OTHERS = ("index.html", "report.md", "curve.svg", "flips.svg", "scores.svg", "examples.html")


@dataclass(frozen=True)
class Page:
    """One more HTML page in the folder, linked from the report.

    Attributes:
        file: its file name, e.g. ``"examples.html"``.
        title: the text of the link.
        html: the whole page.
    """

    file: str
    title: str
    html: str


def write_report(
    results: Mapping[str, EvaluationResult],
    folder: str | Path,
    *,
    primary: str = "map",
    title: str = "Backfilling report",
    pages: Sequence[Page] = (),
) -> Path:
    """Write ``report.json``, ``report.md``, three plots, and ``index.html``.

    Args:
        results: method name -> result, on one gallery. The first is the one in question, the
            others are compared with it.
        folder: is created, or replaced if it holds an earlier report.
        primary: the metric that the verdict goes by.
        title: of the page.
        pages: further pages to put beside the report.

    Returns:
        The path of ``index.html``.

    Raises:
        InvalidInput: no results, or an unknown metric.
        MissingExtra: matplotlib or Jinja2 is not installed.
        OutputError: the folder is somebody else's or can't be written.
    """
    check_metric(primary)
    if not results:
        raise InvalidInput("a report needs at least one result, got none")
    plots = {
        "curve": curve_plot(results, (primary, "map" if primary == "cmc@1" else "cmc@1")),
        "flips": flips_plot(results),
        "scores": scores_plot(results),
    }
    context = _context(results, primary, title, pages)
    texts = {
        _MARKER: json.dumps(results_to_json(results), indent=2, allow_nan=False) + "\n",
        "report.md": _render("report.md.j2", context),
        "index.html": _render("index.html.j2", {**context, "plots": plots}),
        **{f"{name}.svg": svg for name, svg in plots.items()},
        **{page.file: page.html for page in pages},
    }
    target = Path(folder)
    with replace_folder(target, marker=_MARKER, others={*_OTHERS, *texts}) as temporary:
        for name, text in texts.items():
            (temporary / name).write_text(text, encoding="utf-8")
    return target / "index.html"


def check_report_folder(folder: str | Path) -> None:
    """Find out beforehand whether :func:`write_report` could write the folder.

    Raises:
        OutputError: it is somebody else's or can't be written.
    """
    check_folder(Path(folder), marker=_MARKER, others=_OTHERS)


def _context(
    results: Mapping[str, EvaluationResult], primary: str, title: str, pages: Sequence[Page]
) -> dict[str, Any]:
    first = next(iter(results.values()))
    return {
        "title": title,
        "pages": pages,
        "first": first,
        "results": results,
        "primary": primary,
        "metrics": list(METRICS),
        "names": NAMES,
        "verdict": verdict(first, primary),
        "verdicts": {name: verdict(result, primary) for name, result in results.items()},
        "headline": headline_figures(first, primary),
        "counts": asdict(first.counts),
    }


def _render(template: str, context: Mapping[str, Any]) -> str:
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
    except ImportError as error:
        raise MissingExtra("the report", "report") from error
    environment = Environment(
        loader=PackageLoader("crossfade.evaluation.report", "templates"),
        autoescape=select_autoescape(["html", "html.j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=percent, signed=signed)
    return environment.get_template(template).render(context)
