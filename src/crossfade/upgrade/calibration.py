"""Strictly increasing maps of old-side scores onto the scale of new-side scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.embeddings import FloatArray
from crossfade.errors import InvalidInput

__all__ = ["Calibration"]


@dataclass(frozen=True)
class Calibration:
    """A piecewise linear, strictly increasing map of scores.

    Outside the knots the first and last slopes go on, so no score is ever clipped, and no two
    items of the old side change places.

    Attributes:
        x: old-side scores, strictly increasing, at least two; or empty for the identity.
        y: what they map to, strictly increasing.
    """

    x: tuple[float, ...] = ()
    y: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if len(self.x) != len(self.y) or len(self.x) == 1:
            raise InvalidInput(f"calibration has {len(self.x)} x and {len(self.y)} y knots")
        for name, knots in (("x", self.x), ("y", self.y)):
            if not np.isfinite(knots).all() or not (np.diff(knots) > 0).all():
                raise InvalidInput(f"calibration {name} must be finite and strictly increasing")

    @classmethod
    def affine(cls, scale: float, offset: float) -> Calibration:
        """``score -> scale * score + offset`` with a positive scale."""
        return cls((0.0, 1.0), (offset, offset + scale))

    @property
    def is_identity(self) -> bool:
        """True if scores pass unchanged."""
        return not self.x

    def __call__(self, scores: NDArray[Any]) -> FloatArray:
        """Map scores of any shape; float32."""
        if self.is_identity:
            return np.asarray(scores, dtype=np.float32)
        x, y = np.asarray(self.x), np.asarray(self.y)
        slopes = np.diff(y) / np.diff(x)
        piece = np.clip(np.searchsorted(x, scores, side="right") - 1, 0, len(slopes) - 1)
        return np.asarray(y[piece] + slopes[piece] * (scores - x[piece]), dtype=np.float32)

    def describe(self) -> dict[str, list[float]]:
        """As JSON."""
        return {"x": list(self.x), "y": list(self.y)}

    @classmethod
    def restore(cls, description: Mapping[str, Any]) -> Calibration:
        """From :meth:`describe`."""
        return cls(tuple(map(float, description["x"])), tuple(map(float, description["y"])))
