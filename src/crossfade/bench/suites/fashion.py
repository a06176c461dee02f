"""Fashion-MNIST in the spaces of two small networks that the suite trains, of every seed anew.

Pairs to fit on are the 60,000 training images; the gallery is the 10,000 test images, which are
the queries too, each leaving itself out. The quick form takes the part that ships with the demo.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from crossfade.bench.cache import content_hash, embed_cached
from crossfade.bench.dataset import DataSet
from crossfade.bench.packages import PythonPackage, debian_file
from crossfade.bench.suite import WITH_LABELS, WITHOUT_LABELS, BuildPlan, Say, Setting, Suite
from crossfade.embeddings import FloatArray, Pairs

__all__ = ["SUITES", "Split", "build", "build_open_class", "fashion_mnist"]

_FIRST_GALLERY_ID = 1_000_000
_IDX_IMAGES_HEADER_BYTES = 16
_IDX_LABELS_HEADER_BYTES = 8
_QUICK_TRAINING_IMAGES = 5_000
_CLASSES, _OLD_CLASSES, _FIT_CLASSES = 10, 5, 6

Images = NDArray[np.uint8]
Embed = Callable[[Images], FloatArray]


@dataclass(frozen=True, eq=False)
class Split:
    """Images ``(n, 28, 28)`` uint8 and labels ``(n,)``."""

    images: Images
    labels: NDArray[np.int64]

    def where(self, rows: NDArray[np.bool_] | slice) -> Split:
        """Some of the rows."""
        return Split(self.images[rows], self.labels[rows])


@dataclass(frozen=True)
class Network:
    """A small network; ``channels`` 0 is one without convolutions."""

    channels: int
    dim: int
    epochs: int


Seen = Callable[[Split, int], NDArray[np.bool_]]
"""From a split and a seed to the rows that a model is trained on."""

_NEW = Network(channels=16, dim=128, epochs=5)


def build(old: Network, seen: Seen, plan: BuildPlan) -> DataSet:
    """An old network trained on what it has seen, the new one on everything."""
    train, test = _splits(plan)
    models = [
        _trained(train.where(seen(train, plan.seed)), old, 100 + plan.seed, plan.say),
        _trained(train, _NEW, plan.seed, plan.say),
    ]
    return DataSet(
        fit=_pairs(train.where(_fit_rows(plan)), models, 0),
        gallery=_pairs(test.where(_gallery_rows(plan)), models, _FIRST_GALLERY_ID),
    )


def build_open_class(plan: BuildPlan) -> DataSet:
    """The old network and fitting know six classes; the gallery is of the other four."""
    train, test = _splits(plan)
    known = np.random.default_rng(plan.seed).permutation(_CLASSES)[:_FIT_CLASSES]
    seen = train.where(np.isin(train.labels, known))
    models = [
        _trained(seen, Network(channels=8, dim=64, epochs=3), 100 + plan.seed, plan.say),
        _trained(train, _NEW, plan.seed, plan.say),
    ]
    unseen = test.where(~np.isin(test.labels, known))
    return DataSet(
        fit=_pairs(seen.where(_fit_rows(plan)), models, 0),
        gallery=_pairs(unseen.where(_gallery_rows(plan)), models, _FIRST_GALLERY_ID),
    )


def fashion_mnist(part: str) -> Split:
    """The ``train`` or ``t10k`` part out of Debian's package."""
    folder = "usr/share/datasets/fashion-mnist"
    images = _read(f"{folder}/{part}-images-idx3-ubyte.gz", _IDX_IMAGES_HEADER_BYTES)
    labels = _read(f"{folder}/{part}-labels-idx1-ubyte.gz", _IDX_LABELS_HEADER_BYTES)
    return Split(images.reshape(-1, 28, 28), labels.astype(np.int64))


def _trained(split: Split, network: Network, seed: int, say: Say) -> Embed:
    """Embeds with a network trained on the split, which happens when the cache lacks any."""
    learnt = content_hash([split.images.tobytes(), split.labels.tobytes()])[:12]
    settings = "-".join(str(value) for value in asdict(network).values())
    name = f"fashion-{settings}-seed{seed}-{learnt}"

    @cache
    def encoder() -> Callable[[Images], FloatArray]:
        say(f"training {name} on {len(split.labels):,} images")
        return _train(split, network, seed)

    def embed(images: Images) -> FloatArray:
        def embed_some(some: Sequence[Images]) -> FloatArray:
            return encoder()(np.stack(some))

        return embed_cached(name, list(images), embed_some, np.ndarray.tobytes, say)

    return embed


def _train(split: Split, network: Network, seed: int) -> Callable[[Images], FloatArray]:
    from torch import nn

    from crossfade.demo.cnn import train_cnn, train_encoder

    dim, epochs = network.dim, network.epochs
    if network.channels:
        return train_cnn(
            split.images, split.labels, channels=network.channels, dim=dim, epochs=epochs, seed=seed
        )

    def perceptron() -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, 128), nn.ReLU(), nn.Linear(128, dim))

    return train_encoder(perceptron, split.images, split.labels, dim=dim, epochs=epochs, seed=seed)


def _pairs(split: Split, models: Sequence[Embed], first_id: int) -> Pairs:
    ids = first_id + np.arange(len(split.labels))
    old, new = (embed(split.images) for embed in models)
    return Pairs.of(ids, old, new, split.labels)


def _splits(plan: BuildPlan) -> tuple[Split, Split]:
    return _shipped() if plan.quick else (fashion_mnist("train"), fashion_mnist("t10k"))


def _shipped() -> tuple[Split, Split]:
    packed = files("crossfade.demo").joinpath("data", "fashion.npz").read_bytes()
    with np.load(io.BytesIO(packed)) as arrays:
        train, test = (
            Split(arrays[f"{part}_images"], arrays[f"{part}_labels"].astype(np.int64))
            for part in ("train", "test")
        )
    return train.where(slice(_QUICK_TRAINING_IMAGES)), test


def _fit_rows(plan: BuildPlan) -> slice:
    return slice(plan.size(60_000, 2_000))


def _gallery_rows(plan: BuildPlan) -> slice:
    return slice(plan.size(10_000, 1_000))


def _read(path: str, header_bytes: int) -> NDArray[np.uint8]:
    with gzip.open(debian_file("dataset-fashion-mnist", path)) as file:
        return np.frombuffer(file.read(), np.uint8, offset=header_bytes)


def _all_of(split: Split, _: int) -> NDArray[np.bool_]:
    return np.ones(len(split.labels), dtype=np.bool_)


def _five_classes(split: Split, _: int) -> NDArray[np.bool_]:
    return np.asarray(split.labels < _OLD_CLASSES)


def _a_tenth(split: Split, seed: int) -> NDArray[np.bool_]:
    n = len(split.labels)
    return np.random.default_rng(seed).permutation(n) < n // 10


def _suite(name: str, setting: Setting, old: str, build: Callable[[BuildPlan], DataSet]) -> Suite:
    return Suite(
        name=f"fashion-{name}",
        family="fashion",
        summary=f"Fashion-MNIST, {old} -> a CNN, 128-d",
        setting=setting,
        metric="map",
        methods=(*WITHOUT_LABELS, *WITH_LABELS),
        build=build,
        needs=(PythonPackage("torch", "torch"),),
    )


_NARROW, _TINY = Network(channels=8, dim=64, epochs=3), Network(channels=2, dim=32, epochs=2)
SUITES = (
    _suite(
        "extended-class",
        Setting.EXTENDED_CLASS,
        "a CNN of half the width, 64-d, that saw 5 of 10 classes",
        partial(build, _NARROW, _five_classes),
    ),
    _suite(
        "extended-data",
        Setting.EXTENDED_DATA,
        "a CNN of half the width, 64-d, that saw a tenth of the images",
        partial(build, Network(channels=8, dim=64, epochs=2), _a_tenth),
    ),
    _suite(
        "other-width",
        Setting.WIDTH,
        "a CNN of an eighth of the width, 32-d",
        partial(build, _TINY, _all_of),
    ),
    _suite(
        "other-architecture",
        Setting.ARCHITECTURE,
        "a perceptron without convolutions, 64-d",
        partial(build, Network(channels=0, dim=64, epochs=2), _all_of),
    ),
    _suite(
        "open-class",
        Setting.OPEN_CLASS,
        "a CNN, 64-d, that saw 6 of 10 classes, as fitting did; evaluated on the other 4",
        build_open_class,
    ),
)
