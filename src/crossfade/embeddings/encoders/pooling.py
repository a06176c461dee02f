"""One row an item from a model's output: ``(n, t, d)`` of t tokens becomes ``(n, d)``."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.embeddings.vectors import FloatArray
from crossfade.errors import EncoderMisconfigured

__all__ = ["POOLINGS", "pooled"]

POOLINGS = ("mean", "cls", "last", "max")


def pooled(output: FloatArray, mask: NDArray[Any] | None, pooling: str, name: str) -> FloatArray:
    """Reduce a model's output to rows.

    Args:
        output: ``(n, d)`` is taken as it is, also with trailing sizes of 1; else ``(n, t, d)``.
        mask: ``(n, t)``, 1 where a token is real; None where all are.
        pooling: ``mean`` or ``max`` over the real tokens, the first (``cls``) or the ``last``.

    Raises:
        EncoderMisconfigured: another shape.
    """
    while output.ndim > 2 and output.shape[-1] == 1:
        output = output[..., 0]
    if output.ndim == 2:
        return output
    if output.ndim != 3:
        raise EncoderMisconfigured(
            f"{name} gives shape {output.shape}, wanted (n, d) or (n, tokens, d); choose another "
            "of its outputs by the option output"
        )
    real = np.ones(output.shape[:2], bool) if mask is None else mask.astype(bool)
    if real.shape != output.shape[:2]:
        raise EncoderMisconfigured(
            f"{name} gives {output.shape[1]} tokens for {real.shape[1]}; choose another of its "
            "outputs by the option output"
        )
    return _pool(output, real, pooling)


def _pool(output: FloatArray, real: NDArray[np.bool_], pooling: str) -> FloatArray:
    rows = np.arange(len(output))
    if pooling == "cls":
        # Tokenizers may pad on the left.
        return np.asarray(output[rows, real.argmax(axis=1)])
    if pooling == "last":
        return np.asarray(output[rows, real.shape[1] - 1 - real[:, ::-1].argmax(axis=1)])
    if pooling == "max":
        return np.asarray(np.where(real[..., None], output, -np.inf).max(axis=1))
    weights = real[..., None].astype(np.float32)
    return np.asarray((output * weights).sum(axis=1) / np.maximum(weights.sum(axis=1), 1.0))
