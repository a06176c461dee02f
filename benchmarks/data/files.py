"""The files of a data set: fit, gallery, queries, judgements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Rows", "write_data_set"]


@dataclass(frozen=True)
class Rows:
    """Items in both spaces: ids ``(n,)``, old ``(n, d_old)``, new ``(n, d_new)``."""

    ids: NDArray[Any]
    old: NDArray[Any]
    new: NDArray[Any]
    labels: NDArray[Any] | None = None

    def save(self, path: Path) -> None:
        """Write as ``.npz``, vectors in float16."""
        columns = {
            "ids": self.ids,
            "old": self.old.astype(np.float16),
            "new": self.new.astype(np.float16),
        }
        if self.labels is not None:
            columns["labels"] = self.labels
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, **columns)


def write_data_set(
    folder: Path,
    *,
    fit: Rows,
    gallery: Rows,
    queries: Rows | None = None,
    relevant: Sequence[tuple[Any, Any]] = (),
) -> None:
    """Write a data set.

    Args:
        queries: left out when the gallery's items are the queries.
        relevant: (query id, gallery id) of every judged answer.
    """
    fit.save(folder / "fit.npz")
    gallery.save(folder / "gallery.npz")
    if queries is not None:
        queries.save(folder / "queries.npz")
        lines = (f"{query} 0 {item} 1\n" for query, item in relevant)
        (folder / "qrels.txt").write_text("".join(lines))
    print(f"{folder}: {len(fit.ids)} pairs to fit on, {len(gallery.ids)} in the gallery")
