"""Linear maps from moments: what a ridge with a turn in it is made of."""

import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes

from crossfade.testing import make_world
from crossfade.upgrade import Moments, ridge_map, turned_ridge_map

GALLERY = make_world(items=300, queries=0).gallery
OLD, NEW = GALLERY.old, GALLERY.new
MOMENTS = Moments.of(OLD, NEW)


def weight(moments: Moments, share: float) -> np.ndarray:
    return turned_ridge_map(moments, None, share).weight.astype(np.float64)


def test_without_a_share_of_the_rotation_it_is_the_ridge() -> None:
    np.testing.assert_array_equal(weight(MOMENTS, 0.0), ridge_map(MOMENTS).weight)


def test_all_rotation_is_scipys_scaled_to_the_spread_of_the_ridge() -> None:
    x, y = OLD - OLD.mean(axis=0), NEW - NEW.mean(axis=0)
    narrow = y[:, : x.shape[1]]
    turn, _ = orthogonal_procrustes(x.astype(np.float64), narrow.astype(np.float64))
    moments = Moments.of(OLD, NEW[:, : OLD.shape[1]])
    found = weight(moments, 1.0)
    np.testing.assert_allclose(found / np.linalg.norm(found, 2), turn, atol=1e-4)
    spread = np.linalg.norm(x @ found)
    assert spread == pytest.approx(np.linalg.norm(x @ ridge_map(moments).weight), rel=1e-5)


def test_it_lies_between_the_two() -> None:
    between = 0.75 * weight(MOMENTS, 0.0) + 0.25 * weight(MOMENTS, 1.0)
    np.testing.assert_allclose(weight(MOMENTS, 0.25), between, atol=1e-5)


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_the_mean_is_mapped_to_the_mean(share: float) -> None:
    affine = turned_ridge_map(MOMENTS, None, share)
    mapped = MOMENTS.mean_x @ affine.weight + affine.bias
    np.testing.assert_allclose(mapped, MOMENTS.mean_y, atol=1e-5)


def test_what_the_pairs_say_nothing_of_is_turned_nowhere() -> None:
    few = Moments.of(OLD[:6], NEW[:6])
    unseen = np.linalg.svd(OLD[:6] - OLD[:6].mean(axis=0))[2][6:]
    assert np.abs(unseen @ weight(few, 1.0)).max() < 1e-5


def test_pairs_that_are_all_alike_have_a_map() -> None:
    alike = Moments.of(np.repeat(OLD[:1], 9, axis=0), np.repeat(NEW[:1], 9, axis=0))
    found = turned_ridge_map(alike, None, 0.25)
    assert np.isfinite(found.weight).all()
    np.testing.assert_allclose(OLD[:1] @ found.weight + found.bias, NEW[:1], atol=1e-5)
