"""Query interpolation: the ends, the chosen weights, and the same choice for the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from crossfade import Pairs
from crossfade.embeddings import unit_rows
from crossfade.evaluation import evaluate
from crossfade.fit.ridge import fit_ridge
from crossfade.fit.settings import FitSettings
from crossfade.fit.slerp import fit_slerp_adaptive, fit_slerp_fixed
from crossfade.testing.worlds import make_world
from crossfade.upgrade import Interpolation

SETTINGS = FitSettings()


def unit(n: int, dim: int, seed: int) -> np.ndarray:
    return unit_rows(np.random.default_rng(seed).normal(size=(n, dim)))


def test_the_fixed_form_is_half_way_between_both_queries() -> None:
    pairs = make_world(items=200, queries=0).gallery.without_labels()
    upgrade, ridge = fit_slerp_fixed(pairs, SETTINGS), fit_ridge(pairs, SETTINGS)
    old, new = pairs.old_rows()[:20], pairs.new_rows()[:20]
    assert ridge.psi is not None
    both = old + ridge.psi(new)
    half = both / np.linalg.norm(both, axis=1, keepdims=True)
    np.testing.assert_allclose(upgrade.old_side(new, old).search_query, half, atol=1e-5)


def test_where_the_new_model_knows_nothing_the_old_query_is_kept() -> None:
    pairs = Pairs.of(range(300), unit(300, 8, 0), unit(300, 8, 1))
    between = fit_slerp_adaptive(pairs, SETTINGS).interpolation
    assert between is not None
    disagreeing = between.weights(unit(50, 8, 2), unit(50, 8, 3))
    assert disagreeing.mean() < 0.35


def test_the_adaptive_form_is_not_below_the_fixed_one_or_the_mapped_query_alone() -> None:
    world = make_world(items=900, queries=150, noise_old=0.6, seed=3)
    fitting = world.gallery.subset(range(500)).without_labels()
    gallery = world.gallery.subset(range(500, 900))
    found = {
        name: evaluate(fit(fitting, SETTINGS), gallery, world.queries, steps=2).metrics["map"][0]
        for name, fit in (
            ("adaptive", fit_slerp_adaptive),
            ("fixed", fit_slerp_fixed),
            ("mapped", fit_ridge),
        )
    }
    assert found["adaptive"] >= max(found["fixed"], found["mapped"]) - 0.02


def test_the_same_seed_gives_the_same_weights() -> None:
    pairs = make_world(items=300, queries=0).gallery
    first, again = (fit_slerp_adaptive(pairs, FitSettings(seed=4)) for _ in range(2))
    assert first.interpolation == again.interpolation
    assert first.id == again.id


@pytest.mark.parametrize("n", [2, 39])
def test_few_pairs_are_interpolated_half_way(n: int) -> None:
    pairs = make_world(items=n, queries=0).gallery
    assert fit_slerp_adaptive(pairs, SETTINGS).interpolation == Interpolation(0.0)
