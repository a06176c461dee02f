"""Fitting the forward map again in between: what a run does when coverage passes a milestone.

There, and when a run begins, it also looks whether the service has recorded queries that tell more
than those by which the gallery was taught before.

The worker that sees it first does it, the others go on moving items. The order of effects is
that of :mod:`crossfade.gallery.refit`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from crossfade.backfill.recorded import RecordedQueries
from crossfade.backfill.throttle import Brake
from crossfade.embeddings import QueryLog
from crossfade.gallery import Gallery
from crossfade.gallery.coverage import CoverageGauge
from crossfade.gallery.refit import fit_again, is_due, rewrite_mapped, teaches_gallery
from crossfade.upgrade import MOST_QUERIES

__all__ = ["Refitting"]


class Refitting:
    """Of one run, for all its workers.

    Args:
        stopped: whether to let go; what was begun is gone on with by the next run.
        brake: holds it back when the job rests.
        observe: called with the name of each step (``crossfade.gallery.refit.STEPS``).
        recorded: queries that the service has answered; None for none.
    """

    def __init__(
        self,
        gallery: Gallery,
        stopped: Callable[[], bool],
        brake: Brake,
        observe: Callable[[str], None],
        recorded: RecordedQueries | None = None,
    ) -> None:
        self._gallery = gallery
        self._recorded = recorded
        self._has_begun = False
        self._is_stopped = stopped
        self._brake = brake
        self._rested = 0.0
        self._observe = observe
        self._coverage = CoverageGauge(gallery.store, gallery.upgrade.stored.name)
        self._lock = threading.Lock()

    def after_chunk(self) -> None:
        """Fit again and rewrite, if it is due and no other worker is at it."""
        if self._gallery.upgrade.refit is None or not self._lock.acquire(blocking=False):
            return
        try:
            coverage = self._coverage.read()
            store, upgrade = self._gallery.store, self._gallery.upgrade
            due = is_due(store, upgrade, coverage)
            queries = self._queries() if due or not self._has_begun else None
            self._has_begun = True
            if due or (queries is not None and coverage < 1.0):
                fit_again(
                    store, upgrade, coverage, self._stopped, self._observe, self._worked, queries
                )
                self._rewrite()
        finally:
            self._lock.release()

    def go_on(self) -> None:
        """Rewrite what a run that was stopped or killed has left; for the first of a job's runs."""
        with self._lock:
            self._rewrite()

    def _queries(self) -> QueryLog | None:
        """What has been recorded, if it tells enough that is new."""
        state, upgrade = self._gallery.state, self._gallery.upgrade
        if self._recorded is None or not teaches_gallery(state, upgrade, MOST_QUERIES):
            return None  # however many there are
        queries = self._recorded.read()
        if queries is None or not teaches_gallery(state, upgrade, len(queries)):
            return None
        return queries

    def _rewrite(self) -> None:
        fitted = self._gallery.state.fitted
        if fitted is not None and not fitted.rewritten:
            upgrade = self._gallery.applied()
            rewrite_mapped(
                self._gallery.store, upgrade, fitted, self._stopped, self._observe, self._worked
            )

    def _stopped(self) -> bool:
        """Whether to let go; rests as long as the job does."""
        if self._is_stopped():
            return True
        began = time.monotonic()
        over = self._brake.hold()
        self._rested += time.monotonic() - began
        return over

    def _worked(self) -> float:
        """Seconds, without the rests."""
        return time.monotonic() - self._rested
