"""The page of example queries: results as pictures, one HTML file without outside links."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, select_autoescape
from numpy.typing import NDArray
from PIL import Image

from crossfade.demo.answers import Selection, Stage
from crossfade.demo.images import CLASS_NAMES, ImageSet
from crossfade.demo.live import LiveFigures
from crossfade.demo.result import LivePoint

__all__ = ["ExamplesPage"]

_PLOT_WIDTH = 640
_PLOT_HEIGHT = 200


@dataclass(frozen=True, eq=False)
class ExamplesPage:
    """Everything the page shows.

    Attributes:
        gallery, queries: the images.
        stages: the answers of all queries, in the order of time.
        selections: the example queries.
        points: what the live queries measured. last: their last figures.
    """

    gallery: ImageSet
    queries: ImageSet
    stages: Sequence[Stage]
    selections: Sequence[Selection]
    points: Sequence[LivePoint]
    last: LiveFigures

    def render(self) -> str:
        """The page as HTML text."""
        environment = Environment(
            loader=ChoiceLoader(
                [
                    PackageLoader("crossfade.demo", "templates"),
                    PackageLoader("crossfade.evaluation.report", "templates"),
                ]
            ),
            autoescape=select_autoescape(["html", "html.j2"]),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        template = environment.get_template("examples.html.j2")
        return template.render(
            page=self, plot=_Plot.of(self.points, self.last), examples=_Pictures(self)
        )


class _Pictures:
    """Pictures and names by query row and by item id, for the template."""

    def __init__(self, page: ExamplesPage) -> None:
        self._queries = page.queries
        self._gallery = page.gallery
        self._row_of = {id: row for row, id in enumerate(page.gallery.ids.tolist())}

    def query(self, row: int) -> str:
        return _data_uri(self._queries.images[row])

    def query_class(self, row: int) -> str:
        return CLASS_NAMES[self._queries.labels[row]]

    def item(self, id: int) -> str:
        return _data_uri(self._gallery.images[self._row_of[id]])

    def item_class(self, id: int) -> str:
        return CLASS_NAMES[self._gallery.labels[self._row_of[id]]]


@dataclass(frozen=True)
class _Plot:
    """The live curve in the coordinates of the drawing, y downwards."""

    line: str
    old_y: float
    new_y: float
    width: int = _PLOT_WIDTH
    height: int = _PLOT_HEIGHT

    @classmethod
    def of(cls, points: Sequence[LivePoint], last: LiveFigures) -> _Plot:
        values = [point.mean_average_precision for point in points]
        low, high = min(last.old, *values), max(last.new, *values)
        margin = 0.08 * (high - low) or 0.01

        def y(value: float) -> float:
            return round(_PLOT_HEIGHT * (high + margin - value) / (high - low + 2 * margin), 1)

        line = " ".join(
            f"{_PLOT_WIDTH * point.coverage:.1f},{y(point.mean_average_precision)}"
            for point in points
        )
        return cls(line, y(last.old), y(last.new))


def _data_uri(image: NDArray[np.uint8]) -> str:
    out = io.BytesIO()
    Image.fromarray(255 - image).save(out, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()
