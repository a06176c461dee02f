"""Queries between the old one and the mapped one: on the sphere, exact at both ends."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_upgrades import random_upgrade

from crossfade import Side, Upgrade
from crossfade.embeddings import unit_rows
from crossfade.errors import InvalidInput
from crossfade.upgrade import Interpolation
from crossfade.upgrade.interpolation import slerp


def rows(n: int, dim: int, seed: int) -> np.ndarray:
    return unit_rows(np.random.default_rng(seed).normal(size=(n, dim)))


def slow_slerp(u: np.ndarray, v: np.ndarray, weight: float) -> list[float]:
    """One pair of vectors, one number at a time."""
    cosine = sum(float(a) * float(b) for a, b in zip(u, v, strict=True))
    angle = math.acos(max(-1.0, min(1.0, cosine)))
    left, right = math.sin((1 - weight) * angle), math.sin(weight * angle)
    between = [left * float(a) + right * float(b) for a, b in zip(u, v, strict=True)]
    length = math.sqrt(sum(value**2 for value in between))
    return [value / length for value in between]


@given(st.integers(2, 9), st.integers(0, 99), st.floats(0.01, 0.99))
def test_it_is_what_a_slow_loop_computes(dim: int, seed: int, weight: float) -> None:
    u, v = rows(5, dim, seed), rows(5, dim, seed + 1000)
    between = slerp(u, v, weight)
    for row in range(5):
        np.testing.assert_allclose(between[row], slow_slerp(u[row], v[row], weight), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(between, axis=1), 1.0, atol=1e-6)


@given(st.integers(1, 9), st.integers(0, 99))
def test_weight_0_is_the_old_query_and_weight_1_the_mapped_one(dim: int, seed: int) -> None:
    u, v = rows(6, dim, seed), rows(6, dim, seed + 1000)
    np.testing.assert_allclose(slerp(u, v, 0.0), u, atol=1e-6)
    np.testing.assert_allclose(slerp(u, v, 1.0), v, atol=1e-6)
    np.testing.assert_allclose(slerp(u, u, 0.3), u, atol=1e-6)


def test_a_quarter_turn_is_halved_by_hand() -> None:
    u, v = np.array([[1, 0]], np.float32), np.array([[0, 1]], np.float32)
    np.testing.assert_allclose(slerp(u, v, 0.5), [[math.sqrt(0.5), math.sqrt(0.5)]], atol=1e-6)
    third = [[math.cos(math.pi / 6), math.sin(math.pi / 6)]]
    np.testing.assert_allclose(slerp(u, v, 1 / 3), third, atol=1e-6)


def test_opposite_queries_meet_at_the_old_one() -> None:
    u = rows(3, 4, 0)
    between = slerp(u, -u, 0.5)
    np.testing.assert_allclose(between, u, atol=1e-6)


def test_the_weight_rises_with_agreement_as_the_slope_says() -> None:
    u = np.array([[1, 0], [1, 0], [1, 0]], np.float32)
    v = np.array([[1, 0], [0, 1], [-1, 0]], np.float32)
    weights = Interpolation(0.5, 2.0).weights(u, v)
    wanted = [1 / (1 + math.exp(-(0.5 + 2.0 * cosine))) for cosine in (1, 0, -1)]
    np.testing.assert_allclose(weights, wanted, rtol=1e-6)
    np.testing.assert_allclose(Interpolation.fixed(0.3).weights(u, v), 0.3)


@pytest.mark.parametrize("weight", [0.0, 1.0, -0.1, float("nan")])
def test_a_fixed_weight_at_or_beyond_an_end_is_refused(weight: float) -> None:
    with pytest.raises(InvalidInput, match="wanted between 0 and 1"):
        Interpolation.fixed(weight)


def test_numbers_that_are_not_finite_are_refused() -> None:
    with pytest.raises(InvalidInput, match="wanted finite numbers"):
        Interpolation(float("inf"))


def test_an_upgrade_searches_the_old_side_between_both_queries(tmp_path: Path) -> None:
    upgrade = random_upgrade(Side.QUERY, interpolation=Interpolation(0.4, -1.0))
    new, old, items = rows(4, 4, 1), rows(4, 3, 2), rows(7, 3, 3)
    assert upgrade.psi is not None
    mapped = upgrade.psi(new)
    wanted = slerp(old, mapped, Interpolation(0.4, -1.0).weights(old, mapped)) @ items.T
    for one in (upgrade, saved(upgrade, tmp_path)):
        for mode in ("one-encoder", "two-encoder"):
            scores = one.old_side(new, old, mode).scores(items, None)
            np.testing.assert_allclose(scores, wanted, atol=1e-6)


def test_the_interpolation_is_part_of_what_decides_answers(tmp_path: Path) -> None:
    upgrade = random_upgrade(Side.QUERY, interpolation=Interpolation(0.4))
    other = replace(upgrade, interpolation=Interpolation(0.5))
    assert upgrade.id != other.id != replace(upgrade, interpolation=None).id
    assert saved(upgrade, tmp_path).interpolation == Interpolation(0.4)


def test_the_old_query_is_asked_for_in_every_mode() -> None:
    upgrade = random_upgrade(Side.QUERY, interpolation=Interpolation(0.0))
    with pytest.raises(InvalidInput, match="needs the old model's embedding of the query"):
        upgrade.old_side(rows(1, 4, 0))


def test_without_psi_there_is_nothing_to_interpolate_with() -> None:
    with pytest.raises(InvalidInput, match="an interpolated query needs psi"):
        replace(random_upgrade(Side.ITEMS), interpolation=Interpolation(0.0))


def saved(upgrade: Upgrade, folder: Path) -> Upgrade:
    upgrade.save(folder / "upgrade")
    return Upgrade.load(folder / "upgrade")
