"""``precomputed:FILE``: new embeddings that were made elsewhere, by id."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.embeddings.arrow import matrix_column, pyarrow_parquet, vector_column
from crossfade.embeddings.encoders.base import ContentEncoder, Takes
from crossfade.embeddings.formats import UNREADABLE, read_npy
from crossfade.embeddings.lookup import RowsById
from crossfade.embeddings.spec import Spec
from crossfade.embeddings.unpacked import map_npz_array, temporary_file
from crossfade.embeddings.vectors import FloatArray, Ids, as_ids
from crossfade.errors import CrossfadeError, DataFileError, EncoderError, InvalidInput, OutputError

__all__ = ["PrecomputedEncoder", "precomputed_encoder"]

_IDS = ("ids", "id")
_VECTORS = ("vectors", "vector", "new")
"""Names looked for, the first that is there; ``new`` is that of a file of pairs."""
_ROWS_AT_ONCE = 8_192


class PrecomputedEncoder(ContentEncoder):
    """Looks new embeddings up; contents are ids. An id without embedding is parked.

    Args:
        ids: ``(n,)`` unique. vectors: ``(n, d_new)``, mapped.
        where: the file, for messages.
    """

    takes = Takes.IDS

    def __init__(self, ids: Ids, vectors: NDArray[Any], name: str, where: str) -> None:
        if vectors.ndim != 2 or vectors.dtype.kind not in "fiu" or vectors.shape[1] == 0:
            raise DataFileError(
                f"{where}: vectors have shape {vectors.shape} of {vectors.dtype}, wanted a matrix "
                "of numbers (n, d)"
            )
        if len(ids) != len(vectors):
            raise DataFileError(f"{where}: {len(vectors)} vectors for {len(ids)} ids")
        self.name = name
        self.dim = vectors.shape[1]
        self._vectors = vectors
        self._rows = RowsById(ids, where)

    def prepare(self, content: Any) -> FloatArray:
        """The embedding ``(d_new,)`` of an id."""
        row = self._rows.find(content)
        if row is None:
            raise EncoderError(self._rows.why_missing(content))
        return np.array(self._vectors[row], dtype=np.float32)

    def encode(self, prepared: Sequence[FloatArray]) -> FloatArray:
        """The embeddings as one matrix."""
        return np.stack(prepared)


def precomputed_encoder(spec: Spec) -> PrecomputedEncoder:
    """``precomputed:FILE?ids=NAME&vectors=NAME``: ``.npz``, ``.parquet``, a folder of ``.npy``."""
    spec.allow("ids", "vectors", "name")
    path = Path(spec.target)
    wanted = [
        (chosen,) if (chosen := spec.options.get(option)) else usual
        for option, usual in (("ids", _IDS), ("vectors", _VECTORS))
    ]
    try:
        ids, vectors = _read(path, *wanted)
    except CrossfadeError:
        raise
    except UNREADABLE as error:
        raise DataFileError(f"{path} can't be read ({error}); is it truncated?") from error
    try:
        checked = as_ids(ids)
    except InvalidInput as error:
        raise InvalidInput(f"{path}: {error}") from error
    name = spec.options.get("name", f"precomputed:{path.name}")
    return PrecomputedEncoder(checked, vectors, name, str(path))


def _read(
    path: Path, ids: Collection[str], vectors: Collection[str]
) -> tuple[NDArray[Any], NDArray[Any]]:
    if path.is_dir():
        held = {file.stem for file in path.glob("*.npy")}
        id_name, vector_name = _chosen(path, held, ids), _chosen(path, held, vectors)
        return (
            read_npy(path / f"{id_name}.npy", mapped=False),
            read_npy(path / f"{vector_name}.npy", mapped=True),
        )
    if not path.is_file():
        raise DataFileError(f"{path} does not exist; wanted .npz, .parquet or a folder of .npy")
    if path.suffix == ".npz":
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            id_name, vector_name = (
                _chosen(path, file.files, ids),
                _chosen(path, file.files, vectors),
            )
            return file[id_name], map_npz_array(path, vector_name)
    if path.suffix == ".parquet":
        return _read_parquet(path, ids, vectors)
    raise DataFileError(f"{path}: unknown form {path.suffix!r}; wanted .npz, .parquet or a folder")


def _read_parquet(
    path: Path, ids: Collection[str], vectors: Collection[str]
) -> tuple[NDArray[Any], NDArray[Any]]:
    arrow, parquet = pyarrow_parquet()
    try:
        with parquet.ParquetFile(path) as file, temporary_file(path) as (out, name):
            held = file.schema_arrow.names
            id_name, vector_name = _chosen(path, held, ids), _chosen(path, held, vectors)
            parts, widths = [], set()
            for batch in file.iter_batches(_ROWS_AT_ONCE, columns=[id_name, vector_name]):
                parts.append(vector_column(batch.column(id_name), f"{path}: column {id_name}"))
                rows = matrix_column(batch.column(vector_name), f"{path}: column {vector_name}")
                widths.add(rows.shape[1])
                out.write(np.ascontiguousarray(rows, dtype=np.float32).tobytes())
            out.flush()
            if len(widths) != 1:
                raise DataFileError(f"{path} holds vectors of the widths {sorted(widths)}")
            return np.concatenate(parts), np.memmap(name, np.float32, "r").reshape(-1, *widths)
    except OutputError:
        raise
    except (arrow.ArrowException, OSError) as error:
        raise DataFileError(f"{path} can't be read ({error}); is it truncated?") from error


def _chosen(path: Path, held: Collection[str], names: Collection[str]) -> str:
    for name in names:
        if name in held:
            return name
    raise DataFileError(
        f"{path} lacks {' or '.join(names)}; it holds {', '.join(sorted(held)) or 'nothing'} "
        "(name others by ?ids=...&vectors=...)"
    )
