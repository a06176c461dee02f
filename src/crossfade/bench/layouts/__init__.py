"""Data sets in the layouts in which their authors distribute them; one file a layout."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from crossfade.bench.layouts.cifar100 import holds_cifar100, read_cifar100
from crossfade.bench.layouts.folders import (
    holds_imagenet,
    holds_places365,
    read_imagenet,
    read_places365,
)
from crossfade.bench.layouts.market1501 import holds_market1501, read_market1501
from crossfade.bench.layouts.photos import Photos, PhotoSet, Shape
from crossfade.errors import DataFileError

__all__ = ["LAYOUTS", "Layout", "PhotoSet", "Photos", "Shape", "read_photos"]


@dataclass(frozen=True)
class Layout:
    """How a data set is recognised and read, and what its folder looks like."""

    holds: Callable[[Path], bool]
    read: Callable[[Path], PhotoSet]
    looks: str


LAYOUTS: Mapping[str, Layout] = {
    "cifar100": Layout(holds_cifar100, read_cifar100, "train, test, meta (the Python version)"),
    "market1501": Layout(
        holds_market1501, read_market1501, "bounding_box_train, bounding_box_test, query"
    ),
    "places365": Layout(
        holds_places365,
        read_places365,
        "data_256_standard, val_256, places365_train_standard.txt, places365_val.txt",
    ),
    "imagenet": Layout(holds_imagenet, read_imagenet, "train/SYNSET/, val/SYNSET/"),
}


def read_photos(folder: Path, name: str | None = None) -> PhotoSet:
    """Read a data set from its folder, or from the folder that holds this one.

    Args:
        name: of the layout; None recognises it.

    Raises:
        DataFileError: the folder has none of the layouts, or what it holds is not valid.
    """
    wanted = LAYOUTS if name is None else {name: LAYOUTS[name]}
    below = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    for layout in wanted.values():
        for place in (folder, *below):
            if layout.holds(place):
                return layout.read(place)
    looks = "; ".join(f"{known}: {layout.looks}" for known, layout in wanted.items())
    raise DataFileError(f"{folder} has no layout that is known here. Wanted: {looks}")
