"""The demo's small models."""

import numpy as np
import pytest
import torch

from crossfade.demo.cnn import TrainingStep, train_cnn
from crossfade.demo.images import load_images
from crossfade.demo.plan import DemoPlan
from crossfade.errors import InvalidInput

TRAINING = load_images(DemoPlan(training_images=400)).training
SMALL = {"channels": 2, "dim": 8, "epochs": 1}


def test_embeddings_are_unit_rows_of_the_width_asked_for() -> None:
    encoder = train_cnn(TRAINING.images, TRAINING.labels, seed=0, **SMALL)
    rows = encoder(TRAINING.images[:7])
    assert rows.shape == (7, encoder.dim) == (7, 8)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-6)


def test_no_images_give_no_rows() -> None:
    encoder = train_cnn(TRAINING.images, TRAINING.labels, seed=0, **SMALL)
    assert encoder(TRAINING.images[:0]).shape == (0, 8)


def test_the_same_seed_gives_the_same_model_and_another_seed_another() -> None:
    first, again, other = (
        train_cnn(TRAINING.images, TRAINING.labels, seed=seed, **SMALL)(TRAINING.images)
        for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_training_leaves_the_global_random_state_alone() -> None:
    before = torch.get_rng_state()
    train_cnn(TRAINING.images, TRAINING.labels, seed=0, **SMALL)
    assert torch.equal(torch.get_rng_state(), before)


def test_training_learns_to_put_a_class_together() -> None:
    trousers_or_bag = np.isin(TRAINING.labels, (1, 8))
    images, labels = TRAINING.images[trousers_or_bag], TRAINING.labels[trousers_or_bag]
    seen, held_out = slice(None, -20), slice(-20, None)
    encoder = train_cnn(images[seen], labels[seen], channels=4, dim=8, epochs=5, seed=0)
    nearest = (encoder(images[held_out]) @ encoder(images[seen]).T).argmax(axis=1)
    assert (labels[seen][nearest] == labels[held_out]).mean() > 0.9


def test_every_batch_is_told_of_until_the_last() -> None:
    steps: list[TrainingStep] = []
    train_cnn(TRAINING.images, TRAINING.labels, seed=0, on_step=steps.append, **SMALL)
    assert [step.done for step in steps] == list(range(1, steps[-1].total + 1))
    assert all(np.isfinite(step.loss) for step in steps)


def test_one_class_alone_is_refused() -> None:
    one = TRAINING.labels == 0
    with pytest.raises(InvalidInput, match="two classes"):
        train_cnn(TRAINING.images[one], TRAINING.labels[one], seed=0, **SMALL)
