"""Answering a query from both sides of a gallery, as they are at one moment.

Items are written and moved while a search looks at one side after the other. Where the store
can't be read as of one moment, an answer that a write may have cut short is found out and made
again; writers are only held up when they leave no quiet moment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from crossfade.embeddings import unit_rows
from crossfade.errors import GalleryStateError, InvalidInput, SpaceMismatch, StoreError
from crossfade.gallery.fairness import FairLock
from crossfade.gallery.generations import Generations
from crossfade.gallery.merge import Candidate, HitSide
from crossfade.gallery.record import read_record_of
from crossfade.gallery.request import Queries, Request
from crossfade.gallery.sequence_count import SequenceCount
from crossfade.gallery.sides import TwoSides
from crossfade.gallery.state import GalleryState, Phase
from crossfade.stores import Id, Payload, Store
from crossfade.upgrade import Mode, Upgrade

__all__ = ["Hit", "Searcher"]

_QUIET_ATTEMPTS = 3

_Find = Callable[[Request], list[list[Candidate]]]


@dataclass(frozen=True)
class Hit:
    """One search result.

    Attributes:
        score: similarity on the new side's scale; higher is closer.
        side: ``"new"`` if the item's new embedding was found, ``"old"`` otherwise.
    """

    id: Id
    score: float
    side: HitSide
    payload: Payload


class Searcher:
    """Searches both sides. May be used by several threads.

    Args:
        lock: held by those who write.
        moves_back: of writes that may take items from the new side back to the old one, where
            a search that is under way does not look any more.
        sides: of the gallery.
    """

    def __init__(
        self,
        store: Store,
        upgrade: Upgrade,
        generations: Generations,
        lock: FairLock,
        moves_back: SequenceCount,
        sides: TwoSides,
    ) -> None:
        self._store = store
        self._upgrade = upgrade
        self._generations = generations
        before = upgrade.earlier
        self._earlier = None if before is None else Generations(store, before.upgrade)
        self._lock = lock
        self._moves_back = moves_back
        self._sides = sides

    def search(self, queries: Queries, request: Request) -> list[list[Hit]]:
        """``q`` lists of hits, best first; see :meth:`Gallery.search` for the errors."""
        for _ in range(_QUIET_ATTEMPTS):
            hits, current = self._attempt(queries, request)
            if current:
                return hits
        # Writers are too busy for a quiet moment: make one.
        with self._lock:
            return self._attempt(queries, request)[0]

    def _attempt(self, queries: Queries, request: Request) -> tuple[list[list[Hit]], bool]:
        """Hits, and whether no write has come between that could hide an item from them."""
        with self._store.reading_one_moment() as one_moment:
            state, moves = self._state(), self._moves_back.read()
            has_old_side = self._has_old_side(state.phase)
            try:
                find = self._finder(queries, state, has_old_side=has_old_side)
                hits, current = self._with_payloads(find(request))
            except (StoreError, SpaceMismatch):
                is_as_before = self._has_old_side(state.phase) is has_old_side
                now = self._state()
                same = (now.phase, now.fitted) == (state.phase, state.fitted)
                if one_moment or (same and is_as_before):
                    raise
                return [], False  # a side was dropped, or the map replaced, under the search
            quiet = self._moves_back.is_undisturbed_since(moves)
            return hits, one_moment or (current and quiet)

    def _state(self) -> GalleryState:
        return read_record_of(self._store, self._upgrade)[1]

    def _has_old_side(self, phase: Phase) -> bool:
        """Whether items may still be on the old side.

        To finish is decided by looking at what is there once it was announced: until the old
        vectors are dropped, it may be taken back.
        """
        if phase is Phase.FINISHING:
            stored, source = self._upgrade.stored.name, self._upgrade.source.name
            return source in self._store.spaces() and self._store.count(lacks=stored) > 0
        return phase is not Phase.FINISHED

    def _finder(self, queries: Queries, state: GalleryState, *, has_old_side: bool) -> _Find:
        """The search to make, with its queries checked and mapped."""
        phase, mode = state.phase, queries.mode
        if mode is Mode.OLD:
            return self._old_finder(queries.old, state)
        if phase in (Phase.PREPARING, Phase.ROLLING_BACK, Phase.ROLLED_BACK):
            raise GalleryStateError(_NOT_YET[phase])
        if queries.new is None:
            raise InvalidInput(f"{mode.value} mode needs query_new, the new model's embedding")
        stored_queries = self._upgrade.store_new(queries.new)
        if not has_old_side:
            return lambda request: _only(self._sides.search_new(stored_queries, request), "new")
        if phase is Phase.FINISHING:
            # All but what came at the last moment is on the new side: no need to mix two models.
            mode = Mode.ONE_ENCODER
        if mode is Mode.TWO_ENCODER and not self._upgrade.can_use_two_encoders:
            raise InvalidInput(
                f"method {self._upgrade.method!r} has no rule for two encoders; "
                "use mode='one-encoder'"
            )
        mapped = self._generations.at(state).old_side(queries.new, queries.old, mode)
        coverage = self._sides.coverage_for(mapped)
        if mapped.two_encoder is None:
            return lambda request: self._sides.search_both(mapped, request, coverage)
        return lambda request: self._sides.search_with_both_encoders(mapped, request, coverage)

    def _old_finder(self, query_old: Any | None, state: GalleryState) -> _Find:
        if state.phase in (Phase.FINISHING, Phase.FINISHED):
            raise GalleryStateError("mode 'old' is over: the old vectors were dropped by finish")
        if query_old is None:
            raise InvalidInput("mode 'old' needs query_old, the old model's embedding")
        queries = unit_rows(query_old, dim=self._upgrade.source.dim, name="query_old")
        if self._upgrade.earlier is None or self._earlier is None:
            return lambda request: _only(self._sides.search_old(queries, request), "old")
        # The old system is itself in the middle of an upgrade: its new model is our old one, and
        # its map may have been fitted again, or taught.
        first = self._upgrade.earlier.upgrade
        applied = first if state.earlier is None else self._earlier.at(state.earlier)
        sides, old_side = TwoSides.of(self._store, first), applied.old_side(query_old)
        coverage = sides.coverage_for(old_side)
        return lambda request: [
            [replace(one, side="old") for one in listed]
            for listed in sides.search_both(old_side, request, coverage)
        ]

    def _with_payloads(self, found: list[list[Candidate]]) -> tuple[list[list[Hit]], bool]:
        """Hits, and whether all items are still there as they were found."""
        ids = list({candidate.id for listed in found for candidate in listed})
        items = dict(zip(ids, self._store.get(ids), strict=True))
        current = True
        hits: list[list[Hit]] = []
        for listed in found:
            hits.append([])
            for candidate in listed:
                item = items[candidate.id]
                current &= item is not None and item.version == candidate.version
                if item is not None:
                    hit = Hit(candidate.id, candidate.score, candidate.side, item.payload)
                    hits[-1].append(hit)
        return hits, current


_NOT_YET: Mapping[Phase, str] = {
    Phase.PREPARING: "old vectors are still to be mapped, by gallery.prepare() or "
    "crossfade backfill; until then mode='old' answers",
    Phase.ROLLING_BACK: "the gallery is being rolled back; mode='old' answers",
    Phase.ROLLED_BACK: "the gallery was rolled back to the old system: mode='old' answers; "
    "start an upgrade again with start_gallery(uri, upgrade) or crossfade start",
}


def _only(found: list[list[Any]], side: HitSide) -> list[list[Candidate]]:
    return [
        [Candidate(match.id, match.version, match.score, side) for match in matches]
        for matches in found
    ]
