"""What fitting learned about orders of backfilling: an optional part of the artifact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.embeddings import FloatArray
from crossfade.errors import InvalidInput
from crossfade.upgrade.transform import Affine, Transform

__all__ = ["Ordering", "order_features"]

_SMALLEST_LENGTH = 1e-6
_MORE_FEATURES = 3


@dataclass(frozen=True, eq=False)
class Ordering:
    """Predictions for an item from its old vector alone.

    Attributes:
        residual, gain: linear in the item's features ``(d, 1)``, see :func:`order_features`:
            how far the map misses it, and how much moving it lifts all rankings; as ranks
            among the pairs fitted on, from 0 to 1.
        centre: ``(d_new,)``, unit: the mean of the stored new vectors.
        cluster_means: ``(k, d_old)``. class_means: ``(k, d_old)``, or None without labels.
        chosen: the order that fitting recommends.
    """

    residual: Affine
    gain: Affine
    centre: FloatArray
    cluster_means: FloatArray
    class_means: FloatArray | None = None
    chosen: str = "random"

    def residual_of(self, old: FloatArray, forward: Transform | None) -> FloatArray:
        """The predicted residual of ``(n, d_old)`` items, ``(n,)``."""
        return self.residual(order_features(old, forward, self.centre))[:, 0]

    def gain_of(self, old: FloatArray, forward: Transform | None) -> FloatArray:
        """The expected gain of ``(n, d_old)`` items, ``(n,)``."""
        return self.gain(order_features(old, forward, self.centre))[:, 0]

    def check(self, dim_old: int, dim_new: int, *, has_forward: bool) -> None:
        """That it is of an upgrade with these widths.

        Raises:
            InvalidInput: it is of another.
        """
        features = dim_old + (_MORE_FEATURES if has_forward else 0)
        shapes = {
            "residual": (self.residual.weight.shape, (features, 1)),
            "gain": (self.gain.weight.shape, (features, 1)),
            "centre": (self.centre.shape, (dim_new,)),
            "cluster_means": (self.cluster_means.shape[1:], (dim_old,)),
        }
        if self.class_means is not None:
            shapes["class_means"] = (self.class_means.shape[1:], (dim_old,))
        for name, (got, wanted) in shapes.items():
            if got != wanted:
                raise InvalidInput(f"the ordering's {name} is of shape {got}, wanted {wanted}")

    def tensors(self) -> dict[str, FloatArray]:
        """Arrays by name, for saving."""
        named = {
            "residual.weight": self.residual.weight,
            "residual.bias": self.residual.bias,
            "gain.weight": self.gain.weight,
            "gain.bias": self.gain.bias,
            "centre": self.centre,
            "cluster_means": self.cluster_means,
        }
        if self.class_means is not None:
            named["class_means"] = self.class_means
        return {name: np.ascontiguousarray(value) for name, value in named.items()}

    def describe(self) -> dict[str, Any]:
        """As JSON: what :meth:`restore` needs beside the arrays."""
        return {"chosen": self.chosen, "classes": self.class_means is not None}

    @classmethod
    def restore(cls, description: Mapping[str, Any], tensors: Mapping[str, FloatArray]) -> Ordering:
        """From :meth:`describe` and :meth:`tensors`."""
        return cls(
            residual=Affine(tensors["residual.weight"], tensors["residual.bias"]),
            gain=Affine(tensors["gain.weight"], tensors["gain.bias"]),
            centre=tensors["centre"],
            cluster_means=tensors["cluster_means"],
            class_means=tensors["class_means"] if description["classes"] else None,
            chosen=str(description["chosen"]),
        )


def order_features(old: FloatArray, forward: Transform | None, centre: FloatArray) -> FloatArray:
    """What orders are predicted from, ``(n, d_old + 3)``; ``(n, d_old)`` without forward map.

    The old vector; the length of the forward map's output before scaling, and its logarithm: a
    short one is unsure; and how near the mapped vector is to the centre of the new space.
    """
    if forward is None:
        return old
    raw = forward.raw(old)
    length: NDArray[Any] = np.maximum(np.linalg.norm(raw, axis=1), _SMALLEST_LENGTH)
    more = np.stack([length, np.log(length), (raw @ centre) / length], axis=1)
    return np.hstack([old, more.astype(np.float32)])
