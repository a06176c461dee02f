"""Fashion-MNIST in the spaces of two small CNNs, an old one and a better one.

``extended_class``: the old model was trained on five of the ten classes.
``extended_data``: the old model was trained on a tenth of the images.

Pairs to fit on are the 60,000 training images; the gallery is the 10,000 test images, which
are the queries too, each leaving itself out.
"""

from __future__ import annotations

import argparse
import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.data.files import Rows, write_data_set
from benchmarks.data.packages import cache_folder, debian_package
from crossfade.demo.cnn import CnnEncoder, train_cnn

__all__ = ["Split", "build", "fashion_mnist"]

_IDX_IMAGES_HEADER_BYTES = 16
_IDX_LABELS_HEADER_BYTES = 8


@dataclass(frozen=True)
class Split:
    """Images ``(n, 28, 28)`` uint8 and labels ``(n,)``."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def where(self, mask: NDArray[np.bool_]) -> Split:
        """The rows that the mask keeps."""
        return Split(self.images[mask], self.labels[mask])


def fashion_mnist(part: str) -> Split:
    """Read Fashion-MNIST; ``part`` is ``train`` (60,000) or ``t10k`` (10,000)."""
    folder = debian_package("dataset-fashion-mnist") / "usr/share/datasets/fashion-mnist"
    images = _read(folder / f"{part}-images-idx3-ubyte.gz", _IDX_IMAGES_HEADER_BYTES)
    labels = _read(folder / f"{part}-labels-idx1-ubyte.gz", _IDX_LABELS_HEADER_BYTES)
    return Split(images.reshape(-1, 28, 28), labels.astype(np.int64))


def build(seed: int) -> None:
    """Train the three models of a seed and write both pairs."""
    train, test = fashion_mnist("train"), fashion_mnist("t10k")
    half = train.labels < 5
    tenth = np.random.default_rng(seed).permutation(len(train.labels)) < len(train.labels) // 10
    new = _train(train, channels=16, dim=128, epochs=5, seed=seed)
    for name, seen, epochs in (("extended_class", half, 3), ("extended_data", tenth, 2)):
        old = _train(train.where(seen), channels=8, dim=64, epochs=epochs, seed=100 + seed)
        write_data_set(
            cache_folder() / "fashion" / name / f"seed{seed}",
            fit=_embed(train, old, new, first_id=0),
            gallery=_embed(test, old, new, first_id=1_000_000),
        )


def _train(split: Split, **settings: Any) -> CnnEncoder:
    return train_cnn(split.images, split.labels, **settings)


def _embed(split: Split, old: CnnEncoder, new: CnnEncoder, first_id: int) -> Rows:
    ids = first_id + np.arange(len(split.labels))
    return Rows(ids, old(split.images), new(split.images), split.labels)


def _read(path: Path, header_bytes: int) -> NDArray[np.uint8]:
    with gzip.open(path) as file:
        return np.frombuffer(file.read(), np.uint8, offset=header_bytes)


def main() -> None:
    """Build the seeds given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    for seed in parser.parse_args().seeds:
        build(seed)


if __name__ == "__main__":
    main()
