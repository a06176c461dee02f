"""Scores of queries against a gallery on both sides, for one upgrade and one mode."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from crossfade.embeddings import FloatArray, Pairs
from crossfade.evaluation.curve import Scores
from crossfade.evaluation.refits import Generations
from crossfade.upgrade import ItemOffset, Mode, OldSide, Upgrade

__all__ = ["GalleryScorer"]

_BLOCK_ROWS = 16_384
_KEPT_BYTES = 2**30
_STREAMED_CHUNK_SCORES = 2**26
_KEPT_CHUNK_SCORES = 2**23


@dataclass(frozen=True, eq=False)
class _Block:
    """Vectors of some gallery items: of both models, as stored, and forward-mapped."""

    columns: slice
    new: FloatArray
    stored: FloatArray
    old: FloatArray
    mapped: FloatArray | None


@dataclass(frozen=True, eq=False)
class _Queries:
    """Vectors of some queries: of both models, and prepared for either side."""

    new: FloatArray
    stored: FloatArray
    old: FloatArray
    old_side: OldSide


@dataclass(frozen=True, eq=False)
class GalleryScorer:
    """Scores queries against all items; columns in the order of ``by_id``.

    The gallery's vectors are kept in memory while they fit into a gigabyte. Larger ones are
    read and mapped anew, block by block, for each chunk of queries.

    Attributes:
        by_id: ``(n,)`` rows of the gallery in the order of their ids.
        generations: of the forward map; None where it stays the upgrade's own.
    """

    upgrade: Upgrade
    gallery: Pairs
    queries: Pairs
    by_id: NDArray[np.intp]
    mode: Mode
    generations: Generations | None = None

    @property
    def chunk_queries(self) -> int:
        """How many queries to score at once; more where each chunk reads the gallery again."""
        budget = _KEPT_CHUNK_SCORES if self._fits else _STREAMED_CHUNK_SCORES
        return max(1, budget // len(self.gallery))

    def __call__(self, rows: NDArray[np.intp]) -> Scores:
        """The scores ``(b, n)`` of the queries of the given rows."""
        queries = self._prepare(rows)
        out = [np.empty((len(rows), len(self.gallery)), np.float32) for _ in range(4)]
        scores = Scores(*out)
        for block in self._kept if self._fits else self._read():
            at = (slice(None), block.columns)
            scores.new_new[at] = queries.new @ block.new.T
            scores.old_old[at] = queries.old @ block.old.T
            if self.mode is not Mode.OLD:
                scores.new[at] = queries.stored @ block.stored.T
                scores.old[at] = queries.old_side.scores(block.old, block.mapped)
        if self.mode is Mode.OLD:
            return Scores(scores.old_old, scores.old_old, scores.new_new, scores.old_old)
        side = queries.old_side
        return replace(
            scores,
            new_at=partial(self._new_at, rows, queries, scores)
            if side.depends_on_coverage or self._changes
            else None,
            old_at=partial(self._old_at, rows, scores) if self._changes else None,
        )

    @property
    def _changes(self) -> bool:
        return self.generations is not None and self.generations.change

    def _new_at(
        self, rows: NDArray[np.intp], queries: _Queries, scores: Scores, coverage: float
    ) -> FloatArray:
        """Scores of backfilled items at this coverage."""
        applied = self._applied(coverage)
        side = queries.old_side if applied is self.upgrade else self._old_side(rows, applied)
        new = scores.new
        if side.hub_share(coverage) > 0.0:
            assert applied.offset is not None
            new = side.lowered(new, self._hubs_by(applied.offset), coverage)
        if side.two_encoder is None:
            return new
        return side.backfilled(new, scores.old_old, coverage)

    def _old_at(self, rows: NDArray[np.intp], scores: Scores, coverage: float) -> FloatArray:
        """Scores of the others, mapped by the generation in use."""
        applied = self._applied(coverage)
        if applied is self.upgrade:
            return scores.old
        side, out = self._old_side(rows, applied), np.empty_like(scores.old)
        for block in self._kept if self._fits else self._read():
            out[:, block.columns] = side.scores(block.old, applied.map_items(block.old))
        return out

    def _applied(self, coverage: float) -> Upgrade:
        return self.upgrade if self.generations is None else self.generations.at(coverage)

    def _prepare(self, rows: NDArray[np.intp]) -> _Queries:
        new, old = self.queries.new_rows(rows), self.queries.old_rows(rows)
        old_side = self._old_side(rows, self.upgrade)
        return _Queries(new, self.upgrade.store_new(new), old, old_side)

    def _old_side(self, rows: NDArray[np.intp], upgrade: Upgrade) -> OldSide:
        mode = Mode.ONE_ENCODER if self.mode is Mode.OLD else self.mode
        new, old = self.queries.new_rows(rows), self.queries.old_rows(rows)
        return upgrade.old_side(new, old, mode)

    def _hubs_by(self, offset: ItemOffset) -> NDArray[np.float64]:
        """What lowers backfilled items, ``(n,)``."""
        if offset not in self._hubs:
            starts = range(0, len(self.by_id), _BLOCK_ROWS)
            parts = [self.by_id[start : start + _BLOCK_ROWS] for start in starts]
            lowered = [offset.of_new(self.gallery.new_rows(rows)) for rows in parts]
            self._hubs[offset] = np.concatenate(lowered)
        return self._hubs[offset]

    @cached_property
    def _hubs(self) -> dict[ItemOffset, NDArray[np.float64]]:
        return {}

    @cached_property
    def _kept(self) -> list[_Block]:
        return list(self._read())

    @property
    def _fits(self) -> bool:
        width = 2 * self.gallery.target.dim + self.gallery.source.dim
        width += 0 if self.upgrade.mapped is None else self.upgrade.mapped.dim
        return len(self.gallery) * width * 4 <= _KEPT_BYTES

    def _read(self) -> Iterator[_Block]:
        for start in range(0, len(self.by_id), _BLOCK_ROWS):
            rows = self.by_id[start : start + _BLOCK_ROWS]
            new, old = self.gallery.new_rows(rows), self.gallery.old_rows(rows)
            columns = slice(start, start + len(rows))
            stored = self.upgrade.store_new(new)
            yield _Block(columns, new, stored, old, self.upgrade.map_items(old))
