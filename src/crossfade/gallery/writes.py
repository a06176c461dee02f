"""Live writes to a gallery: every item goes to the side that its embeddings belong to.

What a write may hold depends on the gallery's phase, which other processes change: so it is put
under the very record that it was made for, and made again if that is another by then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from crossfade.embeddings import FloatArray, unit_rows
from crossfade.errors import GalleryStateError, InvalidInput
from crossfade.gallery.fairness import FairLock
from crossfade.gallery.generations import Generations
from crossfade.gallery.record import put_under, read_record_of
from crossfade.gallery.sequence_count import SequenceCount
from crossfade.gallery.state import GalleryState, Phase
from crossfade.stores import Draft, Id, Payload, Store
from crossfade.stores.checks import plain_ids
from crossfade.upgrade import Upgrade

__all__ = ["Writer"]

_PUT_ROWS = 4096


class Writer:
    """Inserts, replaces and deletes items. May be used by several threads.

    Args:
        lock: held while items are written.
        moves_back: told of writes that may take items from the new side back to the old one.
    """

    def __init__(
        self,
        store: Store,
        upgrade: Upgrade,
        generations: Generations,
        lock: FairLock,
        moves_back: SequenceCount,
    ) -> None:
        self._store = store
        self._upgrade = upgrade
        self._generations = generations
        self._lock = lock
        self._moves_back = moves_back

    def upsert(
        self,
        ids: Iterable[Any],
        new: Any | None,
        old: Any | None,
        payload: Sequence[Payload | None] | None,
    ) -> None:
        """See :meth:`Gallery.upsert`."""
        listed = plain_ids(ids, unique=True)
        vectors = self._vectors(len(listed), new, old)
        payloads = _payloads(payload, len(listed))
        for start in range(0, len(listed), _PUT_ROWS):
            rows = range(start, min(start + _PUT_ROWS, len(listed)))
            with self._lock:
                while not self._put(listed, vectors, payloads, rows):
                    pass  # another process has changed the phase meanwhile, or noted a move

    def delete(self, ids: Iterable[Any]) -> int:
        """See :meth:`Gallery.delete`."""
        listed = plain_ids(ids)
        with self._lock:
            return self._store.delete(listed)

    def _vectors(self, n: int, new: Any | None, old: Any | None) -> dict[str, FloatArray]:
        if new is None and old is None:
            raise InvalidInput("give new or old embeddings, or both; an item needs one to be found")
        vectors: dict[str, FloatArray] = {}
        if not n:
            return vectors
        if old is not None:
            rows = unit_rows(old, dim=self._upgrade.source.dim, name="old")
            vectors[self._upgrade.source.name] = rows
        if new is not None:
            vectors[self._upgrade.stored.name] = self._upgrade.store_new(new)
        for name, rows in vectors.items():
            if len(rows) != n:
                raise InvalidInput(f"{len(rows)} embeddings of {name!r} for {n} ids; one an id")
        return vectors

    def _put(
        self,
        ids: Sequence[Id],
        vectors: Mapping[str, FloatArray],
        payloads: Sequence[Payload],
        rows: range,
    ) -> bool:
        """Put some rows, unless the record changes meanwhile; returns whether they were."""
        record, state = read_record_of(self._store, self._upgrade)
        part = slice(rows.start, rows.stop)
        placed = self._placed({name: all[part] for name, all in vectors.items()}, state)
        drafts = [_draft(ids[row], placed, payloads[row], row - rows.start) for row in rows]
        with self._moving_back(placed):
            return put_under(self._store, record, drafts)

    def _placed(
        self, vectors: Mapping[str, FloatArray], state: GalleryState
    ) -> Mapping[str, FloatArray]:
        """An item's vectors as the gallery's present phase has a place for them.

        Raises:
            GalleryStateError: one that was given has none.
        """
        phase, source, mapped = state.phase, self._upgrade.source.name, self._upgrade.mapped
        if phase in (Phase.FINISHING, Phase.FINISHED) and source in vectors:
            raise GalleryStateError(
                "the gallery is finished: give new embeddings only, no old ones"
            )
        if phase in (Phase.ROLLING_BACK, Phase.ROLLED_BACK):
            if self._upgrade.stored.name in vectors:
                raise GalleryStateError("the gallery was rolled back: give old embeddings only")
        elif mapped is not None and source in vectors:
            # By the map in use, which is part of the record that the write depends on.
            rows = self._generations.at(state).map_items(vectors[source])
            assert rows is not None
            return {**vectors, mapped.name: rows}
        return vectors

    def _moving_back(self, vectors: Mapping[str, FloatArray]) -> AbstractContextManager[None]:
        if self._upgrade.stored.name in vectors:
            return nullcontext()
        return self._moves_back.writing()


def _draft(id: Id, vectors: Mapping[str, FloatArray], payload: Payload, row: int) -> Draft:
    return Draft(id, {name: rows[row] for name, rows in vectors.items()}, payload)


def _payloads(payload: Sequence[Payload | None] | None, n: int) -> list[Payload]:
    if payload is None:
        return [{}] * n
    if len(payload) != n:
        raise InvalidInput(f"{len(payload)} payloads for {n} ids; one an id")
    return [{} if one is None else one for one in payload]
