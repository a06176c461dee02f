"""The two galleries as one: search, rank merge, live writes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

from crossfade.embeddings import FloatArray, unit_rows
from crossfade.errors import GalleryStateError, InvalidInput, SpaceMismatch, StoreError
from crossfade.gallery.coverage import CoverageGauge, coverage_of
from crossfade.gallery.encoding import Encoder
from crossfade.gallery.fairness import FairLock
from crossfade.gallery.generations import Generations
from crossfade.gallery.merge import Candidate, HitSide
from crossfade.gallery.on_demand import Demand, OnDemand, check_demand, views_of
from crossfade.gallery.prepare import map_old_vectors
from crossfade.gallery.record import Record, change_phase, put_under, read_record
from crossfade.gallery.request import Request
from crossfade.gallery.sides import TwoSides
from crossfade.gallery.state import GalleryState, Phase
from crossfade.gallery.wanted import View
from crossfade.stores import Draft, Filter, Id, Payload, Store
from crossfade.stores.checks import check_k, plain_ids
from crossfade.upgrade import Mode, Upgrade

__all__ = ["Gallery", "Hit"]

_QUIET_ATTEMPTS = 3
_PUT_ROWS = 4096


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


class Gallery:
    """A collection on its way from one embedding space to another. See :func:`open_gallery`.

    Every item is on one side: the new one if it holds a vector of the new space, else the old
    one. Items are moved by :class:`crossfade.Backfill`; searches and writes go on meanwhile.
    All methods may be called from several threads.
    """

    def __init__(self, store: Store, upgrade: Upgrade, encoder: Encoder | None = None) -> None:
        self.store = store
        self.upgrade = upgrade
        self.uri = "URI"
        """Where it is, for messages; without credentials."""
        self.write_lock = FairLock()
        """Held while items are written and while the gallery's phase is decided."""
        # Odd while items are written that may go from the new side back to the old one.
        self._moves_back = 0
        self._sides = TwoSides(store, upgrade.source, upgrade.stored, upgrade.mapped)
        self._coverage = CoverageGauge(store, upgrade.stored.name)
        self._generations = Generations(store, upgrade)
        self._on_demand = OnDemand(store, upgrade, self.write_lock)
        if encoder is not None:
            self.use_encoder(encoder)

    @property
    def state(self) -> GalleryState:
        """The durable state: which upgrade, and how far."""
        return self._recorded()[1]

    def applied(self) -> Upgrade:
        """The upgrade with the forward map in use, which a backfill may have fitted again.

        It maps items and reads scores; its spaces and id are :attr:`upgrade`'s.
        """
        return self._generations.at(self.state)

    def check_upgrade(self) -> None:
        """Refuse to go on with a gallery on which another upgrade has been started since.

        Raises:
            GalleryStateError: it has.
        """
        _ = self.state

    @property
    def count(self) -> int:
        """How many items there are."""
        return self.store.count()

    @property
    def coverage(self) -> float:
        """The share of items on the new side, 0 to 1. Nothing is left to move in an empty
        gallery: 1."""
        return coverage_of(self.store, self.upgrade.stored.name)

    @property
    def on_wanted(self) -> Callable[[Sequence[Id]], object] | None:
        """Told, from a thread of its own, which items searches want to be moved soon, the most
        wanted first; see ``reextract_later`` and :meth:`crossfade.Backfill.attach`."""
        return self._on_demand.on_wanted

    @on_wanted.setter
    def on_wanted(self, listener: Callable[[Sequence[Id]], object] | None) -> None:
        self._on_demand.on_wanted = listener

    def use_encoder(self, encoder: Encoder) -> None:
        """Let searches re-extract items with the new model: ``search(..., reextract=20)``.

        It is called by one thread at a time, with up to 64 items (id, payload).

        Raises:
            SpaceMismatch: it is of another width than the new space.
        """
        self._on_demand.use_encoder(encoder)

    def drain(self, timeout_seconds: float | None = None) -> bool:
        """Wait until all that searches asked to be moved is moved, or handed to the job.

        Returns:
            Whether it is; False when the time is over before.
        """
        return self._on_demand.drain(timeout_seconds)

    def search(
        self,
        query_new: Any | None,
        k: int = 10,
        *,
        query_old: Any | None = None,
        mode: Mode | str = Mode.ONE_ENCODER,
        filter: Filter | None = None,
        exact: bool = True,
        reextract: int = 0,
        budget_ms: float | None = None,
        reextract_later: int = 0,
    ) -> list[list[Hit]]:
        """The k best items for each query.

        With ``reextract`` the best candidates of the query are embedded with the new model
        before it is answered, ranked by what they are, and backfilled for good; what can't be
        embedded, or not in time, is ranked by its estimate as ever.

        Args:
            query_new: ``(q, d_new)`` or ``(d_new,)`` embeddings by the new model; None is
                enough in mode ``old``.
            query_old: ``(q, d_old)`` by the old model, for the modes ``two-encoder`` and
                ``old`` and for upgrades without a map.
            mode: ``one-encoder`` (default), ``two-encoder`` or ``old``; the last is the old
                system exactly: old vectors of all items that hold one, at any coverage.
            filter: see :mod:`crossfade.stores.filters`.
            exact: compare with every vector. In two-encoder mode, False rescores only the
                ``max(4 * k, 100)`` best candidates of either view.
            reextract: so many not yet backfilled items of each query are moved first: the best
                by the mapped view; if ``query_old`` is given, in any mode, half of them by the
                old one. Needs an encoder.
            budget_ms: how long the search may wait for that. The encoder goes on behind it.
            reextract_later: so many items of each query are moved to the front of the job's
                queue, after the answer. Needs a job: :meth:`crossfade.Backfill.attach`.

        Returns:
            ``q`` lists of hits, best first, ties by id, each with ``min(k, items)`` hits.

        Raises:
            InvalidInput: NaN or zero queries, k below 1, a missing ``query_old``, encoder or job.
            SpaceMismatch: queries of another dimension.
            EncoderMisconfigured: the encoder is another model than the gallery was begun with.
            GalleryStateError: the mode can't be answered in the gallery's present phase.
        """
        mode = Mode(mode)
        request = Request(check_k(k), filter, exact)
        demand = check_demand(reextract, reextract_later, budget_ms)
        views = self._views(query_new, query_old, mode, demand)
        if views and demand.now:
            self._move_now(views, request, demand)
        hits = self._hits(query_new, query_old, mode, request)
        if views and demand.later:
            self._on_demand.move_later(views, request, demand)
        return hits

    def upsert(
        self,
        ids: Iterable[Any],
        *,
        new: Any | None = None,
        old: Any | None = None,
        payload: Sequence[Payload | None] | None = None,
    ) -> None:
        """Insert or replace items, at any moment of the backfill.

        An item with a new embedding goes to the new side at once; one with only an old
        embedding goes to the old side and is moved later. Give both to keep the way back open
        for the item. What is not given is gone: an item is replaced whole. Many items are
        written in chunks, and searches go on between them; if one chunk is refused, those
        before it are written.

        Args:
            ids: n integers or strings, each once.
            new: ``(n, d_new)``; old: ``(n, d_old)``; at least one of them.
            payload: n JSON objects or Nones.

        Raises:
            InvalidInput: lengths differ, ids repeat, or vectors with NaN or zero rows.
            SpaceMismatch: embeddings of another dimension.
            GalleryStateError: the gallery's phase has no place for these vectors.
        """
        listed = plain_ids(ids, unique=True)
        vectors = self._vectors(len(listed), new, old)
        payloads = _payloads(payload, len(listed))
        for start in range(0, len(listed), _PUT_ROWS):
            rows = range(start, min(start + _PUT_ROWS, len(listed)))
            with self.write_lock:
                while not self._put(listed, vectors, payloads, rows):
                    pass  # another process has changed the phase meanwhile, or noted a move

    def delete(self, ids: Iterable[Any]) -> int:
        """Delete items from both sides; returns how many there were."""
        listed = plain_ids(ids)
        with self.write_lock:
            return self.store.delete(listed)

    def prepare(self, *, progress: Callable[[int, int], None] | None = None) -> int:
        """Map the old vectors of all items that lack a mapped one, without any encoder.

        Needed once, for upgrades on the items' side opened on a collection that holds old
        vectors; until it is done, searches but those in mode ``old`` are refused. The old
        vectors stay. Interrupted, it goes on where it was.

        Args:
            progress: called with (items mapped, items to map) after each batch.

        Returns:
            How many vectors were written.

        Raises:
            GalleryStateError: the gallery is finished or rolled back.
        """
        written = 0
        if (phase := self.state.phase) not in (Phase.PREPARING, Phase.SERVING):
            raise GalleryStateError(f"the gallery is {phase.value}; there is nothing to prepare")
        if self.upgrade.mapped is not None:
            space = self.upgrade.mapped.name
            written = map_old_vectors(self.store, self.applied(), space, progress)
        with self.write_lock:
            state = self.state
            if state.phase is Phase.PREPARING:
                change_phase(self.store, state, Phase.SERVING)
        return written

    def close(self) -> None:
        """Flush and release the store. Closing again is harmless.

        What searches asked to be moved and is not yet, is left to the job.
        """
        self._on_demand.close()
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _views(
        self, query_new: Any | None, query_old: Any | None, mode: Mode, demand: Demand
    ) -> list[View]:
        """What names candidates to move; nothing where nothing is wanted, or left to move."""
        if not demand.now and not demand.later:
            return []
        if mode is Mode.OLD:
            raise InvalidInput(
                "mode 'old' answers as the old system did and moves nothing: leave reextract and "
                "reextract_later out"
            )
        self._on_demand.require_means(demand)
        if query_new is None or self.state.phase is not Phase.SERVING:
            return []
        return views_of(self.upgrade, query_new, query_old, mode)

    def _move_now(self, views: list[View], request: Request, demand: Demand) -> None:
        try:
            self._on_demand.move_now(views, request, demand)
        except (StoreError, SpaceMismatch):
            if self.state.phase is Phase.SERVING:
                raise
            # A side was dropped under the search for candidates: there is nothing to move.

    def _hits(
        self, query_new: Any | None, query_old: Any | None, mode: Mode, request: Request
    ) -> list[list[Hit]]:
        attempt = partial(self._attempt, query_new, query_old, mode, request)
        for _ in range(_QUIET_ATTEMPTS):
            hits, current = attempt()
            if current:
                return hits
        # Writers are too busy for a quiet moment: make one.
        with self.write_lock:
            return attempt()[0]

    def _attempt(
        self, query_new: Any | None, query_old: Any | None, mode: Mode, request: Request
    ) -> tuple[list[list[Hit]], bool]:
        """Hits, and whether no write has come between that could hide an item from them."""
        with self.store.reading_one_moment() as one_moment:
            state, moves = self.state, self._moves_back
            has_old_side = self._has_old_side(state.phase)
            try:
                find = self._finder(query_new, query_old, mode, state, has_old_side=has_old_side)
                hits, current = self._with_payloads(find(request))
            except (StoreError, SpaceMismatch):
                is_as_before = self._has_old_side(state.phase) is has_old_side
                now = self.state
                same = (now.phase, now.fitted) == (state.phase, state.fitted)
                if one_moment or (same and is_as_before):
                    raise
                return [], False  # a side was dropped, or the map replaced, under the search
            quiet = moves % 2 == 0 and moves == self._moves_back
            return hits, one_moment or (current and quiet)

    def _has_old_side(self, phase: Phase) -> bool:
        """Whether items may still be on the old side.

        To finish is decided by looking at what is there once it was announced: until the old
        vectors are dropped, it may be taken back.
        """
        if phase is Phase.FINISHING:
            stored, source = self.upgrade.stored.name, self.upgrade.source.name
            return source in self.store.spaces() and self.store.count(lacks=stored) > 0
        return phase is not Phase.FINISHED

    def _finder(
        self,
        query_new: Any | None,
        query_old: Any | None,
        mode: Mode,
        state: GalleryState,
        *,
        has_old_side: bool,
    ) -> Callable[[Request], list[list[Candidate]]]:
        """The search to make, with its queries checked and mapped."""
        phase = state.phase
        if mode is Mode.OLD:
            return self._old_finder(query_old, phase)
        if phase in (Phase.PREPARING, Phase.ROLLING_BACK, Phase.ROLLED_BACK):
            raise GalleryStateError(_NOT_YET[phase])
        if query_new is None:
            raise InvalidInput(f"{mode.value} mode needs query_new, the new model's embedding")
        stored_queries = self.upgrade.store_new(query_new)
        if not has_old_side:
            return lambda request: _only(self._sides.search_new(stored_queries, request), "new")
        if phase is Phase.FINISHING:
            # All but what came at the last moment is on the new side: no need to mix two models.
            mode = Mode.ONE_ENCODER
        if mode is Mode.TWO_ENCODER and not self.upgrade.can_use_two_encoders:
            raise InvalidInput(
                f"method {self.upgrade.method!r} has no rule for two encoders; "
                "use mode='one-encoder'"
            )
        queries = self._generations.at(state).old_side(query_new, query_old, mode)
        if queries.two_encoder is None:
            return lambda request: self._sides.search_both(queries, request)
        coverage = self._coverage.read()
        return lambda request: self._sides.search_with_both_encoders(queries, request, coverage)

    def _old_finder(
        self, query_old: Any | None, phase: Phase
    ) -> Callable[[Request], list[list[Candidate]]]:
        if phase in (Phase.FINISHING, Phase.FINISHED):
            raise GalleryStateError("mode 'old' is over: the old vectors were dropped by finish")
        if query_old is None:
            raise InvalidInput("mode 'old' needs query_old, the old model's embedding")
        queries = unit_rows(query_old, dim=self.upgrade.source.dim, name="query_old")
        return lambda request: _only(self._sides.search_old(queries, request), "old")

    def _with_payloads(self, found: list[list[Candidate]]) -> tuple[list[list[Hit]], bool]:
        """Hits, and whether all items are still there as they were found."""
        ids = list({candidate.id for listed in found for candidate in listed})
        items = dict(zip(ids, self.store.get(ids), strict=True))
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

    def _vectors(self, n: int, new: Any | None, old: Any | None) -> dict[str, FloatArray]:
        if new is None and old is None:
            raise InvalidInput("give new or old embeddings, or both; an item needs one to be found")
        vectors: dict[str, FloatArray] = {}
        if not n:
            return vectors
        if old is not None:
            rows = unit_rows(old, dim=self.upgrade.source.dim, name="old")
            vectors[self.upgrade.source.name] = rows
        if new is not None:
            vectors[self.upgrade.stored.name] = self.upgrade.store_new(new)
        for name, rows in vectors.items():
            if len(rows) != n:
                raise InvalidInput(f"{len(rows)} embeddings of {name!r} for {n} ids; one an id")
        return vectors

    def _recorded(self) -> tuple[Record, GalleryState]:
        """The durable record, and the state in it."""
        record = read_record(self.store.read_pointer)
        state = record.state if record else None
        if record is None or state is None or state.upgrade_id != self.upgrade.id:
            raise GalleryStateError(
                "another upgrade has been started on the gallery since; open it again"
            )
        return record, state

    def _put(
        self,
        ids: Sequence[Id],
        vectors: Mapping[str, FloatArray],
        payloads: Sequence[Payload],
        rows: range,
    ) -> bool:
        """Put some rows, unless the record changes meanwhile; returns whether they were."""
        record, state = self._recorded()
        part = slice(rows.start, rows.stop)
        placed = self._placed({name: all[part] for name, all in vectors.items()}, state)
        drafts = [_draft(ids[row], placed, payloads[row], row - rows.start) for row in rows]
        with self._moving_back(placed):
            return put_under(self.store, record, drafts)

    def _placed(
        self, vectors: Mapping[str, FloatArray], state: GalleryState
    ) -> Mapping[str, FloatArray]:
        """An item's vectors as the gallery's present phase has a place for them.

        Raises:
            GalleryStateError: one that was given has none.
        """
        phase, source, mapped = state.phase, self.upgrade.source.name, self.upgrade.mapped
        if phase in (Phase.FINISHING, Phase.FINISHED) and source in vectors:
            raise GalleryStateError(
                "the gallery is finished: give new embeddings only, no old ones"
            )
        if phase in (Phase.ROLLING_BACK, Phase.ROLLED_BACK):
            if self.upgrade.stored.name in vectors:
                raise GalleryStateError("the gallery was rolled back: give old embeddings only")
        elif mapped is not None and source in vectors:
            # By the map in use, which is part of the record that the write depends on.
            rows = self._generations.at(state).map_items(vectors[source])
            assert rows is not None
            return {**vectors, mapped.name: rows}
        return vectors

    @contextmanager
    def _moving_back(self, vectors: Mapping[str, FloatArray]) -> Iterator[None]:
        if self.upgrade.stored.name in vectors:
            yield
            return
        self._moves_back += 1
        try:
            yield
        finally:
            self._moves_back += 1


_NOT_YET: Mapping[Phase, str] = {
    Phase.PREPARING: "old vectors are still to be mapped: call prepare() first; "
    "until then mode='old' answers",
    Phase.ROLLING_BACK: "the gallery is being rolled back; mode='old' answers",
    Phase.ROLLED_BACK: "the gallery was rolled back to the old system: mode='old' answers; "
    "start an upgrade again with start_gallery(uri, upgrade)",
}


def _only(found: list[list[Any]], side: HitSide) -> list[list[Candidate]]:
    return [
        [Candidate(match.id, match.version, match.score, side) for match in matches]
        for matches in found
    ]


def _draft(id: Id, vectors: Mapping[str, FloatArray], payload: Payload, row: int) -> Draft:
    return Draft(id, {name: rows[row] for name, rows in vectors.items()}, payload)


def _payloads(payload: Sequence[Payload | None] | None, n: int) -> list[Payload]:
    if payload is None:
        return [{}] * n
    if len(payload) != n:
        raise InvalidInput(f"{len(payload)} payloads for {n} ids; one an id")
    return [{} if one is None else one for one in payload]
