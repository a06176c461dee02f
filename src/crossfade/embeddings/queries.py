"""Files of queries: ``.npz`` with ``new (q, d_new)``, ``old (q, d_old)``, ``ids (q,)``, or some."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.errors import DataFileError

__all__ = ["new_queries", "query_arrays"]


def query_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of the file.

    Raises:
        DataFileError: it can't be read.
    """
    try:
        # From memory: a damaged file would be left open otherwise.
        with np.load(BytesIO(path.read_bytes()), allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except Exception as error:
        raise DataFileError(
            f"{path} can't be read as .npz of arrays new, old, ids: {error}"
        ) from error


def new_queries(path: Path) -> NDArray[Any]:
    """The queries' new embeddings, unchecked.

    Raises:
        DataFileError: the file can't be read or has none.
    """
    arrays = query_arrays(path)
    if "new" not in arrays:
        raise DataFileError(f"{path} holds {sorted(arrays)}, wanted an array new (q, d_new)")
    return arrays["new"]
