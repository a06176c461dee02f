"""Logs of queries: ``.npz`` with ``new (q, d_new)``, and ``old (q, d_old)`` if it is there.

Or a folder of such files, as several processes record them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.embeddings.formats import read_npz
from crossfade.embeddings.vectors import FloatArray, unit_rows
from crossfade.errors import DataFileError, InvalidInput, SpaceMismatch

__all__ = ["QueryLog"]


@dataclass(frozen=True, eq=False)
class QueryLog:
    """A sample of real queries; of what they find nothing is known.

    Attributes:
        new: ``(q, d_new)`` embeddings. old: ``(q, d_old)`` of the same queries, if there are.
    """

    new: FloatArray
    old: FloatArray | None = None

    @classmethod
    def load(cls, path: str | Path) -> QueryLog:
        """Read an ``.npz`` file of ``new``, and ``old`` if it is there, or a folder of them.

        A folder's files are put together: every query once, and ``old`` if all have one.

        Raises:
            DataFileError: a file can't be read, or has no array ``new``; a folder has no file.
            InvalidInput: what it holds is no embeddings, or not of the same queries.
            SpaceMismatch: files of a folder are of other widths than one another.
        """
        path = Path(path)
        if not path.is_dir():
            return cls.of_arrays(read_npz(path), str(path))
        # Their temporary names, while they are written, end otherwise.
        files = sorted(file for file in path.glob("*.npz") if file.is_file())
        if not files:
            raise DataFileError(f"{path} holds no .npz file; wanted a folder of logs of queries")
        return _together({file: cls.load(file) for file in files})

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, NDArray[Any]], name: str) -> QueryLog:
        """Of what a file of this name holds. Raises as :meth:`load` does."""
        if "new" not in arrays:
            raise DataFileError(f"{name} holds {sorted(arrays)}, wanted an array new (q, d_new)")
        log = cls(*(_rows(arrays.get(side), f"{name}: {side}") for side in ("new", "old")))
        if log.old is not None and len(log.old) != len(log.new):
            raise InvalidInput(f"{name} has {len(log.new)} new and {len(log.old)} old embeddings")
        return log

    def checked(self, dim_old: int, dim_new: int) -> QueryLog:
        """The same, at unit length.

        Raises:
            SpaceMismatch: another width. InvalidInput: other rows of one than of the other.
        """
        new = unit_rows(self.new, dim=dim_new, name="new embeddings of queries")
        if self.old is None:
            return QueryLog(new)
        old = unit_rows(self.old, dim=dim_old, name="old embeddings of queries")
        if len(old) != len(new):
            raise InvalidInput(f"the log has {len(new)} new and {len(old)} old embeddings")
        return QueryLog(new, old)

    def distinct(self) -> QueryLog:
        """Each once, where it comes first."""
        first: dict[bytes, int] = {}
        for row, query in enumerate(self.new):
            first.setdefault(query.tobytes(), row)
        rows = list(first.values())
        return QueryLog(self.new[rows], None if self.old is None else self.old[rows])

    def sample(self, most: int) -> QueryLog:
        """At most so many of them, drawn at random, the same each time."""
        rows = np.random.default_rng(0).permutation(len(self.new))[:most]
        return QueryLog(self.new[rows], None if self.old is None else self.old[rows])

    def arrays(self) -> dict[str, FloatArray]:
        """By name, as a file holds them."""
        return {"new": self.new} if self.old is None else {"new": self.new, "old": self.old}

    def save(self, path: Path) -> None:
        """Write the file that :meth:`load` reads."""
        if self.old is None:
            np.savez(path, new=self.new)
        else:
            np.savez(path, new=self.new, old=self.old)

    def fingerprint(self) -> str:
        """SHA-256 over all of it."""
        digest = hashlib.sha256()
        for name, rows in self.arrays().items():
            digest.update(f"{name} {rows.shape}\n".encode())
            digest.update(np.ascontiguousarray(rows).tobytes())
        return digest.hexdigest()

    def __len__(self) -> int:
        return len(self.new)


def _rows(array: NDArray[Any] | None, name: str) -> Any:
    return None if array is None else unit_rows(array, name=name)


def _together(logs: Mapping[Path, QueryLog]) -> QueryLog:
    """Several files' queries, each once."""
    _require_one_width({file: log.new for file, log in logs.items()}, "new")
    olds = {file: log.old for file, log in logs.items() if log.old is not None}
    _require_one_width(olds, "old")
    new: dict[bytes, FloatArray] = {}
    old: dict[bytes, FloatArray] = {}
    for log in logs.values():
        for row, query in enumerate(log.new):
            new.setdefault(query.tobytes(), query)
            if log.old is not None:
                old.setdefault(query.tobytes(), log.old[row])
    if not new:
        return QueryLog(next(iter(logs.values())).new)
    rows = np.stack(list(new.values()))
    return QueryLog(rows, np.stack([old[query] for query in new]) if len(old) == len(new) else None)


def _require_one_width(rows: Mapping[Path, FloatArray], side: str) -> None:
    widths = {array.shape[1]: file for file, array in rows.items()}
    if len(widths) > 1:
        (first, of_first), (second, of_second) = sorted(widths.items())[:2]
        raise SpaceMismatch(
            f"{side} embeddings of queries have dimension {first} in {of_first} and {second} in "
            f"{of_second}; a folder holds logs of the same models: move the others away"
        )
