"""Logs of queries: ``.npz`` with ``new (q, d_new)``, and ``old (q, d_old)`` if it is there."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.embeddings.formats import read_npz
from crossfade.embeddings.vectors import FloatArray, unit_rows
from crossfade.errors import DataFileError, InvalidInput

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
        """Read an ``.npz`` file of ``new``, and ``old`` if it is there.

        Raises:
            DataFileError: the file can't be read, or has no array ``new``.
            InvalidInput: what it holds is no embeddings.
        """
        arrays = read_npz(Path(path))
        if "new" not in arrays:
            raise DataFileError(f"{path} holds {sorted(arrays)}, wanted an array new (q, d_new)")
        return cls(*(_rows(arrays.get(name), f"{path}: {name}") for name in ("new", "old")))

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
