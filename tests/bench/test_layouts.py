"""The distributed layouts are read as they are, and nothing else is."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from photo_worlds import (
    MARKET,
    photo,
    write_cifar100,
    write_imagenet,
    write_market1501,
    write_places365,
)

from crossfade import Pairs, evaluate, fit
from crossfade.bench.layouts import read_photos
from crossfade.errors import DataFileError


def test_cifar100_is_read_pixel_for_pixel(tmp_path: Path) -> None:
    photos = read_photos(write_cifar100(tmp_path))
    assert (photos.name, len(photos.train), len(photos.gallery)) == ("cifar100", 48, 18)
    assert photos.queries is None
    assert photos.train.labels.tolist() == [row % 6 for row in range(48)]
    assert np.array_equal(np.asarray(photos.train.read(7)), photo(1, 1007, 32, 32))
    assert set(photos.train.ids).isdisjoint(photos.gallery.ids)


def test_python_2_pickles_of_arrays_are_read(tmp_path: Path) -> None:
    write_cifar100(tmp_path)
    path = tmp_path / "cifar-100-python" / "train"
    # Python 2 and NumPy 1 name the function by its old module.
    path.write_bytes(path.read_bytes().replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    assert len(read_photos(tmp_path).train) == 48


class Evil:
    """Writes a file if anybody unpickles it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_that_runs_code_is_refused_and_does_not_run(tmp_path: Path, protocol: int) -> None:
    write_cifar100(tmp_path)
    train = tmp_path / "cifar-100-python" / "train"
    train.write_bytes(pickle.dumps({b"data": Evil(tmp_path / "ran")}, protocol=protocol))
    with pytest.raises(DataFileError, match=r"asks for posix.system.*don't trust this file"):
        read_photos(tmp_path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("path", ["numpy.testing\nmeasure", "numpy\nload", "builtins\neval"])
def test_other_functions_of_numpy_and_python_are_refused(tmp_path: Path, path: str) -> None:
    write_cifar100(tmp_path)
    train = tmp_path / "cifar-100-python" / "train"
    train.write_bytes(f"c{path}\n(S'1'\ntR.".encode())
    with pytest.raises(DataFileError, match="not loaded"):
        read_photos(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80\x02}",
        pickle.dumps([1]),
        pickle.dumps({b"data": np.zeros((2, 3), np.uint8), b"fine_labels": [0, 1]}),
        pickle.dumps({b"data": np.zeros((2, 3072)), b"fine_labels": [0, 1]}),
        pickle.dumps({b"data": 3, b"fine_labels": [0, 1]}),
    ],
)
def test_a_damaged_or_other_pickle_is_refused(tmp_path: Path, content: bytes) -> None:
    write_cifar100(tmp_path)
    (tmp_path / "cifar-100-python" / "test").write_bytes(content)
    with pytest.raises(DataFileError, match="test"):
        read_photos(tmp_path)


def test_imagenet_is_read_by_synset(tmp_path: Path) -> None:
    photos = read_photos(write_imagenet(tmp_path))
    assert (photos.name, len(photos.train), len(photos.gallery)) == ("imagenet", 18, 9)
    assert photos.gallery.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert photos.train.read(1).size == (85, 65)


def test_imagenet_without_sorted_validation_photos_is_refused(tmp_path: Path) -> None:
    write_imagenet(tmp_path)
    for path in (tmp_path / "val" / "n01440765").iterdir():
        path.rename(tmp_path / "val" / path.name)
    (tmp_path / "val" / "n01440765").rmdir()
    with pytest.raises(DataFileError, match="sort the validation photos"):
        read_photos(tmp_path)


def test_places365_is_read_by_its_lists(tmp_path: Path) -> None:
    photos = read_photos(write_places365(tmp_path))
    assert (photos.name, len(photos.train), len(photos.gallery)) == ("places365", 18, 9)
    assert photos.train.labels.tolist() == [0] * 6 + [1] * 6 + [2] * 6
    (tmp_path / "data_256_standard").rename(tmp_path / "data_256")
    assert len(read_photos(tmp_path).train) == 18


@pytest.mark.parametrize(
    ("line", "told"),
    [("/a/place0/none.jpg 0", "not there"), ("/a/x.jpg", "line 1"), ("/../x.jpg 0", "line 1")],
)
def test_a_places_list_that_does_not_fit_is_refused(tmp_path: Path, line: str, told: str) -> None:
    write_places365(tmp_path)
    (tmp_path / "places365_train_standard.txt").write_text(f"{line}\n")
    with pytest.raises(DataFileError, match=told):
        read_photos(tmp_path)


def test_market1501_leaves_junk_out_and_keeps_distractors(tmp_path: Path) -> None:
    photos = read_photos(write_market1501(tmp_path))
    assert photos.train.labels.tolist() == [2, 2, 7, 7, 10, 10]
    assert photos.gallery.labels.tolist() == [0, 0, 1, 1, 1, 3, 3]  # no -1
    assert photos.queries is not None
    assert photos.queries.labels.tolist() == [1, 3]


def test_a_market_query_ignores_its_person_in_its_own_camera_only(tmp_path: Path) -> None:
    photos = read_photos(write_market1501(tmp_path))
    assert photos.ignored is not None
    assert photos.queries is not None
    gallery = dict(zip(map(str, photos.gallery.ids), MARKET["bounding_box_test"][1:], strict=True))
    ignored = {
        MARKET["query"][row]: [gallery[item] for item in sorted(photos.ignored.items[str(id)])]
        for row, id in enumerate(photos.queries.ids)
    }
    assert ignored == {
        "0001_c1s1_001051_00.jpg": ["0001_c1s1_001051_03.jpg"],
        "0003_c4s6_015641_00.jpg": ["0003_c4s6_015641_03.jpg"],
    }


def test_market_average_precision_is_the_protocols(tmp_path: Path) -> None:
    """Worked out by hand: person 1 by camera 1 sees, in order of similarity, its own crop by
    the same camera (ignored), a distractor, camera 2 (right), person 3, camera 3 (right)."""
    photos = read_photos(write_market1501(tmp_path))
    assert photos.queries is not None
    names = MARKET["bounding_box_test"][1:]
    order = ["0001_c1", "0000_c1", "0001_c2", "0003_c1", "0001_c3", "0000_c2", "0003_c4"]
    angle = np.array([order.index(name[:7]) * 0.2 for name in names])
    rows = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    gallery = Pairs.of(photos.gallery.ids, rows, rows, photos.gallery.labels)
    ask = Pairs.of(photos.queries.ids[:1], [[1.0, 0.0]], [[1.0, 0.0]], photos.queries.labels[:1])
    upgrade = fit(gallery.without_labels(), "rank_merge")
    result = evaluate(upgrade, gallery, ask, ignored=photos.ignored)
    assert result.old_old["map"] == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert result.metrics["map"] == pytest.approx([(1 / 2 + 2 / 4) / 2] * 11)
    assert result.old_old["cmc@1"] == 0.0


@pytest.mark.parametrize("name", ["0002.jpg", "0002_c1s1_000451.jpg", "man_c1s1_000451_03.jpg"])
def test_a_crop_with_another_name_is_refused(tmp_path: Path, name: str) -> None:
    write_market1501(tmp_path)
    folder = tmp_path / "Market-1501-v15.09.15" / "query"
    next(folder.glob("*.jpg")).rename(folder / name)
    with pytest.raises(DataFileError, match="a name of another form"):
        read_photos(tmp_path)


def test_an_unknown_folder_is_refused_with_all_layouts(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "none"):
        with pytest.raises(DataFileError, match=r"no layout that is known here.*cifar100: train"):
            read_photos(place)


@pytest.mark.parametrize(
    ("write", "name"),
    [
        (write_cifar100, "cifar100"),
        (write_imagenet, "imagenet"),
        (write_places365, "places365"),
        (write_market1501, "market1501"),
    ],
)
def test_a_layout_asked_for_by_name_is_that_one_only(
    tmp_path: Path, write: Callable[[Path], Path], name: str
) -> None:
    write(tmp_path)
    assert read_photos(tmp_path, name).name == name
    for other in {"cifar100", "imagenet", "places365", "market1501"} - {name}:
        with pytest.raises(DataFileError, match=other):
            read_photos(tmp_path, other)
