"""Write the part of Fashion-MNIST that ships with the demo: the first images, unchanged."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from crossfade.bench.suites.fashion import fashion_mnist

_TRAINING_IMAGES = 10_000
_TEST_IMAGES = 3_400
_FILE = Path(__file__).resolve().parents[1] / "src/crossfade/demo/data/fashion.npz"


def main() -> None:
    """Write the file."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    train, test = fashion_mnist("train"), fashion_mnist("t10k")
    np.savez_compressed(
        _FILE,
        train_images=train.images[:_TRAINING_IMAGES],
        train_labels=train.labels[:_TRAINING_IMAGES].astype(np.uint8),
        test_images=test.images[:_TEST_IMAGES],
        test_labels=test.labels[:_TEST_IMAGES].astype(np.uint8),
    )
    print(f"{_FILE}: {_FILE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
