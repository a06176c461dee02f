"""The two galleries as one: search, rank merge, live writes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self

from crossfade.embeddings import QueryRecorder
from crossfade.errors import GalleryStateError
from crossfade.gallery.coverage import coverage_of
from crossfade.gallery.encoding import Encoder
from crossfade.gallery.fairness import FairLock
from crossfade.gallery.generations import Generations
from crossfade.gallery.on_demand import OnDemand, check_demand
from crossfade.gallery.prepare import map_old_vectors
from crossfade.gallery.record import change_phase, read_record_of
from crossfade.gallery.recording import Recording
from crossfade.gallery.request import Queries, Request
from crossfade.gallery.search import Hit, Searcher
from crossfade.gallery.sequence_count import SequenceCount
from crossfade.gallery.sides import TwoSides
from crossfade.gallery.state import GalleryState, Phase
from crossfade.gallery.wanted import Wanted
from crossfade.gallery.writes import Writer
from crossfade.stores import Filter, Payload, Store
from crossfade.stores.checks import check_k
from crossfade.upgrade import Mode, Upgrade

__all__ = ["Gallery"]


class Gallery:
    """A collection on its way from one embedding space to another. See :func:`open_gallery`.

    Every item is on one side: the new one if it holds a vector of the new space, else the old
    one. Items are moved by :class:`crossfade.Backfill`; searches and writes go on meanwhile.
    All methods may be called from several threads.
    """

    def __init__(
        self,
        store: Store,
        upgrade: Upgrade,
        encoder: Encoder | None = None,
        recorder: QueryRecorder | None = None,
    ) -> None:
        self.store = store
        self.upgrade = upgrade
        self.uri = "URI"
        """Where it is, for messages; without credentials."""
        self.write_lock = FairLock()
        """Held while items are written and while the gallery's phase is decided."""
        self._generations = Generations(store, upgrade)
        lock, moves_back = self.write_lock, SequenceCount()
        sides = TwoSides.of(store, upgrade)
        self._searcher = Searcher(store, upgrade, self._generations, lock, moves_back, sides)
        self._writer = Writer(store, upgrade, self._generations, lock, moves_back)
        self._on_demand = OnDemand(store, upgrade, self._generations, lock, sides)
        self._recording = Recording(recorder, upgrade)
        if encoder is not None:
            self.use_encoder(encoder)

    @property
    def state(self) -> GalleryState:
        """The durable state: which upgrade, and how far."""
        return read_record_of(self.store, self.upgrade)[1]

    def applied(self) -> Upgrade:
        """The upgrade with the forward map in use, which a backfill may have fitted again.

        It maps items and reads scores; for spaces and the id ask :attr:`upgrade`.
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
    def on_wanted(self) -> Callable[[Sequence[Wanted]], object] | None:
        """Told, from a thread of its own, which items searches want to be moved soon: for each
        query a dict of ids, best first, to their places in its answer. See ``reextract_later``
        and :meth:`crossfade.Backfill.attach`."""
        return self._on_demand.on_wanted

    @on_wanted.setter
    def on_wanted(self, listener: Callable[[Sequence[Wanted]], object] | None) -> None:
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
        within: int | None = None,
    ) -> list[list[Hit]]:
        """The k best items for each query.

        With ``reextract`` the best candidates of the query are embedded with the new model
        before it is answered, ranked by what they are, and backfilled for good; what can't be
        embedded, or not in time, is ranked by its estimate as ever. With a recorder, answered
        queries are recorded; what goes wrong with that is warned of once and changes no answer.

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
                by the mapped view or, if ``query_old`` is given, in either mode, by both models.
                Needs an encoder.
            budget_ms: how long the search may wait for that. The encoder goes on behind it.
            reextract_later: so many items of each query are moved to the front of the job's
                queue, after the answer, the higher the more they are wanted. Needs a job:
                :meth:`crossfade.Backfill.attach`.
            within: of these only items among so many best of the answer, backfilled ones
                counted, and at most ``max(4 * N, 100)``: a query that was asked before then wants
                little or nothing. With ``query_old``, the answer in two-encoder mode.

        Returns:
            ``q`` lists of hits, best first, ties by id, each with ``min(k, items)`` hits.

        Raises:
            InvalidInput: NaN or zero queries, k below 1, a missing ``query_old``, encoder or job.
            SpaceMismatch: queries of another dimension.
            EncoderMisconfigured: the encoder is another model than the gallery was begun with.
            GalleryStateError: the mode can't be answered in the gallery's present phase.
        """
        queries = Queries(query_new, query_old, Mode(mode))
        request = Request(check_k(k), filter, exact)
        demand = check_demand(reextract, reextract_later, budget_ms, within)
        find = self._on_demand.finder(queries, demand)
        self._on_demand.move_now(find, request, demand)
        hits = self._searcher.search(queries, request)
        self._on_demand.move_later(find, request, demand)
        self._recording.record(queries)
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
        self._writer.upsert(ids, new, old, payload)

    def delete(self, ids: Iterable[Any]) -> int:
        """Delete items from both sides; returns how many there were."""
        return self._writer.delete(ids)

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

        What searches asked to be moved and is not yet, is left to the job. A recorder is flushed
        and stays open: other galleries may use it.
        """
        self._on_demand.close()
        self._recording.flush()
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
