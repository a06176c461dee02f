"""The two retrieval systems of a half-backfilled gallery, as one trainable module."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from crossfade.fit.networks import MapNetwork, ScoreScaleAndOffset
from crossfade.upgrade import Side

__all__ = ["Batch", "Scores", "TwoSystems"]


@dataclass(frozen=True, eq=False)
class Batch:
    """Pairs of one batch: old ``(b, d_old)``, new ``(b, d_new)``, labels ``(b,)`` or None."""

    old: Tensor
    new: Tensor
    labels: Tensor | None


@dataclass(frozen=True, eq=False)
class Scores:
    """All items of a batch as queries against all as items, ``(b, b)``."""

    new: Tensor
    old: Tensor


class TwoSystems(nn.Module):
    """New queries against backfilled items, and against items not yet backfilled.

    Args:
        side: where the map works: psi on the queries, or the forward map on the items.
        map: psi ``(d_new -> d_old)`` or the forward map ``(d_old -> d_new)``.
        rho: the new-space head, or None.
        scale: a learned scale and offset of old-side scores, or None.
        uncertainty: how unsure the forward map is of an item, ``(d_old -> 1)``, or None.
    """

    def __init__(
        self,
        side: Side,
        map: MapNetwork,
        rho: MapNetwork | None = None,
        scale: ScoreScaleAndOffset | None = None,
        uncertainty: MapNetwork | None = None,
    ) -> None:
        super().__init__()
        self.side = side
        self.map = map
        self.rho = rho
        self.scale = scale
        self.uncertainty = uncertainty

    def scores(self, batch: Batch) -> Scores:
        """Score every item of the batch against every other, in both systems."""
        new = batch.new if self.rho is None else self.rho(batch.new)
        if self.side is Side.QUERY:
            old_scores = self.map(batch.new) @ batch.old.T
        else:
            old_scores = new @ self.map(batch.old).T
        if self.scale is not None:
            old_scores = self.scale(old_scores)
        return Scores(new @ new.T, old_scores)
