"""The NumPy forward pass: its laws, and what it refuses."""

from __future__ import annotations

import itertools
import operator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_upgrades import random_affine, random_transform

from crossfade.embeddings import unit_rows
from crossfade.errors import ArtifactError, InvalidInput, SpaceMismatch
from crossfade.upgrade import Affine, Transform

SKIPS = st.sampled_from(["none", "identity", "affine"])
HIDDEN = st.lists(st.integers(1, 8), max_size=3).map(tuple)


def rows(n: int, dim: int, seed: int = 0) -> np.ndarray:
    return unit_rows(np.random.default_rng(seed).normal(size=(n, dim)))


def slow_forward(transform: Transform, x: list[float]) -> list[float]:
    """The map of one row in plain Python, before scaling."""

    def affine(layer: Affine, row: list[float]) -> list[float]:
        columns = layer.weight.T.tolist()
        return [
            bias + sum(map(operator.mul, row, column))
            for bias, column in zip(layer.bias.tolist(), columns, strict=True)
        ]

    skipped = [0.0] * transform.dim_out
    if transform.skip is not None:
        skipped = x if transform.skip is True else affine(transform.skip, x)
    if not transform.layers:
        return skipped
    hidden = x
    for layer in transform.layers[:-1]:
        hidden = [max(0.0, value) for value in affine(layer, hidden)]
    return list(map(operator.add, affine(transform.layers[-1], hidden), skipped))


@given(st.integers(0, 99), st.integers(1, 6), HIDDEN, SKIPS)
def test_the_forward_pass_is_what_a_slow_loop_computes(
    seed: int, dim: int, hidden: tuple[int, ...], skip: Any
) -> None:
    transform = random_transform(np.random.default_rng(seed), dim, dim, hidden, skip)
    x = rows(3, dim, seed)
    wanted = np.array([slow_forward(transform, row.tolist()) for row in x])
    np.testing.assert_allclose(transform.raw(x), wanted, rtol=1e-4, atol=1e-4)


@given(st.integers(0, 99), st.integers(1, 9), st.integers(1, 9), HIDDEN, st.integers(0, 5))
def test_unit_float32_rows_come_out(
    seed: int, dim_in: int, dim_out: int, hidden: tuple[int, ...], n: int
) -> None:
    transform = random_transform(np.random.default_rng(seed), dim_in, dim_out, hidden, "affine")
    assert (transform.dim_in, transform.dim_out) == (dim_in, dim_out)
    out = transform(rows(n, dim_in, seed))
    assert out.shape == (n, dim_out)
    assert out.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(out, axis=1), 1.0, atol=1e-5)


@given(st.integers(0, 99), SKIPS)
def test_a_row_maps_alike_in_every_batch(seed: int, skip: Any) -> None:
    transform = random_transform(np.random.default_rng(seed), 4, 4, (5,), skip)
    x = rows(6, 4, seed)
    np.testing.assert_allclose(transform(x[2:3]), transform(x)[2:3], atol=1e-6)


def test_a_rotation_brings_a_rotated_space_back_exactly() -> None:
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))[0].astype(np.float32)
    old = rows(50, 6)
    back = Transform(Affine(rotation, np.zeros(6, np.float32)))
    np.testing.assert_allclose(back(unit_rows(old @ rotation.T)), old, atol=1e-6)


def test_an_identity_skip_with_layers_at_zero_changes_nothing() -> None:
    still = Affine(np.zeros((4, 4), np.float32), np.zeros(4, np.float32))
    np.testing.assert_array_equal(Transform(True, (still,))(rows(5, 4)), rows(5, 4))


def test_the_callers_rows_are_not_changed() -> None:
    x = rows(5, 4)
    kept = x.copy()
    for skip in ("none", "identity", "affine"):
        random_transform(np.random.default_rng(0), 4, 4, (), skip)(x)  # type: ignore[arg-type]
    np.testing.assert_array_equal(x, kept)


def test_a_row_that_maps_to_zero_keeps_a_direction() -> None:
    weight = np.array([[1, 1], [-1, -1]], np.float32)
    transform = Transform(Affine(weight, np.zeros(2, np.float32)))
    out = transform(unit_rows([[1.0, 1.0], [1.0, 0.0]]))
    np.testing.assert_allclose(out, [[1, 0], [0.5**0.5, 0.5**0.5]], atol=1e-6)


@pytest.mark.parametrize("shape", [(3, 5), (3, 3), (4,), (0, 5)])
def test_vectors_of_another_width_are_refused(shape: tuple[int, ...]) -> None:
    transform = random_transform(np.random.default_rng(0), 4, 2)
    with pytest.raises(SpaceMismatch, match="transform takes \\(n, 4\\)"):
        transform(np.ones(shape, np.float32))


def test_parts_that_do_not_fit_are_refused() -> None:
    rng = np.random.default_rng(0)
    a34, a45, a35, a44 = (random_affine(rng, *dims) for dims in ((3, 4), (4, 5), (3, 5), (4, 4)))
    for skip, layers, why in (
        (None, (), "needs an affine skip or at least one layer"),
        (True, (), "needs an affine skip or at least one layer"),
        (None, (a34, a35), "don't connect"),
        (a34, (a35,), "disagree about the widths"),
        (a44, (a34,), "disagree about the widths"),
        (True, (a34, a45), "identity skip can't map 3 to 5"),
    ):
        with pytest.raises(InvalidInput, match=why):
            Transform(skip, layers)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("weight", "bias", "why"),
    [
        (np.ones((2, 3)), np.ones(2), "wanted \\(d_in, d_out\\)"),
        (np.ones(3), np.ones(3), "wanted \\(d_in, d_out\\)"),
        (np.full((2, 2), np.nan), np.ones(2), "NaN or infinite"),
        (np.ones((2, 2)), np.array([1.0, np.inf]), "NaN or infinite"),
    ],
)
def test_weights_that_are_no_affine_map_are_refused(
    weight: np.ndarray, bias: np.ndarray, why: str
) -> None:
    with pytest.raises(InvalidInput, match=why):
        Affine(weight.astype(np.float32), bias.astype(np.float32))


@given(st.integers(0, 99), st.integers(1, 5), HIDDEN, SKIPS)
def test_weights_and_description_restore_the_map(
    seed: int, dim: int, hidden: tuple[int, ...], skip: Any
) -> None:
    transform = random_transform(np.random.default_rng(seed), dim, dim, hidden, skip)
    again = Transform.restore(transform.describe(), transform.tensors())
    assert again.fingerprint == transform.fingerprint
    np.testing.assert_array_equal(again(rows(4, dim)), transform(rows(4, dim)))


def test_every_weight_and_the_form_change_the_fingerprint() -> None:
    transform = random_transform(np.random.default_rng(0), 3, 3, (4,), "affine")
    prints = {transform.fingerprint}
    for name, value in transform.tensors().items():
        for index in itertools.product(*map(range, value.shape)):
            changed = value.copy()
            changed[index] = np.nextafter(changed[index], np.float32(9))
            tensors = {**transform.tensors(), name: changed}
            prints.add(Transform.restore(transform.describe(), tensors).fingerprint)
    assert len(prints) == 1 + sum(value.size for value in transform.tensors().values())
    layers = transform.layers
    assert Transform(None, layers).fingerprint != Transform(True, layers).fingerprint


@pytest.mark.parametrize(
    "description",
    [{}, {"skip": "affine"}, {"layers": 2}, {"skip": "other", "layers": 2}]
    + [{"skip": "affine", "layers": layers} for layers in (3, -1, 1, "many", None)],
)
def test_a_description_of_other_weights_is_refused(description: dict[str, Any]) -> None:
    tensors = random_transform(np.random.default_rng(0), 3, 2, (4,), "affine").tensors()
    with pytest.raises(ArtifactError, match="don't fit its description"):
        Transform.restore(description, tensors)
