"""``parquet:FILE``: the content is a column of a Parquet file."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from crossfade.embeddings.arrow import pyarrow_parquet, vector_column
from crossfade.embeddings.lookup import RowsById
from crossfade.embeddings.sources.base import Missing
from crossfade.embeddings.spec import Spec
from crossfade.embeddings.unpacked import temporary_file
from crossfade.embeddings.vectors import as_ids
from crossfade.errors import DataFileError, InvalidInput, OutputError

__all__ = ["ParquetSource", "parquet_source"]

_ROWS_AT_ONCE = 1_024


class ParquetSource:
    """Contents by id, unpacked once into a mapped temporary file: Parquet itself can only be
    read in large parts, and a backfill asks in random order.

    Args:
        file: the Parquet file.
        id, content: its columns. Content is text, bytes, or a struct with a field ``bytes``,
            as data sets of images have.

    Raises:
        DataFileError: it can't be read, or lacks a column. InvalidInput: an id is there twice.
    """

    def __init__(self, file: Path, id: str, content: str) -> None:
        ids, self._contents = _unpack(file, id, content)
        where = f"{file}, column {id}"
        try:
            self._rows = RowsById(as_ids(ids), where)
        except InvalidInput as error:
            raise InvalidInput(f"{where}: {error}") from error
        counts = [self._contents.get_batch(n).num_rows for n in range(self._batches)]
        self._starts = [0, *np.cumsum(counts).tolist()]
        self._where = f"{file}, column {content}"

    @property
    def _batches(self) -> int:
        return int(self._contents.num_record_batches)

    def __call__(
        self, ids: Sequence[int | str], payloads: Sequence[Mapping[str, Any]], /
    ) -> list[Any]:
        del payloads
        return [self._content(id) for id in ids]

    def _content(self, id: int | str) -> Any:
        row = self._rows.find(id)
        if row is None:
            return Missing(self._rows.why_missing(id))
        batch = bisect_right(self._starts, row) - 1
        value = self._contents.get_batch(batch).column(0)[row - self._starts[batch]].as_py()
        if isinstance(value, Mapping):
            value = value.get("bytes")
        return Missing(f"{self._where} is null for id {id!r}") if value is None else value


def parquet_source(spec: Spec) -> ParquetSource:
    """``parquet:FILE?id=COLUMN&content=COLUMN``."""
    spec.allow("id", "content")
    return ParquetSource(Path(spec.target), spec.text("id", "id"), spec.text("content", "content"))


def _unpack(path: Path, id: str, content: str) -> tuple[Any, Any]:
    arrow, parquet = pyarrow_parquet()
    if not path.is_file():
        raise DataFileError(f"{path} does not exist or is no file; wanted a Parquet file")
    try:
        with parquet.ParquetFile(path) as file, temporary_file(path) as (out, name):
            _require(file.schema_arrow, (id, content), path)
            schema = arrow.schema([("content", _plain(file.schema_arrow.field(content).type))])
            parts = []
            with arrow.ipc.new_file(out, schema) as writer:
                for batch in file.iter_batches(_ROWS_AT_ONCE, columns=[id, content]):
                    parts.append(vector_column(batch.column(id), f"{path}: column {id}"))
                    column = batch.column(content).cast(schema.field(0).type)
                    writer.write_batch(arrow.record_batch([column], schema=schema))
            out.flush()
            ids = np.concatenate(parts) if parts else np.empty(0, np.int64)
            return ids, arrow.ipc.open_file(arrow.memory_map(str(name)))
    except OutputError:
        raise
    except (arrow.ArrowException, OSError) as error:
        raise DataFileError(f"{path} can't be read ({error}); is it truncated?") from error


def _plain(kind: Any) -> Any:
    arrow, _ = pyarrow_parquet()
    return kind.value_type if arrow.types.is_dictionary(kind) else kind


def _require(schema: Any, columns: Sequence[str], path: Path) -> None:
    for column in columns:
        if column not in schema.names:
            raise DataFileError(
                f"{path} has no column {column!r}; it has {', '.join(schema.names)} (name them "
                "by ?id=COLUMN&content=COLUMN)"
            )
