"""The paper's data sets in small: generated folders of exactly the distributed form."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]


def photo(label: int, seed: int, height: int, width: int) -> Pixels:
    """Noise with a coloured patch whose colour and place go with the label."""
    rng = np.random.default_rng([seed, label])
    pixels = rng.integers(0, 90, (height, width, 3), dtype=np.uint8)
    top = (label % 2) * height // 2
    pixels[top : top + height // 2, :, label % 3] = 160 + 10 * (label % 9)
    return pixels


def write_photo(path: Path, pixels: Pixels) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, quality=95)


def write_cifar100(root: Path, *, classes: int = 6, train: int = 48, test: int = 18) -> Path:
    """``cifar-100-python``, pickled by protocol 2 with byte keys, as it is distributed."""
    folder = root / "cifar-100-python"
    folder.mkdir(parents=True)
    for name, n, seed in (("train", train, 1), ("test", test, 2)):
        labels = [row % classes for row in range(n)]
        rows = [photo(label, seed * 1000 + row, 32, 32) for row, label in enumerate(labels)]
        content = {
            b"filenames": [f"photo_{row}.png".encode() for row in range(n)],
            b"batch_label": name.encode(),
            b"fine_labels": labels,
            b"coarse_labels": [label // 5 for label in labels],
            b"data": np.stack([row.transpose(2, 0, 1).ravel() for row in rows]),
        }
        (folder / name).write_bytes(pickle.dumps(content, protocol=2))
    names = {b"fine_label_names": [b"x"] * classes, b"coarse_label_names": [b"y"]}
    (folder / "meta").write_bytes(pickle.dumps(names, protocol=2))
    return root


def write_imagenet(root: Path, *, classes: int = 3) -> Path:
    """``train`` and ``val`` by synset; photos of many sizes."""
    for part, each, seed in (("train", 6, 1), ("val", 3, 2)):
        for label in range(classes):
            synset = f"n{1440764 + label:08d}"
            for row in range(each):
                path = root / part / synset / f"{synset}_{row}.JPEG"
                write_photo(path, photo(label, seed * 1000 + row, 60 + 5 * row, 90 - 5 * row))
    return root


def write_places365(root: Path, *, classes: int = 3) -> Path:
    """The small standard form with its file lists."""
    train, val = [], []
    for label in range(classes):
        for row in range(1, 7):
            name = f"/a/place{label}/{row:08d}.jpg"
            write_photo(root / "data_256_standard" / name[1:], photo(label, row, 64, 64))
            train.append(f"{name} {label}")
        for row in range(1, 4):
            name = f"Places365_val_{10 * label + row:08d}.jpg"
            write_photo(root / "val_256" / name, photo(label, 100 + row, 64, 64))
            val.append(f"{name} {label}")
    (root / "places365_train_standard.txt").write_text("\n".join(train) + "\n")
    (root / "places365_val.txt").write_text("\n".join(val) + "\n")
    (root / "categories_places365.txt").write_text(
        "".join(f"/a/place{label} {label}\n" for label in range(classes))
    )
    return root


MARKET = {
    "bounding_box_train": ["0002_c1s1_000451_03.jpg", "0002_c2s1_000776_01.jpg",
                           "0007_c1s6_028546_01.jpg", "0007_c3s3_077419_03.jpg",
                           "0010_c4s6_038191_02.jpg", "0010_c5s3_081637_04.jpg"],
    "bounding_box_test": ["-1_c1s1_000401_03.jpg", "0000_c1s1_000151_01.jpg",
                          "0000_c2s1_000201_01.jpg", "0001_c1s1_001051_03.jpg",
                          "0001_c2s1_000301_00.jpg", "0001_c3s1_000551_00.jpg",
                          "0003_c1s6_015971_02.jpg", "0003_c4s6_015641_03.jpg"],
    "query": ["0001_c1s1_001051_00.jpg", "0003_c4s6_015641_00.jpg"],
}  # fmt: skip


def write_market1501(root: Path) -> Path:
    """Crops of 128 x 64 under the distributed names, in the distributed folder."""
    folder = root / "Market-1501-v15.09.15"
    for part, names in MARKET.items():
        for row, name in enumerate(names):
            write_photo(folder / part / name, photo(int(name.split("_")[0]) + 1, row, 128, 64))
        (folder / part / "Thumbs.db").write_bytes(b"")
    return root
