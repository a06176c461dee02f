"""A draw of a suite, and its linear map on either side: what both parts measure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

import crossfade
from crossfade.bench.dataset import DataSet
from crossfade.bench.suite import BuildPlan, Suite
from crossfade.embeddings import FloatArray, Pairs, normalise
from crossfade.evaluation.orders import backfill_order
from crossfade.evaluation.relevance import Relevance, relevance_of
from crossfade.upgrade import Affine, Upgrade

__all__ = ["FACTORS", "METHOD", "K", "Reverse", "Task", "build_task", "slope_of"]

METHOD = "forward_ridge"
K = 10
FACTORS = (1, 2, 4, 10, 30)
_TILT_PENALTY, _TILT_SAMPLE, _TILT_RANK = 1e-3, 1_000, 5


@dataclass(frozen=True, eq=False)
class Reverse:
    """A linear forward map, used on the query's side.

    Attributes:
        affine: the map before its images are scaled to unit length.
    """

    affine: Affine

    @classmethod
    def of(cls, upgrade: Upgrade) -> Reverse:
        """From an upgrade whose forward map is linear."""
        assert upgrade.forward is not None and not upgrade.forward.layers
        assert isinstance(upgrade.forward.skip, Affine) and upgrade.rho is None
        return cls(upgrade.forward.skip)

    def queries(self, new: FloatArray) -> FloatArray:
        """What the old vectors are searched with, ``(q, d_old)``."""
        return np.asarray(new @ self.affine.weight.T)

    def constants(self, new: FloatArray) -> FloatArray:
        """What every item's score of a query has in addition, ``(q, 1)``."""
        return np.asarray(new @ self.affine.bias)[:, None]

    def lengths(self, old: FloatArray) -> FloatArray:
        """The number stored with each item, ``(n,)``."""
        return np.asarray(np.linalg.norm(self.affine(old), axis=1), dtype=np.float32)

    @cached_property
    def basis(self) -> FloatArray:
        """Orthonormal columns ``(d_new, d_old + 1)`` that span all that the map gives."""
        rows = np.vstack([self.affine.weight, self.affine.bias]).astype(np.float64)
        return np.asarray(np.linalg.qr(rows.T)[0], dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Task:
    """A draw of a suite's data with its map; columns of scores in the order of the ids."""

    suite: Suite
    seed: int
    data: DataSet
    queries: Pairs
    upgrade: Upgrade

    @cached_property
    def reverse(self) -> Reverse:
        """The map on the query's side."""
        return Reverse.of(self.upgrade)

    @cached_property
    def gallery(self) -> Pairs:
        """The items in the order of their ids."""
        every = self.data.gallery
        return every.subset(np.argsort(every.ids, kind="stable"))

    @cached_property
    def mapped(self) -> FloatArray:
        """The items at rest."""
        mapped = self.upgrade.map_items(self.gallery.old_rows())
        assert mapped is not None
        return mapped

    @cached_property
    def lengths(self) -> FloatArray:
        """The items' stored numbers."""
        return self.reverse.lengths(self.gallery.old_rows())

    @cached_property
    def relevance(self) -> Relevance:
        """Of the same columns."""
        return relevance_of(self.queries, self.gallery, self.data.qrels, self.data.ignored)

    @cached_property
    def order(self) -> NDArray[np.intp]:
        """Columns, the one that is backfilled first in front."""
        return backfill_order("random", self.gallery, self.upgrade, seed=self.seed)

    def undivided(self, rows: NDArray[np.intp]) -> FloatArray:
        """``q . f(o)`` of some queries and all items, as a search of the old vectors gives it."""
        new = self.queries.new_rows(rows)
        searched = self.reverse.queries(new) @ self.gallery.old_rows().T
        return np.asarray(searched + self.reverse.constants(new))

    @cached_property
    def tilt(self) -> FloatArray:
        """What is added to a query of level 1, ``(d_old,)``."""
        return slope_of(self.gallery.old_rows(), self.lengths)

    @cached_property
    def sample(self) -> FloatArray:
        """Some of the items at rest."""
        rows = np.random.default_rng(0).permutation(len(self.mapped))[:_TILT_SAMPLE]
        return self.mapped[rows]

    def tilted(self, rows: NDArray[np.intp]) -> FloatArray:
        """What a search of the old vectors gives with a query that leans to short images.

        To first order about the level u of a query's best items, ``u / |f(o)|`` is an inner
        product with o. The level is that of the best of a sample of the items.
        """
        leaning = self.gallery.old_rows() @ self.tilt
        return np.asarray(self.undivided(rows) + self.levels(rows) * leaning)

    def levels(self, rows: NDArray[np.intp]) -> FloatArray:
        """The scores not divided of the best items of a sample, ``(q, 1)``."""
        among = np.sort(self.queries.new_rows(rows) @ self.sample.T, axis=1)
        return np.asarray(among[:, -_TILT_RANK, None] * self.lengths.mean())

    def at_rest(self, rows: NDArray[np.intp]) -> FloatArray:
        """Scores of the rewritten vectors."""
        return np.asarray(self.queries.new_rows(rows) @ self.mapped.T)

    def narrow(self, rows: NDArray[np.intp]) -> FloatArray:
        """The same from the coordinates in what the map spans."""
        basis = self.reverse.basis
        coordinates = normalise(self.mapped @ basis)
        return np.asarray((self.queries.new_rows(rows) @ basis) @ coordinates.T)

    def divided(self, rows: NDArray[np.intp]) -> FloatArray:
        """Scores at query time."""
        return np.asarray(self.undivided(rows) / self.lengths)

    def by_mean(self, rows: NDArray[np.intp]) -> FloatArray:
        """Scores at query time, all divided by the same number."""
        return np.asarray(self.undivided(rows) / self.lengths.mean())


def slope_of(old: FloatArray, lengths: FloatArray) -> FloatArray:
    """One over the length, over its mean, regressed on the old vectors."""
    centred = old.astype(np.float64) - old.mean(axis=0, dtype=np.float64)
    inverse = 1 / lengths.astype(np.float64)
    products = centred.T @ centred
    products += _TILT_PENALTY * np.trace(products) / len(products) * np.eye(len(products))
    slope = np.linalg.solve(products, centred.T @ (inverse - inverse.mean()))
    return np.asarray(slope / inverse.mean(), dtype=np.float32)


def build_task(suite: Suite, seed: int, most: int) -> Task:
    """With a map fitted without labels, and some of the queries, in their order."""
    data = suite.build(BuildPlan(seed, False, partial(print, flush=True)))
    everyone = data.gallery if data.queries is None else data.queries
    rows = np.sort(np.random.default_rng(seed).permutation(len(everyone))[:most])
    upgrade = crossfade.fit(data.fit.without_labels(), METHOD, seed=seed)
    return Task(suite, seed, data, everyone.subset(rows), upgrade)
