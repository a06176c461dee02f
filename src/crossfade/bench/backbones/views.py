"""What networks see of photos, in batches, decoded by several threads ahead of time."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crossfade.bench.layouts.photos import Photos, Shape
from crossfade.embeddings import FloatArray

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["batches", "plain_view", "training_view"]

Pixels = NDArray[np.uint8]
View = Callable[["Image", Shape, np.random.Generator], Pixels]
# Of ImageNet, in common use for photos of any kind.
_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
_DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)
_BATCHES_AHEAD = 3
_SMALLEST_AREA, _WIDEST_RATIO = 0.08, 4 / 3
_MIDDLE_SHARE = 0.875
_CROP_TRIES = 10


def batches(
    photos: Photos, batch_rows: Sequence[NDArray[Any]], shape: Shape, view: View, seed: int
) -> Iterator[FloatArray]:
    """One array ``(b, 3, height, width)`` for each batch of rows; chance hangs on seed and row."""

    def load(row: int) -> FloatArray:
        pixels = view(photos.read(row), shape, np.random.default_rng([seed, row]))
        scaled = (pixels.astype(np.float32) / np.float32(255) - _MEAN) / _DEVIATION
        return np.asarray(scaled.transpose(2, 0, 1))

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        ahead: deque[list[Future[FloatArray]]] = deque()
        for rows in batch_rows:
            ahead.append([pool.submit(load, int(row)) for row in rows])
            if len(ahead) > _BATCHES_AHEAD:
                yield np.stack([future.result() for future in ahead.popleft()])
        while ahead:
            yield np.stack([future.result() for future in ahead.popleft()])


def plain_view(photo: Image, shape: Shape, _: np.random.Generator) -> Pixels:
    """The whole photo, or its middle where training takes parts."""
    if not shape.crops_scale:
        return np.asarray(photo.resize((shape.width, shape.height)))
    scale = max(shape.width / photo.width, shape.height / photo.height) / _MIDDLE_SHARE
    width, height = round(photo.width * scale), round(photo.height * scale)
    left, top = (width - shape.width) // 2, (height - shape.height) // 2
    pixels = np.asarray(photo.resize((width, height)))
    return pixels[top : top + shape.height, left : left + shape.width]


def training_view(photo: Image, shape: Shape, rng: np.random.Generator) -> Pixels:
    """A random part of random size, or a shifted whole photo; mirrored half of the time."""
    pixels = _random_part(photo, shape, rng) if shape.crops_scale else _shifted(photo, shape, rng)
    return pixels[:, ::-1] if rng.random() < 0.5 else pixels


def _random_part(photo: Image, shape: Shape, rng: np.random.Generator) -> Pixels:
    size = (shape.width, shape.height)
    for _ in range(_CROP_TRIES):
        area = photo.width * photo.height * rng.uniform(_SMALLEST_AREA, 1.0)
        ratio = np.exp(rng.uniform(-np.log(_WIDEST_RATIO), np.log(_WIDEST_RATIO)))
        width, height = round(np.sqrt(area * ratio)), round(np.sqrt(area / ratio))
        if 0 < width <= photo.width and 0 < height <= photo.height:
            left = int(rng.integers(photo.width - width + 1))
            top = int(rng.integers(photo.height - height + 1))
            return np.asarray(photo.resize(size, box=(left, top, left + width, top + height)))
    return np.asarray(photo.resize(size))


def _shifted(photo: Image, shape: Shape, rng: np.random.Generator) -> Pixels:
    margin = shape.height // 8
    whole = np.asarray(photo.resize((shape.width, shape.height)))
    padded = np.pad(whole, ((margin, margin), (margin, margin), (0, 0)))
    top, left = (int(rng.integers(2 * margin + 1)) for _ in range(2))
    return padded[top : top + shape.height, left : left + shape.width]
