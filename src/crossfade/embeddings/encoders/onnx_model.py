"""An ONNX model under ONNX Runtime: what image and text encoders share."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.embeddings.vectors import FloatArray
from crossfade.errors import EncoderMisconfigured, InvalidInput, MissingExtra

__all__ = ["OnnxModel", "file_digest"]

_TYPES: dict[str, Any] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
}


class OnnxModel:
    """A model file.

    Args:
        output: the name of the output to read; by default the first.
        threads: how many threads a run may use; by default as many as there are cores.

    Attributes:
        inputs: the shape of each input, by name: numbers, or None where any size goes.

    Raises:
        InvalidInput: there is no such file. EncoderMisconfigured: it is no model.
    """

    def __init__(self, path: Path, output: str | None, threads: int | None) -> None:
        if not path.is_file():
            raise InvalidInput(f"there is no ONNX model {path}")
        self.path = path
        self._session = _session(path, threads)
        self.inputs: dict[str, tuple[int | None, ...]] = {
            node.name: _shape(node.shape) for node in self._session.get_inputs()
        }
        self._types = {node.name: _TYPES.get(node.type) for node in self._session.get_inputs()}
        shapes = {node.name: _shape(node.shape) for node in self._session.get_outputs()}
        self._output = output or next(iter(shapes))
        if self._output not in shapes:
            raise InvalidInput(
                f"{path} has no output {output!r}; it has {', '.join(sorted(shapes))}"
            )
        self._shape = shapes[self._output]

    @property
    def dim(self) -> int | None:
        """The width of the output where the model states it."""
        return _last_true(self._shape) if len(self._shape) >= 2 else None

    def type_of(self, name: str) -> Any:
        """The NumPy type of an input.

        Raises:
            EncoderMisconfigured: one that no encoder here can feed.
        """
        if self._types[name] is None:
            raise EncoderMisconfigured(f"{self.path}: input {name} is of a type not supported")
        return self._types[name]

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> FloatArray:
        """The output for ``n`` rows of every input; a model with a fixed batch is fed in parts.

        Raises:
            EncoderMisconfigured: the model refuses them.
        """
        name, rows = next(iter(feeds.items()))
        fixed = self.inputs[name][0] if self.inputs[name] else None
        if fixed is None or fixed == len(rows):
            return self._run(feeds)
        parts = []
        for start in range(0, len(rows), fixed):
            left = min(fixed, len(rows) - start)
            # The last row again fills up the last part.
            index = np.minimum(np.arange(start, start + fixed), len(rows) - 1)
            parts.append(self._run({key: value[index] for key, value in feeds.items()})[:left])
        return np.concatenate(parts)

    def _run(self, feeds: Mapping[str, NDArray[Any]]) -> FloatArray:
        n = len(next(iter(feeds.values())))
        try:
            (out,) = self._session.run([self._output], dict(feeds))
        except Exception as error:  # ONNX Runtime's errors have no base of their own
            raise EncoderMisconfigured(f"{self.path} failed: {_first_line(error)}") from error
        if not isinstance(out, np.ndarray) or out.ndim < 2 or len(out) != n:
            raise EncoderMisconfigured(
                f"{self.path}: output {self._output} has shape {np.shape(out)} for {n} inputs, "
                "wanted a row each"
            )
        return np.asarray(out, dtype=np.float32)


def file_digest(path: Path, settings: Mapping[str, Any]) -> str:
    """A short hash of a model's file, the weights kept beside it, and how it is used."""
    digest = hashlib.sha256(repr(sorted(settings.items())).encode())
    for name in (path.name, f"{path.name}.data", f"{path.name}_data"):
        if (part := path.with_name(name)).is_file():
            with part.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:12]


def _session(path: Path, threads: int | None) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtra("an ONNX encoder", "onnx") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads = threads
    try:
        return onnxruntime.InferenceSession(
            str(path), options, providers=onnxruntime.get_available_providers()
        )
    except Exception as error:  # ONNX Runtime's errors have no base of their own
        raise EncoderMisconfigured(
            f"{path} is no ONNX model that can be loaded: {_first_line(error)}"
        ) from error


def _shape(shape: list[Any]) -> tuple[int | None, ...]:
    return tuple(size if isinstance(size, int) else None for size in shape)


def _last_true(shape: tuple[int | None, ...]) -> int | None:
    """The width; (n, d, 1, 1) is (n, d) of a convolutional network."""
    while len(shape) > 2 and shape[-1] == 1:
        shape = shape[:-1]
    return shape[-1]


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:300] if str(error) else type(error).__name__
