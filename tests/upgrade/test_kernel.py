"""The kernel part of a transform: a slow loop, batches, the artifact, what is refused."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_upgrades import random_affine, random_kernel, random_transform, random_upgrade

from crossfade import Side, Upgrade
from crossfade.embeddings import unit_rows
from crossfade.errors import ArtifactError, InvalidInput, SpaceMismatch
from crossfade.upgrade import (
    Affine,
    Kernel,
    Moments,
    Refit,
    Transform,
    residual_kernel,
    ridge_map,
)


def rows(n: int, dim: int, seed: int = 0) -> np.ndarray:
    return unit_rows(np.random.default_rng(seed).normal(size=(n, dim)))


def with_kernel(dim_in: int = 4, dim_out: int = 3, landmarks: int = 7) -> Transform:
    rng = np.random.default_rng(0)
    skip = random_affine(rng, dim_in, dim_out)
    return Transform(skip, kernel=random_kernel(rng, dim_in, dim_out, landmarks))


def slow_kernel(kernel: Kernel, x: list[float]) -> list[float]:
    """The map of one row in plain Python."""
    if kernel.inputs is not None:
        rows_of = list(zip(*kernel.inputs.weight.tolist(), strict=True))
        biases = kernel.inputs.bias.tolist()
        seen = [
            sum(a * b for a, b in zip(x, column, strict=True)) + bias
            for column, bias in zip(rows_of, biases, strict=True)
        ]
        length = math.sqrt(sum(a * a for a in seen))
        x = [a / length for a in seen]
    out = [0.0] * kernel.weight.shape[1]
    for landmark, weight in zip(kernel.landmarks.tolist(), kernel.weight.tolist(), strict=True):
        product = sum(a * b for a, b in zip(x, landmark, strict=True))
        similar = math.exp(kernel.gamma * (product - 1))
        out = [sum_ + similar * w for sum_, w in zip(out, weight, strict=True)]
    return out


@given(
    st.integers(0, 99),
    st.integers(1, 6),
    st.integers(1, 6),
    st.integers(1, 9),
    st.floats(0.1, 9),
    st.integers(0, 5),
)
def test_the_map_is_what_a_slow_loop_computes(
    seed: int, dim_in: int, dim_out: int, landmarks: int, gamma: float, n: int
) -> None:
    kernel = random_kernel(np.random.default_rng(seed), dim_in, dim_out, landmarks, gamma)
    x = rows(n, dim_in, seed)
    wanted = np.array([slow_kernel(kernel, row.tolist()) for row in x]).reshape(n, dim_out)
    out = kernel(x)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("skip", ["none", "identity", "affine"])
@pytest.mark.parametrize("hidden", [None, (5,)])
def test_all_parts_are_added(skip: Any, hidden: tuple[int, ...] | None) -> None:
    rng = np.random.default_rng(0)
    parts = random_transform(rng, 4, 4, hidden or (5,), skip)
    kernel = random_kernel(rng, 4, 4)
    layers = parts.layers if hidden else ()
    x = rows(6, 4)
    wanted = kernel(x)
    if parts.skip is not None:
        wanted = wanted + (x if parts.skip is True else parts.skip(x))
    if hidden:
        wanted = wanted + Transform(None, layers).raw(x)
    transform = Transform(parts.skip, layers, kernel)
    np.testing.assert_allclose(transform.raw(x), wanted, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(transform(x), axis=1), 1, atol=1e-5)
    assert transform.is_closed_form == (not hidden and isinstance(parts.skip, Affine))


def test_a_row_maps_alike_in_every_batch_to_the_last_bit() -> None:
    transform = with_kernel(48, 40, landmarks=900)
    x = rows(300, 48)
    whole = transform(x)
    for some in (slice(0, 1), slice(299, 300), slice(3, 130), slice(127, 129), slice(7, 300, 5)):
        np.testing.assert_array_equal(transform(x[some]), whole[some])
    again = transform(np.concatenate([x[200:], x[:200]]))
    np.testing.assert_array_equal(again, np.concatenate([whole[200:], whole[:200]]))


def test_the_callers_rows_are_not_changed() -> None:
    x = rows(5, 4)
    kept = x.copy()
    with_kernel()(x)
    np.testing.assert_array_equal(x, kept)


def test_vectors_of_another_width_are_refused() -> None:
    with pytest.raises(SpaceMismatch, match="transform takes \\(n, 4\\)"):
        with_kernel()(np.ones((3, 5), np.float32))


@pytest.mark.parametrize(
    ("landmarks", "weight", "gamma", "why"),
    [
        (np.ones((2, 3)), np.ones((3, 3)), 1.0, "wanted \\(m, d_in\\) and \\(m, d_out\\)"),
        (np.ones((0, 3)), np.ones((0, 3)), 1.0, "wanted \\(m, d_in\\)"),
        (np.ones(3), np.ones((3, 1)), 1.0, "wanted \\(m, d_in\\)"),
        (np.ones((2, 3)), np.ones(2), 1.0, "wanted \\(m, d_in\\)"),
        (np.ones((2, 3)), np.ones((2, 3)), 0.0, "gamma 0.0, wanted more than 0"),
        (np.ones((2, 3)), np.ones((2, 3)), math.inf, "gamma inf"),
        (np.ones((2, 3)), np.ones((2, 3)), math.nan, "gamma nan"),
        (np.full((2, 3), np.nan), np.ones((2, 3)), 1.0, "NaN or infinite"),
        (np.ones((2, 3)), np.full((2, 3), np.inf), 1.0, "NaN or infinite"),
    ],
)
def test_weights_that_are_no_kernel_map_are_refused(
    landmarks: np.ndarray, weight: np.ndarray, gamma: float, why: str
) -> None:
    with pytest.raises(InvalidInput, match=why):
        Kernel(landmarks.astype(np.float32), weight.astype(np.float32), gamma)


def test_a_kernel_of_other_widths_is_refused() -> None:
    rng = np.random.default_rng(0)
    kernel = random_kernel(rng, 4, 3)
    with pytest.raises(InvalidInput, match="disagree about the widths"):
        Transform(random_affine(rng, 4, 4), kernel=kernel)
    with pytest.raises(InvalidInput, match="disagree about the widths"):
        Transform(None, (random_affine(rng, 5, 3),), kernel)
    with pytest.raises(InvalidInput, match="identity skip can't map 4 to 3"):
        Transform(True, kernel=kernel)


def test_weights_and_description_restore_the_map() -> None:
    transform = with_kernel()
    again = Transform.restore(transform.describe(), transform.tensors())
    assert again.fingerprint == transform.fingerprint
    np.testing.assert_array_equal(again(rows(4, 4)), transform(rows(4, 4)))


def test_inputs_of_its_own_are_kept_and_computed_as_by_a_slow_loop() -> None:
    rng = np.random.default_rng(0)
    kernel = replace(random_kernel(rng, 4, 3, 7), inputs=random_affine(rng, 4, 4))
    transform = Transform(random_affine(rng, 4, 3), kernel=kernel)
    again = Transform.restore(transform.describe(), transform.tensors())
    assert again.fingerprint == transform.fingerprint and again.kernel is not None
    x = rows(9, 4, seed=1)
    np.testing.assert_array_equal(again(x), transform(x))
    wanted = [slow_kernel(kernel, row) for row in x.tolist()]
    np.testing.assert_allclose(kernel(x), wanted, rtol=1e-4, atol=1e-5)
    # What the inputs turn into nothing has a value all the same.
    assert kernel.inputs is not None
    nowhere = replace(kernel, inputs=Affine(kernel.inputs.weight * 0, kernel.inputs.bias * 0))
    assert np.isfinite(nowhere(x)).all()
    with pytest.raises(InvalidInput, match=r"inputs have weight \(4, 3\), wanted \(4, 4\)"):
        replace(kernel, inputs=random_affine(rng, 4, 3))


def test_every_part_of_the_kernel_is_in_the_fingerprint() -> None:
    rng = np.random.default_rng(1)
    transform = with_kernel()
    kernel = transform.kernel
    assert kernel is not None
    others = [
        replace(transform, kernel=None),
        replace(transform, kernel=replace(kernel, gamma=kernel.gamma + 1e-9)),
        replace(transform, kernel=replace(kernel, landmarks=kernel.landmarks[::-1])),
        replace(transform, kernel=replace(kernel, weight=kernel.weight + np.float32(1e-3))),
        replace(transform, kernel=replace(kernel, inputs=random_affine(rng, 4, 4))),
        replace(transform, kernel=replace(kernel, inputs=random_affine(rng, 4, 4))),
    ]
    assert len({transform.fingerprint, *(other.fingerprint for other in others)}) == 7


@pytest.mark.parametrize(
    "change",
    [{"kernel_gamma": "wide"}, {"kernel_gamma": None}, {"kernel_gamma": -1}, {"kernel_gamma": []}],
)
def test_a_description_of_another_kernel_is_refused(change: dict[str, Any]) -> None:
    transform = with_kernel()
    with pytest.raises(ArtifactError, match="don't fit its description"):
        Transform.restore({**transform.describe(), **change}, transform.tensors())


@pytest.mark.parametrize("name", ["kernel.landmarks", "kernel.weight"])
def test_a_kernel_without_its_weights_is_refused(name: str) -> None:
    transform = with_kernel()
    tensors = {key: value for key, value in transform.tensors().items() if key != name}
    with pytest.raises(ArtifactError, match="don't fit its description"):
        Transform.restore(transform.describe(), tensors)


def test_weights_of_a_kernel_that_is_not_described_are_refused() -> None:
    transform = with_kernel()
    with pytest.raises(ArtifactError, match=r"kernel\.landmarks, kernel\.weight not described"):
        Transform.restore({"skip": "affine", "layers": 0}, transform.tensors())


def test_an_upgrade_with_a_kernel_is_saved_and_loaded(tmp_path: Path) -> None:
    upgrade = random_upgrade(Side.ITEMS, hidden=(), kernel=True, two_encoder=0.5)
    upgrade.save(tmp_path / "upgrade")
    loaded = Upgrade.load(tmp_path / "upgrade")
    assert loaded.id == upgrade.id
    assert loaded.mapped == upgrade.mapped
    np.testing.assert_array_equal(loaded.map_items(rows(9, 3)), upgrade.map_items(rows(9, 3)))


def test_what_has_no_kernel_is_written_as_before_there_were_kernels() -> None:
    affine = Affine(np.arange(6, dtype=np.float32).reshape(2, 3), np.ones(3, np.float32))
    transform = Transform(affine)
    assert transform.describe() == {"skip": "affine", "layers": 0}
    assert list(transform.tensors()) == ["skip.weight", "skip.bias"]
    assert transform.fingerprint == "792984af3e8c"
    second = Affine(np.eye(3, dtype=np.float32), np.zeros(3, np.float32))
    assert Transform(affine, (affine, second)).fingerprint == "badb98c9a059"


def test_a_network_with_a_kernel_can_not_be_fitted_again() -> None:
    upgrade = random_upgrade(Side.ITEMS, hidden=(7,), skip="affine", kernel=True)
    refit = Refit(Moments.of(rows(9, 3), rows(9, 4)), np.empty(0, np.uint64))
    with pytest.raises(InvalidInput, match="only a ridge or kernel map"):
        replace(upgrade, refit=refit)


def test_with_a_nugget_the_landmarks_come_out_as_they_are_and_nothing_else_changes() -> None:
    old, new = rows(40, 6), rows(40, 5, seed=1)
    old[7] = old[3]  # two pairs of one old vector: their mean
    moments = Moments.of(old, new)
    exact = residual_kernel(old, new, ridge_map(moments))
    assert exact.nugget > 0
    transform = Transform(ridge_map(moments), kernel=exact)
    alone = np.delete(np.arange(40), [3, 7])
    rounded = old.astype(np.float16).astype(np.float32)
    for stored in (old, unit_rows(rounded)):
        np.testing.assert_allclose(transform.raw(stored)[alone], new[alone], atol=5e-3)
    np.testing.assert_allclose(transform.raw(old)[3], (new[3] + new[7]) / 2, atol=5e-3)
    others = rows(20, 6, seed=2)
    np.testing.assert_array_equal(exact(others), replace(exact, nugget=0.0)(others))
    some = residual_kernel(old, new, ridge_map(moments), np.arange(10))
    assert some.nugget == 0.0, "of more pairs than landmarks it would repeat some of them badly"
    with pytest.raises(InvalidInput, match="nugget"):
        replace(exact, nugget=-1.0)
    smooth = transform.with_nugget_share(0.0)
    assert smooth.kernel is not None and smooth.kernel.nugget == 0.0
    assert np.abs(smooth.raw(old) - new).max() > 1e-2
    assert transform.with_nugget_share(1.0) is transform
    half = transform.with_nugget_share(0.5).kernel
    assert half is not None and half.nugget == exact.nugget / 2
    again = Transform.restore(transform.describe(), transform.tensors())
    assert again.kernel is not None and again.kernel.nugget == exact.nugget
    assert again.fingerprint == transform.fingerprint


def test_where_all_vectors_are_alike_those_rounded_to_16_bits_are_still_the_same() -> None:
    rng = np.random.default_rng(0)
    spread = rng.normal(size=(200, 32)) / np.arange(1, 33)
    far = np.eye(32)[0] * 7.0 * np.linalg.norm(spread, axis=1).mean()
    old, new = unit_rows(spread + far), rows(200, 5, seed=1)
    assert np.linalg.norm(old.mean(axis=0)) > 0.98
    skip = ridge_map(Moments.of(old, new))
    transform = Transform(skip, kernel=residual_kernel(old, new, skip))
    rounded = unit_rows(old.astype(np.float16).astype(np.float32))
    np.testing.assert_allclose(transform.raw(rounded), new, atol=2e-2)
