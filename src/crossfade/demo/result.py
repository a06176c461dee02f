"""What the demo hands back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crossfade.evaluation import EvaluationResult

__all__ = ["DemoResult", "LivePoint"]


@dataclass(frozen=True)
class LivePoint:
    """Quality of the running service at one moment of the backfill.

    Attributes:
        coverage: mean over the moments at which the queries were answered, 0 to 1.
        mean_average_precision: of the latest answer to each live query.
    """

    coverage: float
    mean_average_precision: float


@dataclass(frozen=True)
class DemoResult:
    """What the demo found, and where.

    Attributes:
        page: the report's first page. gallery, upgrade: the folders left behind.
        evaluation: the backfilling curve over all queries.
        live: what the running gallery answered, in the order of time.
        live_old, live_new: mAP of the old and the new model alone, on the live queries.
        answered: queries answered while the backfill ran.
        seconds: of the whole demo.
    """

    page: Path
    gallery: Path
    upgrade: Path
    evaluation: EvaluationResult
    live: tuple[LivePoint, ...]
    live_old: float
    live_new: float
    answered: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """As one JSON object."""
        return {
            **self.evaluation.to_json(),
            "page": str(self.page),
            "gallery": str(self.gallery),
            "upgrade": str(self.upgrade),
            "live": {
                "coverage": [point.coverage for point in self.live],
                "map": [point.mean_average_precision for point in self.live],
                "old_old": self.live_old,
                "new_new": self.live_new,
                "answered": self.answered,
            },
            "seconds": self.seconds,
        }
