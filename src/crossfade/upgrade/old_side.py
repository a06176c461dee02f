"""Queries prepared for the items that are not yet backfilled, and how scores there read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crossfade.embeddings import FloatArray
from crossfade.upgrade.item_offset import OffsetWeights
from crossfade.upgrade.two_encoder import Combiner, SampleScores, TwoEncoder

if TYPE_CHECKING:
    from crossfade.upgrade.upgrade import Upgrade

__all__ = ["OldSide"]


@dataclass(frozen=True, eq=False)
class OldSide:
    """Queries prepared for the old side: what to search with, and how its scores read.

    Attributes:
        search_query: ``(q, d)`` unit vectors for the index that the map works on (the mapped
            vectors for side ``items``, the old ones otherwise).
        stored_query: ``(q, d_new)`` for the stored new vectors.
        old_query: ``(q, d_old)`` for the old vectors as well, in two-encoder mode only.
        offset_weights: of items' offsets in the mode, if there are any.
    """

    upgrade: Upgrade
    search_query: FloatArray
    stored_query: FloatArray
    old_query: FloatArray | None
    two_encoder: TwoEncoder | None
    offset_weights: OffsetWeights | None = None

    def of(self, rows: slice) -> OldSide:
        """Some of the queries."""
        return replace(
            self,
            search_query=self.search_query[rows],
            stored_query=self.stored_query[rows],
            old_query=None if self.old_query is None else self.old_query[rows],
        )

    def scores(self, old: FloatArray, mapped: FloatArray | None = None) -> FloatArray:
        """Scores ``(q, n)`` of items by their vectors, comparable with the new side's.

        Args:
            old: ``(n, d_old)`` old embeddings.
            mapped: ``(n, d)`` from :meth:`Upgrade.map_items`, for side ``items``.
        """
        searched = self.search_query @ (old if mapped is None else mapped).T
        if self.two_encoder is None or self.old_query is None:
            return self.calibrated(searched)
        return self.combined(searched, self.old_query @ old.T)

    def combined(self, searched: FloatArray, old: FloatArray) -> FloatArray:
        """Two-encoder scores from the raw similarities ``(q, n)`` of both views.

        They rise with either view; a search over both indexes relies on that.
        """
        return self._combiner.old_side(self.calibrated(searched), old)

    @property
    def depends_on_coverage(self) -> bool:
        """Whether scores of backfilled items depend on how many there are."""
        return self.two_encoder is not None or self.hub_share(0.0) > 0.0

    def hub_share(self, coverage: float) -> float:
        """How much a backfilled item's own hubness counts at this coverage: 0 for not at all."""
        offset = self.upgrade.offset
        if offset is None or self.offset_weights is None:
            return 0.0
        return offset.new_side * self.offset_weights.v * (1.0 - coverage)

    def lowered(self, new: FloatArray, hubs: NDArray[Any], coverage: float) -> FloatArray:
        """One-encoder scores of backfilled items from their similarities ``(q, n)``.

        At coverage 1 they are ``new`` itself.

        Args:
            hubs: ``(n,)``, from :meth:`ItemOffset.of_new`.
        """
        share = self.hub_share(coverage)
        return new if share <= 0.0 else np.asarray(new + share * hubs, dtype=np.float32)

    def backfilled(self, new: FloatArray, old: FloatArray, coverage: float) -> FloatArray:
        """Two-encoder scores of backfilled items from their similarities ``(q, n)``.

        At coverage 1 they are ``new`` itself. They rise with either view.

        Args:
            new: of the stored new vectors to the stored query, :meth:`lowered`.
            old: of the old vectors to the old query.
        """
        return self._combiner.new_side(new, old, coverage)

    def calibrated(self, scores: Any) -> FloatArray:
        """Raw similarities of the searched index, on the new side's scale (one encoder)."""
        if (offset := self.upgrade.offset) is not None and self.offset_weights is not None:
            scores = offset.scores(scores, self.offset_weights)
        return self.upgrade.calibration(scores)

    @cached_property
    def _combiner(self) -> Combiner:
        rule = self.two_encoder
        assert rule is not None and self.old_query is not None
        searched, stored = self.upgrade.sample_images
        return Combiner(
            rule,
            SampleScores(
                mapped=self.calibrated(self.search_query @ searched.T),
                old=self.old_query @ rule.reference_old.T,
                new=self.stored_query @ stored.T,
            ),
            self.upgrade.known,
        )
