"""What a log of queries teaches a map: to rank as the new model ranks, where it is asked.

A regression minds all directions alike; a ranking minds those along which queries tell items
apart. The matrix D of :mod:`crossfade.upgrade.item_offset` is fitted on mixed lists under random
backfill states, as in :mod:`crossfade.fit.distillation`, but with real queries, and with images of
items that the map was not fitted on, as the gallery's will be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crossfade.embeddings import FloatArray
from crossfade.upgrade.item_offset import ItemOffset

__all__ = ["Images", "learned_matrix"]

_TEMPERATURE = 0.05
"""Of teacher and student."""
_MOST_ITEMS, _QUERIES = 4_000, 256
"""In a step."""
_STEPS, _RATE, _WIDTH = 150, 3e-4, 384
"""So few that what it learns still holds for other queries. The rate is that of this width: Adam
moves all numbers of a matrix alike, so a wider one moves an image further."""
_HELD_OUT = 5
"""One query in so many tells whether it holds for others."""
_BLOCK_ROWS = 2_048
_FIRST_DECAY, _SECOND_DECAY, _TINY = 0.9, 0.999, 1e-8
"""Of Adam (Kingma & Ba, ICLR 2015)."""

_Float32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Images:
    """Items, and their images under a map.

    Attributes:
        old: ``(n, d_old)``. new: ``(n, d_new)``.
        raw, mapped: ``(n, d_new)``, before and after scaling to unit length.
    """

    old: FloatArray
    new: FloatArray
    raw: FloatArray
    mapped: FloatArray

    def of(self, rows: slice) -> Images:
        """Some of them."""
        return Images(self.old[rows], self.new[rows], self.raw[rows], self.mapped[rows])

    def __len__(self) -> int:
        return len(self.new)


def learned_matrix(
    images: Images,
    queries: FloatArray,
    offset: ItemOffset,
    seed: int,
    stopped: Callable[[], bool] = lambda: False,
) -> FloatArray | None:
    """D, or None where there is nothing to be learned that holds for other queries too.

    Learned without a fifth of the queries, it must lower the loss of those; then all are used.

    Args:
        images: of items that the map was not fitted on.
        queries: ``(q, d_new)`` real ones. offset: of the items, without D.
        stopped: asked at each step; what is learned by then is of no use.
    """
    lists = _Drawn(images, *_offsets(images, offset), 1.0 + offset.push)
    rng = np.random.default_rng([seed, 10])
    order = rng.permutation(len(queries))
    others, left_out = np.array_split(order, [len(order) - len(order) // _HELD_OUT])
    matrix = _learned(lists, queries[others], seed, stopped)
    judged = lists.of(queries[left_out], rng)
    if judged.loss(matrix) >= judged.loss(np.zeros_like(matrix)):
        return None
    return _learned(lists, queries, seed, stopped)


def _learned(
    lists: _Drawn, queries: FloatArray, seed: int, stopped: Callable[[], bool]
) -> FloatArray:
    """D, ``(d_new, d_new)``.

    ``L = - mean_q sum_j T_qj log softmax_j(S_qj)``, ``T_q = softmax_j(<q, n_j> / tau)``; S_qj is
    what an index scores at coverage c, over tau: with probability c the item is backfilled and
    scores as such, or it waits and its image does. What the push takes from all that wait alike,
    ``push <q, mu>``, is left out: with it, D leans less away from the mean query.
    """
    rng = np.random.default_rng([seed, 9])
    width = lists.images.new.shape[1]
    rate = _RATE * min(1.0, _WIDTH / width)
    matrix = np.zeros((width, width), np.float32)
    first, second = np.zeros_like(matrix), np.zeros_like(matrix)
    for step in range(1, _STEPS + 1):
        if stopped():
            break
        slope = lists.of(queries, rng).slope(matrix)
        first += (1.0 - _FIRST_DECAY) * (slope - first)
        second += (1.0 - _SECOND_DECAY) * (slope * slope - second)
        size = np.sqrt(second / (1.0 - _SECOND_DECAY**step)) + _TINY
        falling = 0.5 * rate * (1.0 + np.cos(np.pi * (step - 1) / _STEPS))
        matrix -= np.float32(falling) * (first / (1.0 - _FIRST_DECAY**step)) / size
    return matrix


def _offsets(images: Images, offset: ItemOffset) -> tuple[_Float32, _Float32]:
    """What items score more while they wait, and once backfilled at coverage 0, ``(n,)`` each."""
    weights = offset.one_encoder
    waiting, backfilled = np.empty((2, len(images.new)), np.float32)
    for start in range(0, len(images.new), _BLOCK_ROWS):
        part = slice(start, start + _BLOCK_ROWS)
        of_waiting = offset.of(images.old[part], images.mapped[part], images.raw[part])
        waiting[part] = of_waiting @ np.array(weights)
        backfilled[part] = offset.new_side * weights.v * offset.of_new(images.new[part])
    return waiting, backfilled


@dataclass(frozen=True, eq=False)
class _Drawn:
    """What lists are drawn from.

    Attributes:
        waiting, backfilled: ``(n,)``, see :func:`_offsets`. stretch: of the images' scores.
    """

    images: Images
    waiting: _Float32
    backfilled: _Float32
    stretch: float

    def of(self, queries: FloatArray, rng: np.random.Generator) -> _Lists:
        """Some queries over some items, each query at a coverage of its own."""
        images = self.images
        items = rng.permutation(len(images.new))[:_MOST_ITEMS]
        asked = queries[rng.integers(len(queries), size=min(_QUERIES, len(queries)))]
        coverage = rng.random((len(asked), 1), dtype=np.float32)
        return _Lists(
            images.mapped[items],
            asked,
            asked @ images.new[items].T,
            self.waiting[items],
            (1.0 - coverage) * self.backfilled[items],
            rng.random((len(asked), len(items)), dtype=np.float32) < coverage,
            self.stretch,
        )


@dataclass(frozen=True, eq=False)
class _Lists:
    """Mixed lists of some queries over some items: b queries, m items.

    Attributes:
        images: ``(m, d)`` unit rows. queries: ``(b, d)``.
        real: ``(b, m)``, the new model's scores.
        waiting: ``(m,)``, backfilled: ``(b, m)``, what is added to either kind of score.
        is_backfilled: ``(b, m)``. stretch: of the images' scores.
    """

    images: FloatArray
    queries: FloatArray
    real: FloatArray
    waiting: _Float32
    backfilled: _Float32
    is_backfilled: NDArray[np.bool_]
    stretch: float

    def loss(self, matrix: _Float32) -> float:
        """L."""
        _, _, student = self._student(matrix)
        likely = np.log(np.maximum(_softmax(student), np.finfo(np.float32).tiny))
        return float(-(_softmax(self.real) * likely).sum(axis=1).mean())

    def slope(self, matrix: _Float32) -> _Float32:
        """dL/dD, ``(d, d)``."""
        f, lengths, student = self._student(matrix)
        by_score = (_softmax(student) - _softmax(self.real)) / (_TEMPERATURE * len(self.queries))
        by_score[self.is_backfilled] = 0.0
        by_f = self.stretch * (by_score.T @ self.queries)
        by_image = (by_f - (by_f * f).sum(axis=1, keepdims=True) * f) / lengths
        return np.asarray(self.images.T @ by_image, dtype=np.float32)

    def _student(self, matrix: _Float32) -> tuple[_Float32, _Float32, _Float32]:
        """f and its length before scaling, and the lists' scores."""
        turned = self.images + self.images @ matrix
        lengths = np.maximum(np.linalg.norm(turned, axis=1, keepdims=True), _TINY)
        f = turned / lengths
        mapped = self.stretch * (self.queries @ f.T) + self.waiting
        return f, lengths, np.where(self.is_backfilled, self.real + self.backfilled, mapped)


def _softmax(scores: _Float32) -> _Float32:
    raised = np.exp((scores - scores.max(axis=1, keepdims=True)) / _TEMPERATURE)
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))
