"""The old and the new model, and what they make of the images."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from crossfade.demo.cnn import CnnEncoder, TrainingStep, train_cnn
from crossfade.demo.images import ImageSet
from crossfade.demo.plan import DemoPlan
from crossfade.embeddings import FloatArray, Pairs
from crossfade.stores import Item

__all__ = ["ItemEncoder", "Models", "on_one_thread", "train_new", "train_old"]

OLD_NAME = "cnn-5-classes"
NEW_NAME = "cnn-10-classes"


@dataclass(frozen=True, eq=False)
class Models:
    """Both models, trained."""

    old: CnnEncoder
    new: CnnEncoder

    def pairs(self, images: ImageSet) -> Pairs:
        """The images in both spaces, with their labels."""
        return Pairs.of(
            images.ids,
            self.old(images.images),
            self.new(images.images),
            images.labels,
            old_name=OLD_NAME,
            new_name=NEW_NAME,
        )


class ItemEncoder:
    """The new model as the backfill calls it: items in, embeddings out, at a given pace.

    An item's payload names its image, as a real one's would name a file or an address.
    """

    def __init__(self, model: CnnEncoder, shelf: ImageSet, items_per_second: float) -> None:
        self._model = model
        self._images = dict(zip(shelf.ids.tolist(), shelf.images, strict=True))
        self._seconds_per_item = 1.0 / items_per_second

    def __call__(self, items: Sequence[Item], /) -> FloatArray:
        """Embeddings ``(n, d_new)``."""
        started = time.monotonic()
        images = np.stack([self._images[(item.payload or {})["image"]] for item in items])
        rows = self._model(images)
        pause = started + len(items) * self._seconds_per_item - time.monotonic()
        time.sleep(max(0.0, pause))
        return rows


def train_old(
    images: ImageSet, plan: DemoPlan, seed: int, on_step: Callable[[TrainingStep], None]
) -> CnnEncoder:
    """The model of the day when the shop sold the first few kinds of things only."""
    seen = images.labels < plan.old_classes
    return train_cnn(
        images.images[seen],
        images.labels[seen],
        channels=8,
        dim=64,
        epochs=plan.old_epochs,
        seed=seed,
        on_step=on_step,
    )


def train_new(
    images: ImageSet, plan: DemoPlan, seed: int, on_step: Callable[[TrainingStep], None]
) -> CnnEncoder:
    """A wider model that has seen everything."""
    return train_cnn(
        images.images,
        images.labels,
        channels=16,
        dim=128,
        epochs=plan.new_epochs,
        seed=seed + 1,
        on_step=on_step,
    )


@contextmanager
def on_one_thread() -> Iterator[None]:
    """Keep PyTorch to one thread.

    Layers this small gain little from a second one and wait for it long where other programs
    want the processor too; and here queries and backfill run side by side anyway.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
