"""What a search asks for beside its answer: items to be re-extracted now, or soon."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from crossfade.errors import InvalidInput, SpaceMismatch, StoreError
from crossfade.gallery.background import Background
from crossfade.gallery.encoding import Encoder, require_callable
from crossfade.gallery.fairness import FairLock
from crossfade.gallery.generations import Generations
from crossfade.gallery.record import read_record_of
from crossfade.gallery.reextraction import Reextraction
from crossfade.gallery.request import Queries, Request
from crossfade.gallery.sides import TwoSides
from crossfade.gallery.state import Phase
from crossfade.gallery.two_views import over_fetch
from crossfade.gallery.wanted import Finder, Wanted, in_turn
from crossfade.stores import Id, Store
from crossfade.upgrade import Mode, Upgrade

__all__ = ["Demand", "OnDemand", "check_demand"]

_log = logging.getLogger(__name__)

_CLOSING_SECONDS = 5.0
_MOST_QUERIES_WAITING = 1024
"""Queries whose candidates are still to be found; more are answered and not looked at again."""


@dataclass(frozen=True)
class Demand:
    """How many candidates of each query are re-extracted, and when.

    Attributes:
        now: before the answer. later: by the job, after it.
        deadline: in :func:`time.monotonic` seconds, until which the answer waits; None for ever.
        within: the last place in the answer at which an item is wanted; None for any.
    """

    now: int
    later: int
    deadline: float | None
    within: int | None

    def wanted_now(self, find: Finder, request: Request) -> list[Id]:
        """The candidates of all queries that are moved before the answer, best first."""
        best = replace(request, k=self.now)
        return in_turn(find.best(best) if self.within is None else self._limited(find, best))

    def wanted_later(self, find: Finder, request: Request) -> Sequence[Wanted]:
        """The candidates of each query that are left to the job, with their places."""
        return self._limited(find, replace(request, k=self.later))

    def _limited(self, find: Finder, request: Request) -> Sequence[Wanted]:
        wanted = find.places(request)
        if self.within is None:
            return wanted
        # Places are known as far as candidates are over-fetched, and no further.
        last = min(self.within, over_fetch(request.k))
        return [{id: place for id, place in places.items() if place <= last} for places in wanted]

    def seconds_left(self) -> float | None:
        """How long the answer may still wait."""
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())


def check_demand(
    reextract: int, reextract_later: int, budget_ms: float | None, within: int | None
) -> Demand:
    """A demand, its time running from now.

    Raises:
        InvalidInput: negative numbers, or a limit for nothing.
    """
    for name, number in (("reextract", reextract), ("reextract_later", reextract_later)):
        if isinstance(number, bool) or not isinstance(number, int) or number < 0:
            raise InvalidInput(f"{name} is {number!r}, wanted a whole number from 0")
    if within is not None:
        if isinstance(within, bool) or not isinstance(within, int) or within < 1:
            raise InvalidInput(f"within is {within!r}, wanted a whole number from 1")
        if not reextract and not reextract_later:
            raise InvalidInput(
                "within limits re-extraction: give reextract or reextract_later, too"
            )
    if budget_ms is None:
        return Demand(reextract, reextract_later, None, within)
    if not reextract:
        raise InvalidInput("budget_ms limits the time of re-extraction: give reextract, too")
    if math.isnan(budget_ms) or budget_ms < 0:
        raise InvalidInput(f"budget_ms is {budget_ms}, wanted milliseconds from 0")
    return Demand(reextract, reextract_later, time.monotonic() + budget_ms / 1000, within)


class OnDemand:
    """A gallery's re-extraction, as far as it was given the means.

    Attributes:
        on_wanted: told which items searches want soon: each query's, best first, with their
            places in its answer.
    """

    def __init__(
        self,
        store: Store,
        upgrade: Upgrade,
        generations: Generations,
        write_lock: FairLock,
        sides: TwoSides,
    ) -> None:
        self.on_wanted: Callable[[Sequence[Wanted]], object] | None = None
        self._store = store
        self._upgrade = upgrade
        self._generations = generations
        self._write_lock = write_lock
        self._reextraction: Reextraction | None = None
        self._finding = Background("wanted items")
        self._sides = sides

    def use_encoder(self, encoder: Encoder) -> None:
        """Re-extract with this model from now on.

        Raises:
            SpaceMismatch: it is of another width than the new space. InvalidInput: it is none.
        """
        require_callable(encoder)
        before = self._reextraction
        self._reextraction = Reextraction(self._store, self._upgrade, encoder, self._write_lock)
        if before is not None:
            before.close()

    def finder(self, queries: Queries, demand: Demand) -> Finder | None:
        """What finds candidates to move; None where nothing is wanted, or left to move.

        Raises:
            InvalidInput: there is no encoder or no job to meet the demand, or the mode moves
                nothing; and for queries, as :meth:`Upgrade.old_side`. SpaceMismatch: likewise.
        """
        if not demand.now and not demand.later:
            return None
        if queries.mode is Mode.OLD:
            raise InvalidInput(
                "mode 'old' answers as the old system did and moves nothing: leave reextract and "
                "reextract_later out"
            )
        self._require_means(demand)
        state = read_record_of(self._store, self._upgrade)[1]
        if queries.new is None or state.phase is not Phase.SERVING:
            return None
        try:
            upgrade = self._generations.at(state)
        except StoreError:
            # Another map has taken its place since: this once, nothing is moved. Of a store that is
            # away, or a map that is damaged, the search itself will tell.
            return None
        return Finder.of(self._sides, upgrade, queries)

    def move_now(self, find: Finder | None, request: Request, demand: Demand) -> None:
        """Move each query's best candidates, as far as the time allows."""
        if find is None or not demand.now:
            return
        assert self._reextraction is not None
        try:
            self._reextraction.move(demand.wanted_now(find, request), demand.seconds_left())
        except (StoreError, SpaceMismatch):
            if self._is_serving():
                raise
            # A side was dropped under the search for candidates: there is nothing to move.

    def move_later(self, find: Finder | None, request: Request, demand: Demand) -> None:
        """Tell the job of each query's best candidates; returns at once."""
        if find is None or not demand.later:
            return
        if self._finding.waiting >= _MOST_QUERIES_WAITING:
            _log.warning("more searches than wanted items can be found for; this one is left out")
            return
        self._finding.submit(lambda: self._tell(find, request, demand))

    def drain(self, timeout_seconds: float | None = None) -> bool:
        """Wait until all that searches asked for is moved or handed on; returns whether it is."""
        until = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        told = self._finding.drain(timeout_seconds)
        if self._reextraction is None:
            return told
        left = None if until is None else max(0.0, until - time.monotonic())
        return self._reextraction.drain(left) and told

    def close(self) -> None:
        """Give up what waits. Nothing is written after it."""
        self._finding.close(_CLOSING_SECONDS)
        if self._reextraction is not None:
            self._reextraction.close()

    def _require_means(self, demand: Demand) -> None:
        if demand.now and self._reextraction is None:
            raise InvalidInput(
                "reextract needs the new model: open_gallery(uri, upgrade, encoder=...), or "
                "gallery.use_encoder(...)"
            )
        if demand.later and self.on_wanted is None:
            raise InvalidInput(
                "reextract_later needs a job that takes wanted items: Backfill(gallery, "
                "...).attach(), or set gallery.on_wanted"
            )

    def _is_serving(self) -> bool:
        return read_record_of(self._store, self._upgrade)[1].phase is Phase.SERVING

    def _tell(self, find: Finder, request: Request, demand: Demand) -> None:
        listener = self.on_wanted
        if listener is None:
            return
        try:
            wanted = demand.wanted_later(find, request)
            if any(wanted):
                listener(wanted)
        except Exception:
            # The query has been answered; the job comes to these items in its own order.
            _log.warning("wanted items could not be handed to the job", exc_info=True)
