"""What an item's mapped score is raised or lowered by, whatever the query.

A mapped vector is an estimate, and two things are known of it that its direction alone does not
say. How *unsure* it is: a regression shrinks what it doesn't know, so a short image stands for an
item that may as well lie elsewhere, and its score for the very query that it answers comes out too
low. And how much of a *hub* it is: regression draws images towards the mean of the new space, and
what lies near the mean is near to every query. So a mapped item scores

    s = <q, f> + w u,    u = |mu|^2 - <f, mu> + (a / 2) (typical - |raw - mu|^2)

with ``raw`` the regression's image, ``f`` the same at unit length, ``mu`` the mean of the new
space. The second term is what is left of a Gaussian log-likelihood ratio of "q was asked for this
item" when all that depends on the query alone is taken away: with a = 1 the score is the Euclidean
distance to the regression's image. The more pairs a dimension a map was fitted on, the more its
lengths mean (``docs/experiments.md``, "Offsets of items").

A store that knows unit vectors and their inner products alone keeps it all the same: the vector
``(f, u, sqrt(U^2 - u^2)) / sqrt(1 + U^2)`` is one, and so is ``(q, w, 0) / sqrt(1 + w^2)``, the
query (the reduction of Bachrach et al., *Speeding Up the Xbox Recommender System*, RecSys 2014).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from crossfade.embeddings import FloatArray
from crossfade.errors import InvalidInput

__all__ = ["ItemOffset", "doubt_of"]

_LARGEST = 0.5
_EXTRA_DIMENSIONS = 2
_ONE_ENCODER, _TWO_ENCODERS = 0.3, 0.6
_DOUBT_AT_ONE, _DOUBT_PER_DECADE = 0.53, 0.2
_LEAST_DOUBT, _MOST_DOUBT = 0.3, 0.85


def doubt_of(pairs_per_dimension: float) -> float:
    """a: how much a short image is raised, by the number of pairs that the map was fitted on."""
    doubt = _DOUBT_AT_ONE + _DOUBT_PER_DECADE * math.log10(pairs_per_dimension)
    return min(_MOST_DOUBT, max(_LEAST_DOUBT, doubt))


@dataclass(frozen=True, eq=False)
class ItemOffset:
    """See the module.

    Attributes:
        mean: ``(d_new,)`` mu. doubt: a, mostly 0 to 1.
        typical: mean of ``|raw - mu|^2`` over items that the map was not fitted on.
        one_encoder, two_encoders: w in either mode; in the latter the old model's own score
            holds in check what is raised too much.
    """

    mean: FloatArray
    doubt: float
    typical: float
    one_encoder: float = _ONE_ENCODER
    two_encoders: float = _TWO_ENCODERS

    def __post_init__(self) -> None:
        if self.mean.ndim != 1 or not np.isfinite(self.mean).all():
            raise InvalidInput(
                f"an item offset's mean has shape {self.mean.shape}, wanted (d_new,), all finite"
            )
        for name in ("doubt", "typical", "one_encoder", "two_encoders"):
            if not 0.0 <= (value := getattr(self, name)) < math.inf:
                raise InvalidInput(f"an item offset's {name} is {value}, wanted 0 or more")

    @property
    def extra_dimensions(self) -> int:
        """How many the stored vectors have beside those of the new space."""
        return _EXTRA_DIMENSIONS

    def weight(self, *, two_encoders: bool) -> float:
        """w in this mode."""
        return self.two_encoders if two_encoders else self.one_encoder

    def vectors(self, mapped: FloatArray, raw: FloatArray) -> FloatArray:
        """What is stored, ``(n, d_new + 2)`` unit rows.

        Args:
            mapped: ``(n, d_new)`` unit rows. raw: ``(n, d_new)``, before scaling.
        """
        # In float64, for what equal items must: tie, see Affine.
        mu = self.mean.astype(np.float64)
        f, image = mapped.astype(np.float64), raw.astype(np.float64) - mu
        hub = (f * mu).sum(axis=1) - mu @ mu
        surer = (image * image).sum(axis=1) - self.typical
        return self._with(f, np.clip(-hub - self.doubt / 2 * surer, -_LARGEST, _LARGEST))

    def typical_vectors(self, mapped: FloatArray) -> FloatArray:
        """The same of items whose offset is left out."""
        return self._with(mapped.astype(np.float64), np.zeros(len(mapped)))

    def queries(self, new: FloatArray, weight: float) -> FloatArray:
        """Unit rows ``(q, d_new + 2)`` that search what is stored."""
        ends = np.tile(np.array([weight, 0.0], dtype=np.float32), (len(new), 1))
        rows = np.concatenate([new, ends], axis=1) / np.float32(math.hypot(1.0, weight))
        return np.asarray(rows, dtype=np.float32)

    def scores(self, similarities: Any, weight: float) -> FloatArray:
        """s, of inner products of such queries and what is stored."""
        length = math.hypot(1.0, _LARGEST) * math.hypot(1.0, weight)
        return np.asarray(similarities, dtype=np.float32) * np.float32(length)

    @cached_property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that tell it from any other."""
        digest = hashlib.sha256(repr(sorted(self.describe().items())).encode())
        digest.update(self.mean.tobytes())
        return digest.hexdigest()[:12]

    def describe(self) -> dict[str, float]:
        """All but the mean, as JSON."""
        names = ("doubt", "typical", "one_encoder", "two_encoders")
        return {name: float(getattr(self, name)) for name in names}

    @classmethod
    def restore(cls, description: Mapping[str, Any], mean: FloatArray) -> ItemOffset:
        """From :meth:`describe`."""
        return cls(mean, **{name: float(value) for name, value in description.items()})

    def _with(self, f: np.ndarray[Any, Any], offset: np.ndarray[Any, Any]) -> FloatArray:
        rest = np.sqrt(np.maximum(_LARGEST**2 - offset**2, 0.0))
        rows = np.concatenate([f, offset[:, None], rest[:, None]], axis=1)
        return np.asarray(rows / math.hypot(1.0, _LARGEST), dtype=np.float32)
