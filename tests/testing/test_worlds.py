"""Generated worlds."""

import numpy as np

from crossfade.testing import make_world


def class_precision(vectors: np.ndarray, labels: np.ndarray) -> float:  # type: ignore[type-arg]
    """Share of nearest neighbours of the same class."""
    scores = vectors @ vectors.T
    np.fill_diagonal(scores, -np.inf)
    return float((labels[scores.argmax(axis=1)] == labels).mean())


def test_the_same_seed_is_the_same_world() -> None:
    first, again, other = make_world(seed=3), make_world(seed=3), make_world(seed=4)
    assert first.gallery.fingerprint() == again.gallery.fingerprint()
    assert first.queries.fingerprint() == again.queries.fingerprint()
    assert first.gallery.fingerprint() != other.gallery.fingerprint()


def test_a_world_has_the_sizes_asked_for() -> None:
    world = make_world(items=50, queries=7, classes=5, dim_old=9, dim_new=11)
    assert (world.gallery.old.shape, world.gallery.new.shape) == ((50, 9), (50, 11))
    assert len(world.queries) == 7
    assert set(world.gallery.labels.tolist()) == set(range(5))
    assert not set(world.gallery.ids) & set(world.queries.ids)
    assert np.array_equal(world.new_of(np.array([4, 2])), world.gallery.new[[4, 2]])


def test_both_models_know_the_classes_and_the_new_one_knows_them_better() -> None:
    world = make_world(items=400, classes=20, noise_old=1.0, spread=0.4)
    old = class_precision(world.gallery.old, world.gallery.labels)
    new = class_precision(world.gallery.new, world.gallery.labels)
    assert 0.1 < old < new
