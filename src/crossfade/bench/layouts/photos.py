"""Photos with their classes, read one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crossfade.embeddings import IgnoredItems
from crossfade.errors import DataFileError, MissingExtra

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["FIRST_GALLERY_ID", "FIRST_QUERY_ID", "PhotoSet", "Photos", "Shape"]

FIRST_GALLERY_ID, FIRST_QUERY_ID = 10_000_000, 20_000_000


@dataclass(frozen=True, eq=False)
class Photos:
    """Photos as pixels in memory or as files.

    Attributes:
        ids: ``(n,)`` integers. labels: ``(n,)`` class numbers.
        source: pixels ``(n, height, width, 3)`` uint8, or n paths.
    """

    ids: NDArray[np.int64]
    labels: NDArray[np.int64]
    source: NDArray[np.uint8] | Sequence[Path]

    def __len__(self) -> int:
        return len(self.ids)

    def read(self, row: int) -> Image:
        """One photo, in RGB.

        Raises:
            DataFileError: its file can't be read.
        """
        try:
            from PIL import Image
        except ImportError as error:
            raise MissingExtra("reading photos", "bench") from error
        photo = self.source[row]
        if isinstance(photo, np.ndarray):
            return Image.fromarray(photo)
        try:
            with Image.open(photo) as file:
                return file.convert("RGB")
        except OSError as error:
            raise DataFileError(f"{photo} can't be read as an image: {error}") from error

    def subset(self, rows: NDArray[Any]) -> Photos:
        """Some of the photos; ``rows`` are places or a mask."""
        places = np.arange(len(self))[rows]
        source = (
            self.source[places]
            if isinstance(self.source, np.ndarray)
            else [self.source[place] for place in places]
        )
        return replace(self, ids=self.ids[places], labels=self.labels[places], source=source)


@dataclass(frozen=True)
class Shape:
    """What a network sees of a photo.

    Attributes:
        height, width: in pixels.
        crops_scale: train on random parts of random size, and evaluate the middle, as is done
            on ImageNet; else train on shifted whole photos, and evaluate whole ones.
    """

    height: int
    width: int
    crops_scale: bool


@dataclass(frozen=True, eq=False)
class PhotoSet:
    """A data set as its authors distribute it.

    Attributes:
        train: what models and maps learn from. gallery: what is searched.
        queries: None where the gallery's photos are the queries.
        ignored: photos that some queries leave out of their ranking.
    """

    name: str
    shape: Shape
    train: Photos
    gallery: Photos
    queries: Photos | None = None
    ignored: IgnoredItems | None = None
