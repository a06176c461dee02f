"""The store on a table of LanceDB. Reads see the latest version; writes take turns."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from crossfade.embeddings import FloatArray, Space
from crossfade.errors import InvalidInput, StoreError
from crossfade.stores.base import Draft, Id, Item, Match, Outcome, Store, VectorWrite
from crossfade.stores.catalog import Catalog
from crossfade.stores.checks import (
    check_drafts,
    check_k,
    check_queries,
    check_space,
    check_writes,
    plain_id,
    plain_ids,
)
from crossfade.stores.fields import translate
from crossfade.stores.filters import Filter, check_filter
from crossfade.stores.lancedb import CAPABILITIES
from crossfade.stores.lancedb.nearest import Nearest
from crossfade.stores.lancedb.rows import (
    StoredSpace,
    draft_rows,
    items_of,
    new_column,
    stored_spaces,
    vector_rows,
)
from crossfade.stores.lancedb.table import Table
from crossfade.stores.lancedb.terms import LanceTerms, id_of, key_of, keys_among, literal

__all__ = ["LanceStore"]

_KEYS_AT_ONCE = 500
_WAIT_SECONDS = 120.0
"""How long a write waits for those of other processes."""
_LISTS_OF = 256
"""Vectors in a list of the index, about."""
_SCANNED_LISTS = 8
"""One list in so many is searched, and at least so many lists."""


class LanceStore(Store):
    """A table, and beside it a folder with the writers' lock and the pointers.

    What was written survives the death of the process at once, that of the machine after
    :meth:`flush`. Use :func:`open_store`.
    """

    capabilities = CAPABILITIES

    def __init__(self, path: Path, name: str) -> None:
        uri = f"lancedb://{path}?table={name}"
        self._folder = path / f"{name}.crossfade"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"{uri} can't be opened: {error.strerror}; check the path and its permissions"
            ) from error
        self._catalog = Catalog(self._folder / "catalog.sqlite3", uri, "", "1")
        self._writers = Catalog(
            self._folder / "writers.sqlite3", uri, "", "1", wait_seconds=_WAIT_SECONDS
        )
        self._closing = threading.Lock()
        self._closed = False
        try:
            with self._writers.transaction():
                self._table = Table(path, name)
            stored_spaces(self._table.schema())
        except BaseException:
            self._catalog.close()
            self._writers.close()
            raise

    @property
    def folder(self) -> Path:
        """The folder beside the table."""
        return self._folder

    def spaces(self) -> Mapping[str, Space]:
        return _plain(self._stored())

    def ensure_space(self, space: Space) -> None:
        with self._writers.transaction():
            stored = self._stored()
            if space.name in stored:
                stored[space.name].space.require(space)
            else:
                self._table.add_column(new_column(space, self._table.schema()))

    def drop_space(self, name: str) -> None:
        with self._writers.transaction():
            if stored := self._stored().get(name):
                self._catalog.rows("DELETE FROM meta WHERE name = ?", _meta(stored))
                self._table.drop_column(stored.column)

    def put(self, drafts: Sequence[Draft]) -> None:
        with self._writers.transaction():
            schema = self._table.schema()
            checked = check_drafts(drafts, _plain(stored_spaces(schema)))
            if checked:
                self._table.merge(draft_rows(checked, schema))

    def set_vectors(self, space: str, writes: Sequence[VectorWrite]) -> list[Outcome]:
        with self._writers.transaction():
            stored = self._stored()
            checked = check_writes(writes, check_space(_plain(stored), space))
            versions = self._versions([write.id for write in checked])
            outcomes = [_outcome(write, versions) for write in checked]
            # The last of several writes to one item stands.
            applied = {
                write.id: write
                for write, outcome in zip(checked, outcomes, strict=True)
                if outcome is Outcome.APPLIED
            }
            if applied:
                self._table.merge_columns(vector_rows(stored[space], [*applied.values()]))
            return outcomes

    def delete(self, ids: Iterable[Id]) -> int:
        with self._writers.transaction():
            there = self._versions(plain_ids(ids))
            for keys in _parts([key_of(id) for id in there]):
                self._table.delete(keys_among(keys))
            return len(there)

    def get(self, ids: Sequence[Id], *, vectors: Sequence[str] = ()) -> list[Item | None]:
        wanted, spaces = plain_ids(ids), self._stored()
        keys = [key_of(id) for id in dict.fromkeys(wanted)]
        items = {item.id: item for item in self._read(keys, "true", spaces, vectors)}
        return [items.get(id) for id in wanted]

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
        spaces = self._stored()
        rows = check_queries(queries, check_space(_plain(spaces), space))
        check_filter(filter or {})
        check_k(k)
        where = [f"{spaces[space].column} IS NOT NULL"]
        if lacks in spaces:
            where.append(f"{spaces[lacks].column} IS NULL")
        if filter:
            where.append(translate(filter, LanceTerms()))
        probes = None if exact else self._probes(spaces[space])
        nearest = Nearest(self._table, spaces[space].column, " AND ".join(where), probes)
        return nearest(rows, k)

    def scan(
        self,
        *,
        after: Id | None = None,
        n: int,
        lacks: str | None = None,
        vectors: Sequence[str] = (),
        payload: bool = True,
    ) -> list[Item]:
        spaces = self._stored()
        lacking = f"{spaces[lacks].column} IS NULL" if lacks in spaces else "true"
        last = "" if after is None else key_of(plain_id(after))
        while True:
            # Keys first: sorting must not read the payloads of the whole table.
            keys = self._table.first_keys(f"key > {literal(last)} AND {lacking}", n)
            items = self._read(keys, lacking, spaces, vectors, payload)
            if items or not keys:
                return sorted(items, key=lambda item: key_of(item.id))
            last = keys[-1]  # all of them have been deleted meanwhile

    def count(self, *, has: str | None = None, lacks: str | None = None) -> int:
        spaces = self._stored()
        if has is not None and has not in spaces:
            return 0
        where = ["true"]
        if has is not None:
            where.append(f"{spaces[has].column} IS NOT NULL")
        if lacks in spaces:
            where.append(f"{spaces[lacks].column} IS NULL")
        return self._table.count(" AND ".join(where))

    def read_pointer(self, name: str) -> str | None:
        return self._catalog.read_pointer(name)

    def swap_pointer(self, name: str, expect: str | None, value: str | None) -> bool:
        return self._catalog.swap_pointer(name, expect, value)

    def build_index(self, space: str, *, lacks: str | None = None) -> None:  # noqa: ARG002
        # Rows that the index has not seen are searched one by one, so nothing is missed.
        with self._writers.transaction():
            stored = self._stored()
            check_space(_plain(stored), space)
            vectors = self.count(has=space)
            if not vectors:
                raise InvalidInput(
                    f"an index learns from vectors, and space {space!r} has none yet; add some"
                )
            lists = max(1, vectors // _LISTS_OF)
            self._table.build_index(stored[space].column, lists)
            probes = min(lists, max(_SCANNED_LISTS, lists // _SCANNED_LISTS))
            settings = {"kind": "ivf_flat", "lists": lists, "probes": probes}
            self._catalog.set_meta(_meta(stored[space]), json.dumps(settings))

    def index_settings(self, space: str) -> Mapping[str, object]:
        stored = self._stored()
        check_space(_plain(stored), space)
        return self._settings(stored[space])

    def flush(self) -> None:
        self._table.sync()

    def close(self) -> None:
        with self._closing:
            if self._closed:
                return
            self._closed = True
            try:
                self._table.sync()
            finally:
                self._table.close()
                self._catalog.close()
                self._writers.close()

    def _stored(self) -> dict[str, StoredSpace]:
        return stored_spaces(self._table.schema())

    def _settings(self, stored: StoredSpace) -> dict[str, object]:
        return dict(json.loads(self._catalog.meta(_meta(stored)) or "{}"))

    def _probes(self, stored: StoredSpace) -> int | None:
        probes = self._settings(stored).get("probes")
        return probes if isinstance(probes, int) else None

    def _read(
        self,
        keys: Sequence[str],
        where: str,
        spaces: Mapping[str, StoredSpace],
        vectors: Sequence[str],
        payload: bool = True,
    ) -> list[Item]:
        columns = ["key", "version", *(["payload"] if payload else [])]
        columns += [spaces[name].column for name in vectors if name in spaces]
        items: list[Item] = []
        for some in _parts(keys):
            rows = self._table.rows(f"{keys_among(some)} AND {where}", columns, len(some))
            items += items_of(rows, spaces)
        return items

    def _versions(self, ids: Sequence[Id]) -> dict[Id, int]:
        found: dict[Id, int] = {}
        for keys in _parts([key_of(id) for id in dict.fromkeys(ids)]):
            rows = self._table.rows(keys_among(keys), ["key", "version"], len(keys))
            listed = zip(rows["key"].to_pylist(), rows["version"].to_pylist(), strict=True)
            found |= {id_of(key): version for key, version in listed}
        return found


def _plain(stored: Mapping[str, StoredSpace]) -> dict[str, Space]:
    return {name: one.space for name, one in stored.items()}


def _meta(stored: StoredSpace) -> str:
    return f"index of {stored.column}"


def _parts(keys: Sequence[str]) -> Iterable[Sequence[str]]:
    return (keys[start : start + _KEYS_AT_ONCE] for start in range(0, len(keys), _KEYS_AT_ONCE))


def _outcome(write: VectorWrite, versions: Mapping[Id, int]) -> Outcome:
    if write.id not in versions:
        return Outcome.GONE
    return Outcome.APPLIED if versions[write.id] == write.version else Outcome.STALE
