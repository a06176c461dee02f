"""ImageNet-1K and Places-365 as folders of photos.

ImageNet (Deng et al., CVPR 2009): ``train/n01440764/*.JPEG`` and ``val/n01440764/*.JPEG``, the
validation photos sorted into their synsets. Places-365 standard, small (Zhou et al., TPAMI
2017): ``data_256_standard/a/airfield/00000001.jpg`` (or ``data_256``), ``val_256``, and the
file lists ``places365_train_standard.txt`` and ``places365_val.txt``. The validation photos are
gallery and queries.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from crossfade.bench.layouts.photos import FIRST_GALLERY_ID, Photos, PhotoSet, Shape
from crossfade.errors import DataFileError

__all__ = ["holds_imagenet", "holds_places365", "read_imagenet", "read_places365"]

_SHAPE = Shape(224, 224, crops_scale=True)
_SYNSET = re.compile(r"n\d{8}")
_SUFFIXES = {".jpeg", ".jpg", ".png"}
_TRAIN_LIST, _VAL_LIST = "places365_train_standard.txt", "places365_val.txt"
_TRAIN_FOLDERS, _VAL_FOLDER = ("data_256_standard", "data_256"), "val_256"


def holds_imagenet(folder: Path) -> bool:
    """Whether the folder holds ``train`` and ``val`` with synsets in them."""
    return all(_synsets(folder / part) for part in ("train", "val"))


def read_imagenet(folder: Path) -> PhotoSet:
    """All training photos; the validation photos as gallery and queries.

    Raises:
        DataFileError: both parts have different synsets, or one is empty.
    """
    names = _synsets(folder / "train")
    if names != _synsets(folder / "val"):
        raise DataFileError(
            f"{folder}: train has {len(names)} synsets, val {len(_synsets(folder / 'val'))} or "
            "others; sort the validation photos into the folders of their synsets"
        )
    return PhotoSet(
        name="imagenet",
        shape=_SHAPE,
        train=_synset_photos(folder / "train", names, 0),
        gallery=_synset_photos(folder / "val", names, FIRST_GALLERY_ID),
    )


def holds_places365(folder: Path) -> bool:
    """Whether the folder holds the standard file lists."""
    return all((folder / name).is_file() for name in (_TRAIN_LIST, _VAL_LIST))


def read_places365(folder: Path) -> PhotoSet:
    """All training photos of the list; the validation photos as gallery and queries.

    Raises:
        DataFileError: a list of another form, or photos that are not there.
    """
    train = next((folder / name for name in _TRAIN_FOLDERS if (folder / name).is_dir()), None)
    if train is None or not (folder / _VAL_FOLDER).is_dir():
        raise DataFileError(
            f"{folder} holds no {' or '.join(_TRAIN_FOLDERS)} and {_VAL_FOLDER}; unpack the small "
            "(256 x 256) photos of Places365-Standard there"
        )
    return PhotoSet(
        name="places365",
        shape=_SHAPE,
        train=_listed_photos(folder / _TRAIN_LIST, train, 0),
        gallery=_listed_photos(folder / _VAL_LIST, folder / _VAL_FOLDER, FIRST_GALLERY_ID),
    )


def _synsets(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    return sorted(path.name for path in folder.iterdir() if _SYNSET.fullmatch(path.name))


def _synset_photos(folder: Path, names: list[str], first_id: int) -> Photos:
    paths: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(names):
        own = [path for path in (folder / name).iterdir() if path.suffix.lower() in _SUFFIXES]
        if not own:
            raise DataFileError(f"{folder / name} holds no photos")
        paths += sorted(own)
        labels += [label] * len(own)
    return _photos(paths, labels, first_id)


def _listed_photos(listing: Path, folder: Path, first_id: int) -> Photos:
    paths: list[Path] = []
    labels: list[int] = []
    for number, line in enumerate(listing.read_text(encoding="utf-8").splitlines(), start=1):
        name, _, label = line.strip().rpartition(" ")
        if not name or not label.isdigit() or ".." in Path(name).parts:
            raise DataFileError(
                f"{listing}, line {number}: got {line[:80]!r}, wanted 'photo.jpg class_number'"
            )
        paths.append(folder / name.lstrip("/"))
        labels.append(int(label))
    missing = next((path for path in paths if not path.exists()), None)
    if missing is not None or not paths:
        raise DataFileError(f"{listing} names {missing or 'no photo'}, which is not there")
    return _photos(paths, labels, first_id)


def _photos(paths: list[Path], labels: list[int], first_id: int) -> Photos:
    return Photos(first_id + np.arange(len(paths)), np.array(labels, np.int64), paths)
