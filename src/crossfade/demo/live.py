"""Queries that never stop: a thread asks the gallery while the backfill moves its items."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from crossfade.demo.cnn import CnnEncoder
from crossfade.demo.images import ImageSet
from crossfade.demo.result import LivePoint
from crossfade.evaluation.metrics import RankedRelevance, average_precision
from crossfade.gallery import Gallery

__all__ = ["LiveFigures", "LiveQueries"]

_QUERIES_AT_ONCE = 10


@dataclass(frozen=True)
class LiveFigures:
    """What the terminal shows.

    Attributes:
        point: coverage and mAP now.
        old, new: mAP of either model alone, on the same queries.
        answered: queries answered so far.
    """

    point: LivePoint
    old: float
    new: float
    answered: int

    @property
    def gain(self) -> float:
        """Share of the way from the old model's mAP to the new one's; 1 is all of it.

        NaN where both models score the same.
        """
        gap = self.new - self.old
        return (self.point.mean_average_precision - self.old) / gap if gap else math.nan


class LiveQueries:
    """Asks the same queries round and round; use it as a context.

    Each query is embedded by the new model alone and ranks the whole gallery. The figures are
    those of the latest answer to each query, so every one counts once.

    Args:
        gallery: is searched from a thread of its own.
        model: the new model.
        queries: what is asked.
        items: the gallery's items, for their labels: relevant is what has the query's.
        on_point: told from that thread after every few queries, once each has an answer.
    """

    def __init__(
        self,
        gallery: Gallery,
        model: CnnEncoder,
        queries: ImageSet,
        items: ImageSet,
        on_point: Callable[[LivePoint, int], None],
    ) -> None:
        self._gallery = gallery
        self._model = model
        self._queries = queries
        self._label_of = dict(zip(items.ids.tolist(), items.labels.tolist(), strict=True))
        self._on_point = on_point
        self._precision = np.full(len(queries), np.nan)
        self._coverage = np.full(len(queries), np.nan)
        self._stop = threading.Event()
        self._round = threading.Condition()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="live queries", daemon=True)
        self.points: list[LivePoint] = []
        self.answered = 0

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self.wait_for_a_round()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()
        if self._error is not None and error is None:
            raise self._error

    def wait_for_a_round(self) -> None:
        """Return when every query has been answered once more.

        Raises:
            CrossfadeError: a query has failed.
        """
        with self._round:
            goal = self.answered + len(self._queries) + _QUERIES_AT_ONCE
            self._round.wait_for(lambda: self.answered >= goal or self._error is not None)
        if self._error is not None:
            raise self._error

    def _end(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            todo: deque[int] = deque()
            while not self._stop.is_set():
                if not todo:
                    todo.extend(range(len(self._queries)))
                self._ask([todo.popleft() for _ in range(min(_QUERIES_AT_ONCE, len(todo)))])
        except BaseException as error:
            with self._round:
                self._error = error
                self._round.notify_all()

    def _ask(self, rows: list[int]) -> None:
        before = self._gallery.coverage
        hits = self._gallery.search(self._model(self._queries.images[rows]), k=self._gallery.count)
        ranked = [[self._label_of[int(hit.id)] for hit in listed] for listed in hits]
        self._precision[rows] = _precision(np.array(ranked), self._queries.labels[rows])
        self._coverage[rows] = (before + self._gallery.coverage) / 2
        with self._round:
            self.answered += len(rows)
            self._round.notify_all()
        if not np.isnan(self._precision).any():
            point = LivePoint(float(self._coverage.mean()), float(self._precision.mean()))
            self.points.append(point)
            self._on_point(point, self.answered)


def _precision(ranked: NDArray[np.int64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    return average_precision(RankedRelevance.of(ranked == labels[:, None]))
