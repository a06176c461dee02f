"""The images that ship with the demo: a part of Fashion-MNIST.

Xiao, Rasul, Vollgraf, *Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning
Algorithms*, arXiv 1708.07747, 2017. MIT licence, beside the file in ``data/``.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from crossfade.demo.plan import DemoPlan
from crossfade.errors import InvalidInput

__all__ = ["CLASS_NAMES", "DemoImages", "ImageSet", "load_images"]

CLASS_NAMES = (
    "T-shirt",
    "trousers",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
_FIRST_QUERY_ID = 1_000_000
_FIRST_TRAINING_ID = 2_000_000


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images with their classes.

    Attributes:
        ids: ``(n,)`` integers.
        images: ``(n, 28, 28)`` grey values, uint8.
        labels: ``(n,)`` indices into :data:`CLASS_NAMES`.
    """

    ids: NDArray[np.int64]
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)

    def first(self, n: int) -> ImageSet:
        """The first n images."""
        return ImageSet(self.ids[:n], self.images[:n], self.labels[:n])


@dataclass(frozen=True, eq=False)
class DemoImages:
    """Training images, the gallery, and queries; no image is in two of them."""

    training: ImageSet
    gallery: ImageSet
    queries: ImageSet


def load_images(plan: DemoPlan) -> DemoImages:
    """Read as many of the shipped images as the plan wants.

    Raises:
        InvalidInput: it wants more than there are.
    """
    packed = files("crossfade.demo").joinpath("data", "fashion.npz").read_bytes()
    with np.load(io.BytesIO(packed)) as arrays:
        training = _image_set(arrays["train_images"], arrays["train_labels"], _FIRST_TRAINING_ID)
        test = _image_set(arrays["test_images"], arrays["test_labels"], 0)
    _check("training_images", plan.training_images, len(training))
    _check("gallery_images + query_images", plan.gallery_images + plan.query_images, len(test))
    end = plan.gallery_images + plan.query_images
    asked = slice(plan.gallery_images, end)
    return DemoImages(
        training.first(plan.training_images),
        test.first(plan.gallery_images),
        ImageSet(_FIRST_QUERY_ID + test.ids[asked], test.images[asked], test.labels[asked]),
    )


def _image_set(images: NDArray[np.uint8], labels: NDArray[np.uint8], first_id: int) -> ImageSet:
    return ImageSet(first_id + np.arange(len(images)), images, labels.astype(np.int64))


def _check(name: str, wanted: int, there: int) -> None:
    if wanted > there:
        raise InvalidInput(f"{name} is {wanted}, the demo ships {there} such images")
