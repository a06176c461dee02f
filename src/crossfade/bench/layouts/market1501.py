"""Market-1501 as distributed, with its own protocol.

Zheng et al., *Scalable Person Re-identification: A Benchmark*, ICCV 2015. The folders
``bounding_box_train``, ``bounding_box_test`` (the gallery) and ``query`` hold crops like
``0002_c1s1_000451_03.jpg``: person 2 seen by camera 1. A query ignores crops of its own person
by its own camera. Crops of person -1 are junk (bad detections), left out for every query; those
of person 0 are distractors, which stay and are relevant to nobody. The persons of training and
gallery are different ones.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crossfade.bench.layouts.photos import (
    FIRST_GALLERY_ID,
    FIRST_QUERY_ID,
    Photos,
    PhotoSet,
    Shape,
)
from crossfade.embeddings import IgnoredItems
from crossfade.errors import DataFileError

__all__ = ["holds_market1501", "read_market1501"]

_NAME = re.compile(r"(-1|\d{4})_c(\d+)s\d+_\d+_\d+\.jpg")
_PARTS = ("bounding_box_train", "bounding_box_test", "query")
_JUNK, _DISTRACTOR = -1, 0


@dataclass(frozen=True)
class _Crop:
    path: Path
    person: int
    camera: int


def holds_market1501(folder: Path) -> bool:
    """Whether the folder holds the three parts."""
    return all((folder / name).is_dir() for name in _PARTS)


def read_market1501(folder: Path) -> PhotoSet:
    """Training crops, gallery without junk, queries, and what each query ignores.

    Raises:
        DataFileError: a part is empty or holds crops with names of another form.
    """
    train, gallery, queries = (_crops(folder / name) for name in _PARTS)
    gallery = [crop for crop in gallery if crop.person != _JUNK]
    train = [crop for crop in train if crop.person > _DISTRACTOR]
    return PhotoSet(
        name="market1501",
        shape=Shape(256, 128, crops_scale=False),
        train=_photos(train, 0),
        gallery=_photos(gallery, FIRST_GALLERY_ID),
        queries=_photos(queries, FIRST_QUERY_ID),
        ignored=_same_camera(queries, gallery),
    )


def _crops(folder: Path) -> list[_Crop]:
    crops: list[_Crop] = []
    for path in sorted(folder.glob("*.jpg")):
        matched = _NAME.fullmatch(path.name)
        if matched is None:
            raise DataFileError(
                f"{path} has a name of another form; wanted e.g. 0002_c1s1_000451_03.jpg"
            )
        crops.append(_Crop(path, int(matched[1]), int(matched[2])))
    if not crops:
        raise DataFileError(f"{folder} holds no .jpg")
    return crops


def _same_camera(queries: Sequence[_Crop], gallery: Sequence[_Crop]) -> IgnoredItems:
    seen: dict[tuple[int, int], set[str]] = defaultdict(set)
    for row, crop in enumerate(gallery):
        seen[crop.person, crop.camera].add(str(FIRST_GALLERY_ID + row))
    return IgnoredItems(
        {
            str(FIRST_QUERY_ID + row): seen.get((crop.person, crop.camera), set())
            for row, crop in enumerate(queries)
        }
    )


def _photos(crops: Sequence[_Crop], first_id: int) -> Photos:
    return Photos(
        first_id + np.arange(len(crops)),
        np.array([crop.person for crop in crops], np.int64),
        [crop.path for crop in crops],
    )
