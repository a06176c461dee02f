"""CIFAR-100 as distributed: the folder ``cifar-100-python`` with ``train`` and ``test``.

Krizhevsky, *Learning Multiple Layers of Features from Tiny Images*, 2009. The files are Python
pickles, which may run code when they are loaded. They are read here with an unpickler that
makes NumPy arrays, and refuses everything else.
"""

from __future__ import annotations

import codecs
import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.bench.layouts.photos import FIRST_GALLERY_ID, Photos, PhotoSet, Shape
from crossfade.errors import DataFileError

__all__ = ["holds_cifar100", "read_cifar100"]

_SIDE = 32
_ROW_BYTES = 3 * _SIDE * _SIDE


def holds_cifar100(folder: Path) -> bool:
    """Whether the folder is ``cifar-100-python``."""
    return all((folder / name).is_file() for name in ("train", "test", "meta"))


def read_cifar100(folder: Path) -> PhotoSet:
    """The 50,000 training photos, and the 10,000 test photos as gallery and queries.

    Raises:
        DataFileError: a file is not what is distributed.
    """
    return PhotoSet(
        name="cifar100",
        shape=Shape(_SIDE, _SIDE, crops_scale=False),
        train=_photos(folder / "train", 0),
        gallery=_photos(folder / "test", FIRST_GALLERY_ID),
    )


def _photos(path: Path, first_id: int) -> Photos:
    content = _unpickle(path)
    if not isinstance(content, dict) or not {b"data", b"fine_labels"} <= content.keys():
        raise DataFileError(f"{path} holds no b'data' and b'fine_labels'; is it CIFAR-100's?")
    data, labels = content[b"data"], np.asarray(content[b"fine_labels"])
    n = len(labels)
    if getattr(data, "dtype", None) != np.uint8 or data.shape != (n, _ROW_BYTES):
        raise DataFileError(
            f"{path}: data is {getattr(data, 'shape', type(data))}, wanted ({n}, {_ROW_BYTES}), "
            "uint8"
        )
    pixels = data.reshape(n, 3, _SIDE, _SIDE).transpose(0, 2, 3, 1)
    return Photos(first_id + np.arange(n), labels.astype(np.int64), np.ascontiguousarray(pixels))


def _unpickle(path: Path) -> Any:
    try:
        return _ArraysOnly(io.BytesIO(path.read_bytes()), encoding="bytes").load()
    except DataFileError:
        raise
    except Exception as error:
        # A damaged pickle fails in any way: its bytes are instructions.
        raise DataFileError(f"{path} can't be read as a CIFAR-100 file: {error}") from error


class _ArraysOnly(pickle.Unpickler):
    """Finds what NumPy arrays and bytes are made with, under any NumPy's names for it."""

    def find_class(self, module: str, name: str, /) -> Any:
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype")):
            return getattr(np, name)
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "_reconstruct":
            return _empty_array
        if (module, name) == ("_codecs", "encode"):
            return _latin_bytes
        raise DataFileError(
            f"the pickle asks for {module}.{name}; CIFAR-100 holds arrays, numbers and bytes only. "
            "It was not loaded: don't trust this file"
        )


def _empty_array(*_: Any) -> NDArray[Any]:
    """What NumPy's pickles begin with; shape and content are set afterwards."""
    return np.empty(0, np.int8)


def _latin_bytes(text: str, encoding: Any = "latin1") -> bytes:
    """How Python 3 writes bytes into pickles of protocol 2."""
    if encoding not in ("latin1", b"latin1"):
        raise DataFileError("the pickle asks for a codec; it was not loaded")
    return codecs.encode(text, "latin1")
