"""The same items embedded in both spaces: what fitting, galleries and queries are made of."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.embeddings.space import Space
from crossfade.embeddings.vectors import (
    FloatArray,
    Ids,
    as_ids,
    normalise,
    plain_array,
    unit_rows,
    valid_rows,
)
from crossfade.errors import InvalidInput

__all__ = ["Pairs"]

_HASH_ROWS = 8_192


@dataclass(frozen=True, eq=False)
class Pairs:
    """Items with their old and new embeddings, aligned by row.

    Build it with :meth:`of` (arrays) or :meth:`load` (files); both validate. Arrays in
    memory are normalised at once; memory-mapped ones stay on disk, and :meth:`old_rows` and
    :meth:`new_rows` normalise what is asked for. Use these two wherever rows may be many.

    Attributes:
        ids: ``(n,)`` int64 or str, unique.
        old: ``(n, d_old)`` old embeddings.
        new: ``(n, d_new)`` new embeddings.
        labels: ``(n,)`` class labels, or None.
        source: the old space. target: the new space.
    """

    ids: Ids
    old: NDArray[Any]
    new: NDArray[Any]
    labels: NDArray[Any] | None
    source: Space
    target: Space

    @classmethod
    def of(
        cls,
        ids: Any,
        old: Any,
        new: Any,
        labels: Any | None = None,
        *,
        old_name: str = "old",
        new_name: str = "new",
    ) -> Pairs:
        """Validate arrays and bring them to the one convention.

        Args:
            ids: ``(n,)`` integers or strings, unique.
            old, new: ``(n, d_old)`` and ``(n, d_new)`` numbers; float16 is accepted.
            labels: ``(n,)`` class labels of any type NumPy can sort.
            old_name, new_name: names of the two models.

        Raises:
            InvalidInput: lengths differ, ids repeat, NaN, infinite or zero rows.
        """
        checked = as_ids(ids)
        old_array, new_array = _as_rows(old, "old"), _as_rows(new, "new")
        n = len(checked)
        for name, rows in (("old", old_array), ("new", new_array)):
            if len(rows) != n:
                raise InvalidInput(f"{name} has {len(rows)} rows for {n} ids; one row an id")
        return cls(
            checked,
            old_array,
            new_array,
            _as_labels(labels, n),
            Space(old_name, old_array.shape[1]),
            Space(new_name, new_array.shape[1]),
        )

    @classmethod
    def load(cls, path: str | Path) -> Pairs:
        """Read ``.npz``, ``.parquet``, or a folder of ``.npy`` files (memory-mapped).

        Raises:
            DataFileError: missing, truncated, or without the arrays wanted.
            InvalidInput: what it holds is not valid.
        """
        from crossfade.embeddings.formats import read_pairs

        return read_pairs(Path(path))

    def save(self, path: str | Path) -> None:
        """Write by the path's form: ``.npz``, ``.parquet``, or a folder of ``.npy`` files.

        Raises:
            OutputError: the path can't be written; nothing is left half-written.
        """
        from crossfade.embeddings.formats import write_pairs

        write_pairs(self, Path(path))

    def named(self, old_name: str | None = None, new_name: str | None = None) -> Pairs:
        """The same pairs, of models with these names; files hold none: ``old`` and ``new``."""
        source = Space(old_name or self.source.name, self.source.dim)
        target = Space(new_name or self.target.name, self.target.dim)
        return replace(self, source=source, target=target)

    def __len__(self) -> int:
        return len(self.ids)

    def old_rows(self, rows: Any = slice(None)) -> FloatArray:
        """Old embeddings of some rows, ``(m, d_old)`` float32, unit length."""
        return self._rows(self.old, rows)

    def new_rows(self, rows: Any = slice(None)) -> FloatArray:
        """New embeddings of some rows, ``(m, d_new)`` float32, unit length."""
        return self._rows(self.new, rows)

    def subset(self, rows: Sequence[int] | NDArray[Any]) -> Pairs:
        """The given rows, in memory."""
        index = np.asarray(rows)
        if index.size == 0:
            index = index.astype(np.intp)
        return replace(
            self,
            ids=self.ids[index],
            old=self.old_rows(index),
            new=self.new_rows(index),
            labels=None if self.labels is None else self.labels[index],
        )

    def without_labels(self) -> Pairs:
        """The same pairs as if nobody knew their classes."""
        return replace(self, labels=None)

    def fingerprint(self) -> str:
        """SHA-256 over ids, embeddings and labels; the same data gives the same text."""
        digest = hashlib.sha256()
        digest.update(str((len(self), self.source.dim, self.target.dim)).encode())
        for start in range(0, len(self), _HASH_ROWS):
            part = slice(start, start + _HASH_ROWS)
            digest.update("\0".join(map(str, self.ids[part].tolist())).encode())
            digest.update(self.old_rows(part).tobytes())
            digest.update(self.new_rows(part).tobytes())
            if self.labels is not None:
                digest.update("\0".join(map(str, self.labels[part].tolist())).encode())
        return digest.hexdigest()

    @staticmethod
    def _rows(array: NDArray[Any], rows: Any) -> FloatArray:
        if not isinstance(array, np.memmap):
            return np.asarray(array[rows], dtype=np.float32)
        return normalise(np.asarray(array[rows]))


def _as_rows(array: Any, name: str) -> NDArray[Any]:
    if isinstance(array, np.memmap):
        return valid_rows(array, name=name)
    return unit_rows(array, name=name)


def _as_labels(labels: Any | None, n: int) -> NDArray[Any] | None:
    if labels is None:
        return None
    checked = plain_array(labels, "labels")
    if checked.shape != (n,):
        raise InvalidInput(
            f"labels has shape {checked.shape} for {n} ids; wanted one label an id, ({n},)"
        )
    # NaN is not itself.
    unknown = [row for row, label in enumerate(checked.tolist()) if label is None or label != label]
    if unknown:
        raise InvalidInput(
            f"labels row {unknown[0]} is {checked[unknown[0]]} ({len(unknown)} such rows); give "
            "every item a label, or leave labels out"
        )
    return checked.astype(np.str_) if checked.dtype == object else checked
