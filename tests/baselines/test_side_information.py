"""Side information: it helps where it knows more, and leaves old and new as they are."""

from __future__ import annotations

import numpy as np
import pytest

import crossfade
from crossfade import Pairs, evaluate
from crossfade.baselines import evaluate_with_side_information, with_side_information
from crossfade.errors import InvalidInput
from crossfade.testing.worlds import make_world

WORLD = make_world(items=500, queries=60, dim_old=6, dim_new=10, noise_old=0.9, seed=1)
FITTING, GALLERY = WORLD.gallery.subset(range(300)), WORLD.gallery.subset(range(300, 500))
QUICK = {"forward_hidden": (32,), "epochs": 15}


def side_of(pairs: Pairs, noise: float = 0.1) -> np.ndarray:
    """Another view of the same items, nearly as good as the new model's."""
    rng = np.random.default_rng(int(pairs.ids[0]))
    view = pairs.new_rows() @ np.random.default_rng(3).normal(size=(10, 5))
    return view + noise * rng.normal(size=view.shape)


def test_the_wider_vector_holds_both_views_with_equal_weight() -> None:
    wide = with_side_information(FITTING, 7.0 * side_of(FITTING))
    assert wide.source.dim == 11
    assert wide.source.name == "old+side"
    halves = wide.old_rows()[:, :6], wide.old_rows()[:, 6:]
    np.testing.assert_allclose(halves[0] * np.sqrt(2), FITTING.old_rows(), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(halves[1], axis=1), np.sqrt(0.5), atol=1e-6)


def test_side_information_lifts_the_curve_and_neither_end_of_the_gain() -> None:
    plain = crossfade.fit(FITTING.without_labels(), "fct", **QUICK)
    wide = with_side_information(FITTING, side_of(FITTING)).without_labels()
    known = evaluate(plain, GALLERY, WORLD.queries, steps=3)
    found = evaluate_with_side_information(
        crossfade.fit(wide, "fct", **QUICK), GALLERY, side_of(GALLERY), WORLD.queries, steps=3
    )
    assert found.method == "fct+side"
    assert found.old_old == pytest.approx(known.old_old)
    assert found.new_new == pytest.approx(known.new_new)
    assert found.metrics["map"][-1] == pytest.approx(known.metrics["map"][-1])
    assert found.metrics["map"][0] > known.metrics["map"][0] + 0.1


def test_fastfill_orders_by_what_side_information_leaves_open() -> None:
    wide = with_side_information(FITTING, side_of(FITTING)).without_labels()
    upgrade = crossfade.fit(wide, "fastfill", **QUICK)
    found = evaluate_with_side_information(
        upgrade, GALLERY, side_of(GALLERY), WORLD.queries, steps=3, order="uncertainty"
    )
    assert found.order == "uncertainty"
    assert np.isfinite(found.auc["map"])


def test_what_does_not_fit_together_is_refused() -> None:
    with pytest.raises(InvalidInput, match="3 rows for 300 pairs"):
        with_side_information(FITTING, np.ones((3, 5)))
    ridge = crossfade.fit(FITTING, "ridge")
    with pytest.raises(InvalidInput, match="maps queries"):
        evaluate_with_side_information(ridge, GALLERY, side_of(GALLERY))
    forward = crossfade.fit(FITTING, "forward_ridge")
    with pytest.raises(InvalidInput, match=r"takes old vectors of width 6, .* have 11"):
        evaluate_with_side_information(forward, GALLERY, side_of(GALLERY))
