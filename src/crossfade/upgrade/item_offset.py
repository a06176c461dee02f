"""What an item's mapped score is raised or lowered by, whatever the query.

A mapped vector is an estimate, and more is known of it than its direction says.

How *unsure* it is: a regression shrinks what it doesn't know, so a short image stands for an item
that may as well lie elsewhere, and its score for the very query that it answers comes out too low.
How much of a *hub* it is: regression draws images towards the mean of the new space, and what lies
near the mean is near to every query; of hubs of other kinds a bank of vectors tells that are asked
for, or may be: what is near to many of them is near to any query, and says little by it. And
regression draws all images *together*. So a mapped item scores

    s = <q, f'> + w_u u + w_v v + w_t t,    f' = mu + (1 + push) (f - mu)
    u = |mu|^2 - <f, mu> + (a / 2) (typical - |raw - mu|^2)
    v = usual - r(f),    t = usual_old - r(o)

with ``raw`` the regression's image, ``f`` the same at unit length, ``mu`` the mean of the new
space, ``r(f)`` the mean of the similarities of f to those of the bank that are nearest to it, and
``r(o)`` that of the item's old vector in a bank of old vectors, for what the old model takes for
near anything where its own view of an item counts too.
u is what is left of a Gaussian log-likelihood ratio of "q was asked for this item" when all that
depends on the query alone is taken away: with a = 1 the score is the Euclidean distance to the
regression's image. The more pairs a dimension a map was fitted on, the more its lengths mean. ``r``
is the item's part of cross-domain similarity local scaling (CSLS; Conneau et al., *Word Translation
Without Parallel Data*, ICLR 2018), which with real queries as its bank is known as querybank
normalisation (Bogolin et al., CVPR 2022). See ``docs/experiments.md``, "Offsets of items".

Where the bank is of real queries, items that are backfilled are lowered too, by what their own new
vectors tell, or hubs among them come above all that wait:

    s = <q, n> + w_v (1 - c) (usual_new - r(n))

The share fades with coverage c, and at c = 1 the score is exactly the new model's.

Such a bank teaches more. A regression minds all directions alike, a ranking those along which is
asked: f then is the image's direction once a matrix has been added, ``f = (g + g D) / |g + g D|``
with ``g = raw / |raw|``, see :mod:`crossfade.upgrade.log_ranking`.

A store that knows unit vectors and their inner products alone keeps it all the same: the vector
``(f', u, v, t, sqrt(L^2 - |f'|^2 - u^2 - v^2 - t^2)) / L`` is one, and so is the query
``(q, w_u, w_v, w_t, 0)`` over its length (the reduction of Bachrach et al., *Speeding Up the Xbox
Recommender System*, RecSys 2014).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from crossfade.embeddings import FloatArray
from crossfade.errors import InvalidInput

__all__ = ["MOST_RAISED", "ItemOffset", "OffsetWeights", "closeness", "doubt_of"]

_LARGEST = 0.5
"""Of each of u, v and t, either way."""
MOST_RAISED = 0.15
"""Of a backfilled item: how much deeper a search for the best must look depends on it."""
_TERMS = 3
_DOUBT_AT_ONE, _DOUBT_PER_DECADE = 0.53, 0.2
_LEAST_DOUBT, _MOST_DOUBT = 0.3, 0.85
_NUMBERS = ("doubt", "typical", "usual", "usual_old", "push")
_NEW_SIDE_NUMBERS = ("new_side", "usual_new")
_BLOCK_SCORES = 2**22
_SHORTEST = 1e-9

_Float64 = NDArray[np.float64]


def doubt_of(pairs_per_dimension: float) -> float:
    """a: how much a short image is raised, by the number of pairs that the map was fitted on."""
    doubt = _DOUBT_AT_ONE + _DOUBT_PER_DECADE * math.log10(pairs_per_dimension)
    return min(_MOST_DOUBT, max(_LEAST_DOUBT, doubt))


def closeness(rows: NDArray[Any], bank: NDArray[Any], nearest: int) -> _Float64:
    """r, ``(n,)``: how near unit rows ``(n, d)`` are to those nearest of a bank ``(m, d)``."""
    columns = bank.astype(np.float64, copy=False).T
    count = min(nearest, len(bank))
    found = np.empty(len(rows))
    step = max(1, _BLOCK_SCORES // len(bank))
    for start in range(0, len(rows), step):
        similar = rows[start : start + step].astype(np.float64, copy=False) @ columns
        highest = np.partition(similar, len(bank) - count, axis=1)[:, -count:]
        # Sorted, since a sum depends on its order, and equal items are to tie.
        found[start : start + step] = np.sort(highest, axis=1).mean(axis=1)
    return found


class OffsetWeights(NamedTuple):
    """w_u, w_v and w_t in a mode."""

    u: float
    v: float
    t: float = 0.0

    def times(self, share: float) -> OffsetWeights:
        """A share of them."""
        return OffsetWeights(*(share * weight for weight in self))

    @property
    def length(self) -> float:
        """Of a unit query with these beside it."""
        return math.hypot(1.0, *self)


@dataclass(frozen=True, eq=False)
class ItemOffset:
    """See the module.

    Attributes:
        mean: ``(d_new,)`` mu.
        bank: ``(m, d_new)`` unit vectors, of queries or of items, at least one.
        old_bank: ``(m, d_old)`` the same in the old space; of none, t is nothing.
        one_encoder, two_encoders: the weights in either mode; in the latter the old model's own
            score holds in check what is raised too much.
        doubt: a, mostly 0 to 1.
        typical: mean of ``|raw - mu|^2``, usual: of r(f) before D is added, usual_old: of r(o),
            over items that the map was not fitted on.
        nearest: how many of the bank r(f) is the mean of.
        push: by how much mapped vectors are moved away from the mean.
        new_side: share of w_v that a backfilled item's own hubness counts at coverage 0, 0 to 1.
        usual_new: mean of r(n) over items.
        distilled: ``(d_new, d_new)`` D, or None for nothing.
    """

    mean: FloatArray
    bank: FloatArray
    old_bank: FloatArray
    one_encoder: OffsetWeights
    two_encoders: OffsetWeights
    doubt: float = 0.0
    typical: float = 0.0
    usual: float = 0.0
    usual_old: float = 0.0
    nearest: int = 1
    push: float = 0.0
    new_side: float = 0.0
    usual_new: float = 0.0
    distilled: FloatArray | None = None

    def __post_init__(self) -> None:
        if self.mean.ndim != 1 or not np.isfinite(self.mean).all():
            raise InvalidInput(
                f"an item offset's mean has shape {self.mean.shape}, wanted (d_new,), all finite"
            )
        shape = self.bank.shape
        if len(shape) != 2 or not len(self.bank) or shape[1:] != self.mean.shape:
            raise InvalidInput(
                f"an item offset's bank has shape {shape}, wanted (m, {len(self.mean)}), m > 0"
            )
        if self.old_bank.ndim != 2:
            raise InvalidInput(
                f"an item offset's old bank has shape {self.old_bank.shape}, wanted (m, d_old)"
            )
        if not (np.isfinite(self.bank).all() and np.isfinite(self.old_bank).all()):
            raise InvalidInput("an item offset's banks hold NaN or infinite numbers")
        if (matrix := self.distilled) is not None:
            width = len(self.mean)
            if matrix.shape != (width, width) or not np.isfinite(matrix).all():
                raise InvalidInput(
                    f"an item offset's distilled matrix has shape {matrix.shape}, "
                    f"wanted ({width}, {width}), all finite"
                )
        for name in ("usual", "usual_old", "usual_new"):
            if not math.isfinite(value := getattr(self, name)):
                raise InvalidInput(f"an item offset's {name} is {value}, wanted a number")
        named = {name: getattr(self, name) for name in ("doubt", "typical", "push", "new_side")}
        for mode in ("one_encoder", "two_encoders"):
            named |= {f"{mode}.{name}": x for name, x in getattr(self, mode)._asdict().items()}
        for name, value in named.items():
            if not 0.0 <= value < math.inf:
                raise InvalidInput(f"an item offset's {name} is {value}, wanted 0 or more")
        if self.nearest < 1:
            raise InvalidInput(f"an item offset's nearest is {self.nearest}, wanted 1 or more")

    @classmethod
    def blank(cls, dim_old: int, dim_new: int) -> ItemOffset:
        """Raises and lowers nothing: keeps its place in a store for one that is taught later."""
        nothing = OffsetWeights(0.0, 0.0, 0.0)
        bank = np.zeros((1, dim_new), np.float32)
        bank[0, 0] = 1.0
        return cls(
            np.zeros(dim_new, np.float32),
            bank,
            np.empty((0, dim_old), np.float32),
            nothing,
            nothing,
        )

    @property
    def is_blank(self) -> bool:
        """Whether scores are what they are without it."""
        nothing = not any((*self.one_encoder, *self.two_encoders))
        return nothing and not self.push and self.distilled is None

    @property
    def extra_dimensions(self) -> int:
        """How many the stored vectors have beside those of the new space."""
        return _TERMS + 1

    def weights(self, *, two_encoders: bool) -> OffsetWeights:
        """Those of this mode."""
        return self.two_encoders if two_encoders else self.one_encoder

    def of(self, old: FloatArray, mapped: FloatArray, raw: FloatArray) -> _Float64:
        """u, v and t, ``(n, 3)``.

        Args:
            old: ``(n, d_old)`` unit rows. mapped: ``(n, d_new)``, their images, unit rows.
            raw: ``(n, d_new)``, the images before scaling.
        """
        return self._of(old, self._turned(mapped), raw)

    def _of(self, old: FloatArray, f: _Float64, raw: FloatArray) -> _Float64:
        # In float64, for what equal items must: tie, see Affine.
        mu = self.mean.astype(np.float64)
        image = raw.astype(np.float64) - mu
        hub = (f * mu).sum(axis=1) - mu @ mu
        surer = (image * image).sum(axis=1) - self.typical
        u = -hub - self.doubt / 2 * surer
        v = self.usual - closeness(f, self._wide[0], self.nearest)
        t = np.zeros(len(old))
        if len(self.old_bank):
            t = self.usual_old - closeness(old, self._wide[1], self.nearest)
        return np.asarray(np.clip(np.stack([u, v, t], axis=1), -_LARGEST, _LARGEST))

    def of_new(self, new: FloatArray) -> _Float64:
        """``usual_new - r(n)`` of backfilled items' new vectors ``(n, d_new)``, ``(n,)``."""
        lowered = self.usual_new - closeness(new, self._wide[0], self.nearest)
        return np.asarray(np.clip(lowered, -_LARGEST, MOST_RAISED))

    def vectors(self, old: FloatArray, mapped: FloatArray, raw: FloatArray) -> FloatArray:
        """What is stored, ``(n, d_new + 4)`` unit rows; arguments as :meth:`of` takes them."""
        f = self._turned(mapped)
        return self._with(self._pushed(f), self._of(old, f, raw))

    def repeated_vectors(self, mapped: FloatArray) -> FloatArray:
        """The same of items that the map was fitted on: it is surer of them than all this says."""
        return self._with(mapped.astype(np.float64), np.zeros((len(mapped), _TERMS)))

    def typical_vectors(self, mapped: FloatArray, known: float = 0.0) -> FloatArray:
        """The same of items that are like any, as those of a sample are to be.

        Args:
            known: share of the gallery's items that the map repeats.
        """
        f = self._turned(mapped, 1.0 - known)
        return self._with(self._pushed(f, 1.0 - known), np.zeros((len(mapped), _TERMS)))

    def queries(self, new: FloatArray, weights: OffsetWeights) -> FloatArray:
        """Unit rows ``(q, d_new + 4)`` that search what is stored."""
        ends = np.tile(np.array([*weights, 0.0], dtype=np.float32), (len(new), 1))
        rows = np.concatenate([new, ends], axis=1) / np.float32(weights.length)
        return np.asarray(rows, dtype=np.float32)

    def scores(self, similarities: Any, weights: OffsetWeights) -> FloatArray:
        """s, of inner products of such queries and what is stored."""
        length = self._length * weights.length
        return np.asarray(similarities, dtype=np.float32) * np.float32(length)

    @cached_property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that tell it from any other."""
        digest = hashlib.sha256(repr(sorted(self.describe().items())).encode())
        digest.update(self.mean.tobytes())
        digest.update(self.bank.tobytes())
        digest.update(self.old_bank.tobytes())
        if self.distilled is not None:
            digest.update(self.distilled.tobytes())
        return digest.hexdigest()[:12]

    def describe(self) -> dict[str, Any]:
        """All but the vectors, as JSON."""
        # Left out where it is nothing, so that other offsets' fingerprints stay what they were.
        of_new = _NEW_SIDE_NUMBERS if self.new_side else ()
        return {
            **{name: float(getattr(self, name)) for name in (*_NUMBERS, *of_new)},
            "nearest": self.nearest,
            "one_encoder": list(self.one_encoder),
            "two_encoders": list(self.two_encoders),
        }

    def tensors(self) -> dict[str, FloatArray]:
        """The vectors."""
        distilled = {} if self.distilled is None else {"distilled": self.distilled}
        return {"mean": self.mean, "bank": self.bank, "old_bank": self.old_bank, **distilled}

    @classmethod
    def restore(
        cls, description: Mapping[str, Any], tensors: Mapping[str, FloatArray]
    ) -> ItemOffset:
        """From :meth:`describe` and :meth:`tensors`."""
        return cls(
            tensors["mean"],
            tensors["bank"],
            tensors["old_bank"],
            OffsetWeights(*map(float, description["one_encoder"])),
            OffsetWeights(*map(float, description["two_encoders"])),
            nearest=int(description["nearest"]),
            distilled=tensors.get("distilled"),
            **{name: float(description[name]) for name in _NUMBERS},
            **{name: float(description.get(name, 0.0)) for name in _NEW_SIDE_NUMBERS},
        )

    @cached_property
    def _wide(self) -> tuple[_Float64, _Float64]:
        return self.bank.astype(np.float64), self.old_bank.astype(np.float64)

    @cached_property
    def _length(self) -> float:
        """L: no stored vector is longer before it is scaled."""
        # |mu| is at most 1: it is a mean of unit vectors.
        return math.hypot(1.0 + 2.0 * self.push, *[_LARGEST] * _TERMS)

    @cached_property
    def _wide_distilled(self) -> _Float64:
        assert self.distilled is not None
        return self.distilled.astype(np.float64)

    def _turned(self, mapped: FloatArray, share: float = 1.0) -> _Float64:
        """f of images at unit length, with a share of D."""
        g = mapped.astype(np.float64)
        if self.distilled is None:
            return g
        turned = g + share * (g @ self._wide_distilled)
        lengths = np.sqrt((turned * turned).sum(axis=1, keepdims=True))
        # What comes out as nothing stays what it was.
        return np.where(lengths > _SHORTEST, turned / np.maximum(lengths, _SHORTEST), g)

    def _pushed(self, f: _Float64, share: float = 1.0) -> _Float64:
        mu = self.mean.astype(np.float64)
        return np.asarray(mu + (1.0 + share * self.push) * (f - mu))

    def _with(self, pushed: _Float64, offsets: _Float64) -> FloatArray:
        taken = np.concatenate([pushed, offsets], axis=1)
        rest = np.sqrt(np.maximum(self._length**2 - (taken * taken).sum(axis=1), 0.0))
        rows = np.concatenate([taken, rest[:, None]], axis=1)
        return np.asarray(rows / self._length, dtype=np.float32)
