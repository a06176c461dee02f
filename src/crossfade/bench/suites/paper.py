"""The paper's four data sets, which the user has: CIFAR-100, ImageNet, Places-365, Market-1501.

Both backbones are trained by the suite (``--data FOLDER``; a GPU if there is one) and kept in
the cache. Architectures, widths and epochs are ours: the paper's are not known, see
``docs/paper.md``. On Market-1501 fitting and evaluation know different persons, as the data set
is made.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from crossfade.bench.backbones.pair import BackbonePlan, train_pair
from crossfade.bench.cache import content_hash
from crossfade.bench.dataset import DataSet
from crossfade.bench.layouts import Photos, PhotoSet, read_photos
from crossfade.bench.packages import PythonPackage, cache_folder
from crossfade.bench.suite import BuildPlan, Setting, Suite

__all__ = ["SUITES", "build"]

_QUICK_PHOTOS, _QUICK_CLASSES = 600, 10
_METHODS = ("rank_merge", "rqt", "forward_ridge", "auto", "contrastive", "contrastive_without_rho",
            "contrastive_own", "forward_contrastive")  # fmt: skip


@dataclass(frozen=True)
class _Data:
    layout: str
    title: str
    plan: BackbonePlan


_DATA = (
    _Data("cifar100", "CIFAR-100", BackbonePlan(epochs=100)),
    _Data("imagenet", "ImageNet-1K", BackbonePlan(epochs=90, dim=512, old_dim=512)),
    _Data("places365", "Places-365", BackbonePlan(epochs=30, dim=512, old_dim=512)),
    _Data(
        "market1501", "Market-1501", BackbonePlan(epochs=60, batch_size=64, dim=512, old_dim=512)
    ),
)
_SETTINGS = (
    (Setting.EXTENDED_DATA, "30 % of the data", {"by": "data", "old_share": 0.3}),
    (Setting.EXTENDED_CLASS, "50 % of the classes", {"by": "classes", "old_share": 0.5}),
    (Setting.ARCHITECTURE, "all of it", {"old_share": 1.0, "architecture": "resnet50"}),
)


def build(layout: str, backbones: BackbonePlan, plan: BuildPlan) -> DataSet:
    """Train the backbones of the seed, or take those of an earlier run."""
    photos = read_photos(plan.data_folder(), layout)
    wanted = replace(backbones, seed=plan.seed)
    if plan.quick:
        photos = _few(photos)
        wanted = replace(wanted, epochs=1, batch_size=32)
    path = plan.data_folder().resolve()
    name = f"{layout}-{_hash(path, photos, wanted)[:16]}"
    data = train_pair(photos, wanted, cache_folder() / "backbones" / name, plan.say)
    return replace(data, source=_hash(path, photos, replace(wanted, seed=0)))


def _hash(path: Path, photos: PhotoSet, plan: BackbonePlan) -> str:
    # Another copy of the data under the same path is other data.
    parts = [str(path), str(astuple(plan)), str(len(photos.train))]
    return content_hash(part.encode() for part in parts)


def _few(photos: PhotoSet) -> PhotoSet:
    def few(part: Photos, photos: int) -> Photos:
        known = np.unique(part.labels)[:_QUICK_CLASSES]
        return part.subset(np.flatnonzero(np.isin(part.labels, known))[:photos])

    queries = photos.queries
    return replace(
        photos,
        train=few(photos.train, _QUICK_PHOTOS),
        gallery=few(photos.gallery, _QUICK_PHOTOS),
        queries=None if queries is None else few(queries, _QUICK_PHOTOS // 4),
    )


def _suites() -> Iterator[Suite]:
    for data in _DATA:
        for setting, seen, changes in _SETTINGS:
            backbones = data.plan.but(**changes)
            yield Suite(
                name=f"{data.layout}-{setting.value.replace(' ', '-')}",
                family=data.layout,
                summary=f"{data.title}, {_spoken(backbones.old_architecture)} that saw {seen} -> "
                f"{_spoken(backbones.architecture)}",
                setting=setting,
                metric="map",
                methods=_METHODS,
                build=partial(build, data.layout, backbones),
                needs=(PythonPackage("torch", "torch"), PythonPackage("PIL", "pillow==13.0.0")),
                reads_data=True,
            )


def _spoken(architecture: str) -> str:
    return architecture.replace("resnet", "ResNet-")


SUITES = tuple(_suites())
