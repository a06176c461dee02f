"""An old and a new backbone on one data set, and the data set in their two spaces.

The old one is trained on a share of the photos or of the classes, or is of another
architecture; the new one is trained on everything. Everything is in one folder, which is a data
set that `crossfade bench FOLDER` measures: ``fit.npz``, ``gallery.npz``, and for Market-1501
``queries.npz`` and ``ignored.txt``; beside them ``old.safetensors``, ``new.safetensors`` and
``backbones.json`` with the settings.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crossfade.bench.cache import content_hash
from crossfade.bench.dataset import DataSet
from crossfade.bench.layouts import Photos, PhotoSet
from crossfade.bench.suite import Say
from crossfade.durable import replace_file
from crossfade.embeddings import Pairs
from crossfade.errors import InvalidInput, MissingExtra

if TYPE_CHECKING:
    from crossfade.bench.backbones.resnet import ResNet

__all__ = ["BackbonePlan", "train_pair"]

_SETTINGS = "backbones.json"
_MOST_FIT_PHOTOS = 100_000


@dataclass(frozen=True)
class BackbonePlan:
    """How to make a pair of backbones.

    Attributes:
        architecture: of the new one. old_architecture: of the old one.
        old_share: of the photos or classes that the old one is trained on, above 0 to 1.
        by: ``"data"`` or ``"classes"``.
        dim, old_dim: widths of the embeddings.
        epochs, batch_size: of both trainings. seed: of everything.
    """

    architecture: str = "resnet18"
    old_architecture: str = "resnet18"
    old_share: float = 0.5
    by: str = "classes"
    dim: int = 128
    old_dim: int = 128
    epochs: int = 100
    batch_size: int = 256
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.old_share <= 1:
            raise InvalidInput(f"old share is {self.old_share}, wanted above 0 and at most 1")
        if self.by not in ("data", "classes"):
            raise InvalidInput(f"old share is by {self.by!r}, wanted 'data' or 'classes'")

    def but(self, **changes: Any) -> BackbonePlan:
        """The same plan with some changed."""
        return replace(self, **changes)

    def seen_by_old(self, labels: NDArray[Any]) -> NDArray[np.bool_]:
        """Which training photos the old backbone is trained on, ``(n,)``."""
        rng = np.random.default_rng(self.seed)
        if self.by == "data":
            n = len(labels)
            return rng.permutation(n) < round(self.old_share * n)
        classes = rng.permutation(np.unique(labels))
        return np.isin(labels, classes[: round(self.old_share * len(classes))])


def train_pair(photos: PhotoSet, plan: BackbonePlan, folder: Path, say: Say) -> DataSet:
    """Train both backbones and embed the data set; a killed run goes on.

    Raises:
        InvalidInput: the folder holds backbones of other settings or data.
        MissingExtra: PyTorch is not installed.
    """
    _claim(folder, photos, plan)
    if not (folder / "gallery.npz").exists():
        old = _backbone("old", photos, plan, folder, say)
        new = _backbone("new", photos, plan, folder, say)
        _embed(photos, (old, new), plan, say).save(folder)
    return DataSet.load(folder)


def _claim(folder: Path, photos: PhotoSet, plan: BackbonePlan) -> None:
    settings = json.dumps({"data": _describe(photos), **asdict(plan)}, indent=2) + "\n"
    path = folder / _SETTINGS
    if path.exists():
        if path.read_text(encoding="utf-8") != settings:
            raise InvalidInput(
                f"{folder} holds backbones of other settings or data (see {_SETTINGS}); name "
                "another folder"
            )
    elif folder.exists() and any(folder.iterdir()):
        raise InvalidInput(f"{folder} holds other files; name a new or empty folder")
    else:
        with replace_file(path) as temporary:
            temporary.write_text(settings, encoding="utf-8")


def _describe(photos: PhotoSet) -> dict[str, Any]:
    parts = {"train": photos.train, "gallery": photos.gallery, "queries": photos.queries}
    there = {name: part for name, part in parts.items() if part is not None}
    labels = content_hash(part.labels.tobytes() for part in there.values())
    return {"name": photos.name, **{name: len(part) for name, part in there.items()},
            "labels_sha256": labels}  # fmt: skip


def _backbone(role: str, photos: PhotoSet, plan: BackbonePlan, folder: Path, say: Say) -> ResNet:
    try:
        from safetensors.torch import save_model

        from crossfade.bench.backbones.training import TrainingSettings, train_backbone
    except ModuleNotFoundError as error:
        if error.name == "torch":
            raise MissingExtra("training backbones", "bench") from error
        raise
    is_old = role == "old"
    seen = plan.seen_by_old(photos.train.labels) if is_old else np.ones(len(photos.train), np.bool_)
    own = photos.train.subset(seen)
    settings = TrainingSettings(
        architecture=plan.old_architecture if is_old else plan.architecture,
        dim=plan.old_dim if is_old else plan.dim,
        epochs=plan.epochs,
        batch_size=plan.batch_size,
        seed=2 * plan.seed + is_old,
    )
    say(
        f"{photos.name}: training the {role} {settings.architecture} on {len(own):,} photos of "
        f"{len(np.unique(own.labels)):,} classes"
    )
    model = train_backbone(own, photos.shape, settings, folder / f"{role}.checkpoint.pt", say)
    with replace_file(folder / f"{role}.safetensors") as temporary:
        save_model(model, str(temporary))
    return model


def _embed(photos: PhotoSet, models: Sequence[ResNet], plan: BackbonePlan, say: Say) -> DataSet:
    from crossfade.bench.backbones.training import embed_photos

    def pairs(part: Photos) -> Pairs:
        old, new = (
            embed_photos(model, part, photos.shape, plan.batch_size, say) for model in models
        )
        return Pairs.of(part.ids, old, new, part.labels)

    rng = np.random.default_rng(plan.seed)
    chosen = np.sort(rng.permutation(len(photos.train))[:_MOST_FIT_PHOTOS])
    return DataSet(
        fit=pairs(photos.train.subset(chosen)),
        gallery=pairs(photos.gallery),
        queries=None if photos.queries is None else pairs(photos.queries),
        ignored=photos.ignored,
    )
