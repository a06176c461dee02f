"""The store: the ledger is written first, the indexes in memory follow it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from crossfade.embeddings import FloatArray, Space
from crossfade.stores.base import Draft, Id, Item, Match, Outcome, Store, VectorWrite
from crossfade.stores.checks import (
    check_drafts,
    check_k,
    check_queries,
    check_space,
    check_writes,
    plain_id,
    plain_ids,
)
from crossfade.stores.faiss import CAPABILITIES
from crossfade.stores.faiss.index import Mask, VectorIndex
from crossfade.stores.faiss.indexes import Indexes
from crossfade.stores.faiss.ledger import Ledger
from crossfade.stores.faiss.nearest import nearest
from crossfade.stores.faiss.vectors import StoredSpace
from crossfade.stores.filters import Filter, check_filter
from crossfade.stores.owned_folder import own_folder
from crossfade.stores.shared_lock import SharedLock

__all__ = ["FaissStore"]

LEDGER = "ledger.sqlite3"


class FaissStore(Store):
    """A folder with a ledger and files of indexes. Use :func:`open_store`.

    A write is in the ledger, and so survives the death of the process, before any index has it;
    the death of the machine after :meth:`flush`. Searches run side by side and never beside a
    write.

    Args:
        kind: of the approximate indexes that :meth:`build_index` builds.
    """

    capabilities = CAPABILITIES

    def __init__(self, path: Path, kind: str) -> None:
        self._path, self._kind = path, kind
        self._lock = SharedLock()
        self._owner = own_folder(path, f"faiss://{path}", LEDGER)
        self._closed = False
        try:
            self._ledger = Ledger(path / LEDGER, f"faiss://{path}")
            self._indexes = Indexes(path, self._ledger)
        except BaseException:
            self._owner.release()
            raise

    @property
    def folder(self) -> Path:
        """The folder named in the URI."""
        return self._path

    def spaces(self) -> Mapping[str, Space]:
        with self._lock.reading():
            return self._spaces()

    def ensure_space(self, space: Space) -> None:
        with self._lock.writing():
            spaces = self._spaces()
            if space.name in spaces:
                spaces[space.name].require(space)
            else:
                self._ledger.add_space(space)

    def drop_space(self, name: str) -> None:
        with self._lock.writing():
            if stored := self._ledger.spaces().get(name):
                self._ledger.drop_space(stored)
                self._indexes.drop(stored)

    def put(self, drafts: Sequence[Draft]) -> None:
        with self._lock.writing():
            spaces = self._ledger.spaces()
            checked = check_drafts(drafts, self._spaces())
            items, written = self._ledger.put(checked, spaces)
            with self._indexes_following():
                for name, stored in spaces.items():
                    self._indexes.follow(stored, items, written.get(name))

    def set_vectors(self, space: str, writes: Sequence[VectorWrite]) -> list[Outcome]:
        with self._lock.writing():
            checked = check_writes(writes, check_space(self._spaces(), space))
            stored = self._ledger.spaces()[space]
            outcomes, written = self._ledger.set_vectors(stored, checked)
            with self._indexes_following():
                self._indexes.follow(stored, [], written)
            return outcomes

    def delete(self, ids: Iterable[Id]) -> int:
        with self._lock.writing():
            gone = self._ledger.delete(plain_ids(ids))
            with self._indexes_following():
                for stored in self._ledger.spaces().values():
                    self._indexes.follow(stored, gone, None)
            return len(gone)

    def get(self, ids: Sequence[Id], *, vectors: Sequence[str] = ()) -> list[Item | None]:
        wanted = plain_ids(ids)
        with self._lock.reading():
            spaces = self._ledger.spaces()
            return self._ledger.get(wanted, [spaces[name] for name in vectors if name in spaces])

    def search(
        self,
        space: str,
        queries: FloatArray,
        k: int,
        *,
        lacks: str | None = None,
        filter: Filter | None = None,
        exact: bool = True,
    ) -> list[list[Match]]:
        check_filter(filter or {})
        while True:
            with self._lock.reading():
                spaces = self._ledger.spaces()
                rows = check_queries(queries, check_space(self._spaces(), space))
                check_k(k)
                wanted = [stored for stored in (spaces[space], _named(spaces, lacks)) if stored]
                if self._indexes.are_loaded(wanted):
                    index, *others = (self._indexes.loaded(stored) for stored in wanted)
                    mask = index.qualifying(self._allowed(filter, others))
                    return nearest(index, self._ledger, rows, k, mask, exact=exact)
            with self._lock.writing():
                self._indexes.load(self._ledger.spaces(), wanted)

    def scan(
        self,
        *,
        after: Id | None = None,
        n: int,
        lacks: str | None = None,
        vectors: Sequence[str] = (),
        payload: bool = True,
    ) -> list[Item]:
        start = None if after is None else plain_id(after)
        with self._lock.reading():
            spaces = self._ledger.spaces()
            wanted = [spaces[name] for name in vectors if name in spaces]
            return self._ledger.scan(start, n, _named(spaces, lacks), wanted, payload)

    def count(self, *, has: str | None = None, lacks: str | None = None) -> int:
        with self._lock.reading():
            spaces = self._ledger.spaces()
            if has is not None and has not in spaces:
                return 0
            return self._ledger.count(_named(spaces, has), _named(spaces, lacks))

    def read_pointer(self, name: str) -> str | None:
        return self._ledger.catalog.read_pointer(name)

    def swap_pointer(self, name: str, expect: str | None, value: str | None) -> bool:
        return self._ledger.catalog.swap_pointer(name, expect, value)

    def build_index(self, space: str, *, lacks: str | None = None) -> None:  # noqa: ARG002
        # One index serves every coverage: a selector leaves out what the new side holds.
        with self._lock.reading():
            check_space(self._spaces(), space)
            stored = self._ledger.spaces()[space]
            rows = self._ledger.all_vectors(stored)
        # Minutes for millions of vectors; searches and writes go on meanwhile.
        built = VectorIndex(self._kind, stored.space.dim, rows)
        with self._lock.writing():
            if self._ledger.spaces().get(space) == stored:
                self._indexes.replace(stored, built)

    def index_settings(self, space: str) -> Mapping[str, object]:
        with self._lock.writing():
            check_space(self._spaces(), space)
            stored = self._ledger.spaces()[space]
            if stored.kind is None:
                return {}
            self._indexes.load(self._ledger.spaces(), [stored])
            return self._indexes.loaded(stored).settings()

    def flush(self) -> None:
        self._ledger.catalog.sync()

    def close(self) -> None:
        with self._lock.writing():
            if self._closed:
                return
            self._closed = True
            try:
                self._indexes.save()
                self._ledger.catalog.sync()
            finally:
                self._ledger.catalog.close()
                self._owner.release()

    def _spaces(self) -> dict[str, Space]:
        return {name: stored.space for name, stored in self._ledger.spaces().items()}

    def _allowed(self, filter: Filter | None, others: Sequence[VectorIndex]) -> Mask | None:
        """By number: which items pass the filter and hold none of the other vectors."""
        if not filter and not others:
            return None
        size = self._ledger.most_items()
        allowed = np.ones(size, dtype=bool)
        if filter:
            allowed = np.zeros(size, dtype=bool)
            allowed[self._ledger.passing(filter)] = True
        for other in others:
            allowed &= ~other.mask(size)
        return allowed

    @contextmanager
    def _indexes_following(self) -> Iterator[None]:
        """Indexes that could not follow the ledger are built again at the next search."""
        try:
            yield
        except BaseException:
            self._indexes.discard()
            raise


def _named(spaces: Mapping[str, StoredSpace], name: str | None) -> StoredSpace | None:
    return None if name is None else spaces.get(name)
