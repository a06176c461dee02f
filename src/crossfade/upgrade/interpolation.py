"""Two views of one query as one query: the old embedding and psi(new), on the sphere.

Spherical linear interpolation, K. Shoemake, *Animating rotation with quaternion curves*,
SIGGRAPH 1985: ``slerp(u, v, w) = (sin((1 - w) a) u + sin(w a) v) / sin a`` with ``cos a = u.v``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.embeddings import FloatArray, normalise
from crossfade.errors import InvalidInput

__all__ = ["Interpolation", "slerp"]

# Below this sine the arc is a chord: the two ends are the same, or opposite.
_SMALLEST_SINE = 1e-6


@dataclass(frozen=True)
class Interpolation:
    """How far an old query is moved towards the mapped new query, by how much they agree.

    ``w = sigmoid(bias + slope * cos(u, v))`` for the old query u and the mapped query v; a
    slope of 0 is a fixed weight.
    """

    bias: float
    slope: float = 0.0

    def __post_init__(self) -> None:
        if not np.isfinite([self.bias, self.slope]).all():
            raise InvalidInput(
                f"interpolation has bias {self.bias} and slope {self.slope}, wanted finite numbers"
            )

    @classmethod
    def fixed(cls, weight: float) -> Interpolation:
        """The same weight of the mapped query for all queries, between 0 and 1.

        Raises:
            InvalidInput: a weight of 0 or less, or of 1 or more: no interpolation is needed.
        """
        if not 0.0 < weight < 1.0:
            raise InvalidInput(f"interpolation weight is {weight}, wanted between 0 and 1")
        return cls(float(np.log(weight / (1.0 - weight))))

    def weights(self, old: FloatArray, mapped: FloatArray) -> NDArray[np.float64]:
        """Weight of the mapped query for each pair of unit rows ``(q, d_old)``, ``(q,)``."""
        agreement = np.einsum("ij,ij->i", old, mapped, dtype=np.float64)
        return np.asarray(1.0 / (1.0 + np.exp(-(self.bias + self.slope * agreement))))

    def __call__(self, old: FloatArray, mapped: FloatArray) -> FloatArray:
        """The query between both, ``(q, d_old)`` unit rows."""
        return slerp(old, mapped, self.weights(old, mapped))

    def describe(self) -> dict[str, float]:
        """As JSON."""
        return {"bias": self.bias, "slope": self.slope}

    @classmethod
    def restore(cls, description: Mapping[str, Any]) -> Interpolation:
        """From :meth:`describe`."""
        return cls(float(description["bias"]), float(description["slope"]))


def slerp(u: FloatArray, v: FloatArray, weight: NDArray[np.float64] | float) -> FloatArray:
    """Unit rows ``(n, d)`` on the arc from u (weight 0) to v (weight 1).

    Args:
        weight: ``(n,)``, or one number for all rows. Rows exactly opposite have no one arc
            between them; the half-way point of such a row is u.
    """
    start, end = u.astype(np.float64), v.astype(np.float64)
    share = np.broadcast_to(np.asarray(weight, dtype=np.float64), len(start))[:, None]
    cosine = np.clip(np.einsum("ij,ij->i", start, end), -1.0, 1.0)[:, None]
    angle, sine = np.arccos(cosine), np.sqrt(1.0 - cosine**2)
    straight = sine < _SMALLEST_SINE
    divisor = np.where(straight, 1.0, sine)
    left = np.where(straight, 1.0 - share, np.sin((1.0 - share) * angle) / divisor)
    right = np.where(straight, share, np.sin(share * angle) / divisor)
    between = left * start + right * end
    lost = np.linalg.norm(between, axis=1) < _SMALLEST_SINE
    between[lost] = start[lost]
    return normalise(between)
