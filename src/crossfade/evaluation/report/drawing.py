"""How plots look, and drawing as SVG text."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from crossfade.errors import MissingExtra

__all__ = ["METHOD_COLORS", "NEW", "OLD", "PALE", "REGRET", "draw_svg", "require_plots"]

OLD, NEW, PALE, REGRET = "#b45309", "#0f766e", "#94a3b8", "#dc2626"
METHOD_COLORS = (
    "#2563eb",
    "#c026d3",
    "#65a30d",
    "#ea580c",
    "#0891b2",
    "#7c3aed",
    "#be123c",
    "#475569",
)
_INK = "#334155"
_NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))
_STYLE = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # a method's name may hold dollar signs
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "axes.edgecolor": PALE,
    "axes.labelcolor": _INK,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlecolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#e2e8f0",
    "xtick.color": _INK,
    "ytick.color": _INK,
    "legend.frameon": False,
    "legend.fontsize": 9,
}


def require_plots() -> None:
    """Find out beforehand whether :func:`draw_svg` can draw.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise MissingExtra("the report", "report") from error


def draw_svg(
    draw: Callable[[list[Any]], None], *, panels: int, columns: int, name: str, legend: int = 0
) -> str:
    """Draw panels side by side; the same input gives the same text.

    Args:
        draw: gets the panels' axes. name: keeps the drawing apart from others on a page.
        legend: so many panels' room for one beside them.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    require_plots()
    import matplotlib
    from matplotlib.figure import Figure

    rows = -(-panels // columns)
    # The salt keeps names inside of one drawing apart from those of its neighbours on a page.
    style: Any = {**_STYLE, "svg.hashsalt": name}
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(4.8 * (columns + legend), 3.4 * rows + 0.4), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for spare in grid[panels:]:
            spare.remove()
        draw(list(grid[:panels]))
        out = io.StringIO()
        figure.savefig(out, format="svg", transparent=True, metadata=_NO_METADATA)
    text = out.getvalue()
    return text[text.index("<svg") :]
