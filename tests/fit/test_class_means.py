"""Class means as a classifier."""

from __future__ import annotations

import numpy as np
import pytest

from crossfade import Pairs
from crossfade.errors import InvalidInput
from crossfade.fit.class_means import class_means, new_class_means
from crossfade.testing.worlds import make_world


def test_they_are_what_a_slow_loop_computes_in_the_order_of_the_labels() -> None:
    pairs = make_world(items=90, queries=0, classes=4).gallery
    assert pairs.labels is not None
    new, names = pairs.new_rows(), sorted(set(pairs.labels.tolist()))
    for found, name in zip(new_class_means(pairs), names, strict=True):
        members = [row for row, label in zip(new, pairs.labels, strict=True) if label == name]
        mean = sum(members) / len(members)
        np.testing.assert_allclose(found, mean / np.linalg.norm(mean), atol=1e-5)


def test_a_class_without_items_and_one_of_opposites_have_no_direction() -> None:
    rows = np.array([[1, 0], [0, 1], [0, -1]], np.float32)
    means = class_means(rows, np.array([0, 2, 2]), 3)
    np.testing.assert_array_equal(means, [[1, 0], [0, 0], [0, 0]])


def test_without_labels_there_are_no_classes() -> None:
    with pytest.raises(InvalidInput, match="class means need labels"):
        new_class_means(Pairs.of([1], np.ones((1, 2)), np.ones((1, 2))))
