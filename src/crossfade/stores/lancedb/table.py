"""A table of LanceDB behind a guard: always its latest version, never growing without bound.

Every write is a new version with a small file of its own. Every hundred writes the files are put
together and versions that nobody should be reading any more are deleted.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import lancedb
import pyarrow as pa
from lancedb.index import IvfFlat

from crossfade.errors import StoreError
from crossfade.stores.lancedb.rows import FIRST_COLUMNS

__all__ = ["Table"]

_Result = TypeVar("_Result")
COMPACT_AFTER = 100
"""Writes between two compactions."""
KEEP_SECONDS = 60.0
"""How old a version must be before its files are deleted: no search takes as long."""


class Table:
    """An open table, created if it is not there. Who writes must hold the writers' lock."""

    def __init__(self, path: Path, name: str) -> None:
        self._folder, self._name = path / f"{name}.lance", name
        self._uri = f"lancedb://{path}?table={name}"
        self._synced: set[Path] = set()
        self._writes = 0
        self._closed = False
        self._table = self._call(lambda: _opened(path, name))

    def schema(self) -> pa.Schema:
        """The columns of the latest version."""
        return self._call(lambda: self._latest().schema)

    def total(self) -> int:
        """How many rows there are, at little cost."""
        return int(self._call(lambda: self._latest().count_rows()))

    def count(self, where: str) -> int:
        """How many rows pass a condition."""
        return int(self._call(lambda: self._latest().count_rows(where)))

    def rows(self, where: str, columns: Sequence[str], limit: int) -> pa.Table:
        """Rows that pass a condition, in any order."""
        return self._call(
            lambda: (
                self._latest().search().where(where).select(list(columns)).limit(limit).to_arrow()
            )
        )

    def first_keys(self, where: str, limit: int) -> list[str]:
        """The first keys that pass a condition, in order."""
        ordering: Any = [{"column_name": "key"}]
        query = self._call(
            lambda: (
                self._latest()
                .search()
                .where(where)
                .select(["key"])
                .order_by(ordering)
                .limit(limit)
                .to_arrow()
            )
        )
        return list(query["key"].to_pylist())

    def closest(self, column: str, query: Any, where: str, limit: int, probes: int | None) -> Any:
        """The closest rows: key, version, the vector and ``_distance``.

        Args:
            probes: how many lists of the index to search; None compares with every vector.
        """

        def ask() -> pa.Table:
            search = self._latest().search(query, vector_column_name=column)
            search = search.distance_type("dot").where(where, prefilter=True)
            search = search.bypass_vector_index() if probes is None else search.nprobes(probes)
            return search.select(["key", "version", column, "_distance"]).limit(limit).to_arrow()

        return self._call(ask)

    def merge(self, rows: pa.Table) -> None:
        """Insert or replace whole rows, by key."""
        self._write(
            lambda table: (
                _merge(table).when_matched_update_all().when_not_matched_insert_all(),
                rows,
            )
        )

    def merge_columns(self, rows: pa.Table) -> None:
        """Set some columns of rows that are there with that version."""
        same = "target.version = source.version"
        self._write(lambda table: (_merge(table).when_matched_update_all(where=same), rows))

    def delete(self, where: str) -> None:
        """Delete rows."""
        self._call(lambda: self._latest().delete(where))
        self._wrote()

    def add_column(self, field: pa.Field) -> None:
        """Add a column of NULLs."""
        self._call(lambda: self._latest().add_columns(pa.schema([field])))

    def drop_column(self, name: str) -> None:
        """Drop a column with its index."""
        self._call(lambda: self._latest().drop_columns([name]))

    def build_index(self, column: str, lists: int) -> None:
        """Build an index of plain vectors in lists, without quantisation."""
        config = IvfFlat(distance_type="dot", num_partitions=lists)
        self._call(lambda: self._latest().create_index(column, config=config))

    def compact(self) -> None:
        """Put small files together, bring indexes up to date, delete old versions."""
        self._writes = 0
        keep = timedelta(seconds=KEEP_SECONDS)
        self._call(lambda: self._latest().optimize(cleanup_older_than=keep))

    def sync(self) -> None:
        """Wait until every file is on the disk. Files are never changed, so once is enough."""
        self.refuse_closed()
        found = {file for file in self._folder.rglob("*") if file.is_file()}
        for path in [*(found - self._synced), *{file.parent for file in found - self._synced}]:
            _fsync(path)
        self._synced = found

    def close(self) -> None:
        """Refuse all further work."""
        self._closed = True

    def refuse_closed(self) -> None:
        """Raise StoreError if it has been closed."""
        if self._closed:
            raise StoreError(f"{self._uri} has been closed; open it again")

    def _latest(self) -> Any:
        # A handle that has not seen the last write would write beside it: rows come twice.
        self._table.checkout_latest()
        return self._table

    def _write(self, prepare: Callable[[Any], tuple[Any, pa.Table]]) -> None:
        def execute() -> None:
            builder, rows = prepare(self._latest())
            # Vectors have been checked; "bad" ones are NULL, and a batch may hold nothing else.
            builder.execute(rows, on_bad_vectors="null")

        self._call(execute)
        self._wrote()

    def _wrote(self) -> None:
        self._writes += 1
        if self._writes >= COMPACT_AFTER:
            self.compact()

    def _call(self, function: Callable[[], _Result]) -> _Result:
        self.refuse_closed()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                return function()
        except StoreError:
            raise
        except Exception as error:
            raise StoreError(f"{self._uri}: {error}") from error


def _opened(path: Path, name: str) -> Any:
    database = lancedb.connect(str(path))
    if (path / f"{name}.lance").exists():
        return database.open_table(name)
    return database.create_table(name, schema=FIRST_COLUMNS)


def _merge(table: Any) -> Any:
    return table.merge_insert("key").use_index(False)


def _fsync(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return  # a compaction has deleted it meanwhile
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
