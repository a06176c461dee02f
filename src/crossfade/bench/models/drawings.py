"""Small drawings as images, and a plain hand-made descriptor of them.

The descriptor stands for the legacy index of many a company: thumbnail, colours, gradients,
400-d, no training.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from crossfade.embeddings import FloatArray
from crossfade.errors import MissingExtra

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["HOG", "hog", "on_white"]

HOG = "hog400"
_THUMBNAIL = 8
_CELLS = 4
_ORIENTATIONS = 9
_COLOUR_LEVELS = 4


def on_white(path: Path) -> Image:
    """Read an image; what is transparent becomes white."""
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtra("reading images", "bench") from error
    with Image.open(path) as file:
        drawing = file.convert("RGBA")
    white = Image.new("RGBA", drawing.size, "white")
    return Image.alpha_composite(white, drawing).convert("RGB")


def hog(paths: Sequence[Path]) -> FloatArray:
    """Descriptors ``(n, 400)`` of images in files."""
    return np.stack([_descriptor(on_white(path)) for path in paths])


def _descriptor(image: Image) -> FloatArray:
    thumbnail = np.asarray(image.resize((_THUMBNAIL, _THUMBNAIL)), np.float32).ravel()
    parts = (thumbnail, _colour_histogram(image), _gradient_histogram(image))
    return np.concatenate([part / (np.linalg.norm(part) + 1e-6) for part in parts])


def _colour_histogram(image: Image) -> FloatArray:
    levels = np.asarray(image, np.int64) * _COLOUR_LEVELS // 256
    codes = (levels * [1, _COLOUR_LEVELS, _COLOUR_LEVELS**2]).sum(axis=-1)
    return np.bincount(codes.ravel(), minlength=_COLOUR_LEVELS**3).astype(np.float32)


def _gradient_histogram(image: Image) -> FloatArray:
    """Histograms of oriented gradients (Dalal and Triggs 2005) on a coarse grid of cells."""
    grey = np.asarray(image.convert("L"), np.float32) / 255
    down, right = np.gradient(grey)
    strength = np.hypot(down, right)
    angle = np.arctan2(down, right) % np.pi
    orientation = np.minimum((angle / np.pi * _ORIENTATIONS).astype(int), _ORIENTATIONS - 1)
    row, column = (np.arange(size) * _CELLS // size for size in grey.shape)
    cell = row[:, None] * _CELLS + column[None, :]
    codes = cell * _ORIENTATIONS + orientation
    counts = np.bincount(codes.ravel(), strength.ravel(), minlength=_CELLS * _CELLS * _ORIENTATIONS)
    return counts.astype(np.float32)
