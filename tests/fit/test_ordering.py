"""What orders go by: predictions from old vectors, and the choice of an order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crossfade.embeddings import Pairs, normalise
from crossfade.evaluation import evaluate
from crossfade.evaluation.orders import true_residual
from crossfade.fit.api import fit
from crossfade.fit.ordering import choose_order, expected_gains, with_ordering
from crossfade.fit.rank_merge import fit_rank_merge
from crossfade.fit.ridge import fit_forward_ridge, fit_ridge
from crossfade.fit.settings import FitSettings
from crossfade.upgrade import Affine, Upgrade

SETTINGS = FitSettings()


def half_known(n: int, seed: int = 0) -> Pairs:
    """The old model is blind to what half of the items differ by, and says which half."""
    rng = np.random.default_rng(seed)
    new = rng.normal(size=(n, 16)).astype(np.float32)
    blind = np.arange(n) % 2 == 0
    old = np.hstack([new, np.full((n, 1), 3.0)])
    old[blind] = np.hstack(
        [rng.normal(size=(int(blind.sum()), 16)), np.full((int(blind.sum()), 1), -3.0)]
    )
    return Pairs.of(np.arange(n), normalise(old), normalise(new))


@pytest.fixture(scope="module")
def upgrade() -> Upgrade:
    return with_ordering(
        fit_forward_ridge(half_known(1_000), SETTINGS), half_known(1_000), SETTINGS
    )


def test_what_the_map_misses_is_predicted_for_items_never_seen(upgrade: Upgrade) -> None:
    unseen = half_known(400, seed=1)
    assert upgrade.ordering is not None
    predicted = upgrade.ordering.residual_of(unseen.old, upgrade.forward)
    true = true_residual(upgrade, unseen.old, unseen.new)
    assert np.corrcoef(predicted, true)[0, 1] > 0.6
    assert predicted[::2].mean() > predicted[1::2].mean() + 0.2


def test_what_gains_is_predicted_for_items_never_seen(upgrade: Upgrade) -> None:
    unseen = half_known(400, seed=1)
    assert upgrade.ordering is not None
    predicted = upgrade.ordering.gain_of(unseen.old, upgrade.forward)
    true = expected_gains(upgrade, unseen.old, unseen.new)
    assert true[::2].mean() > true[1::2].mean() > 0
    assert predicted[::2].mean() > predicted[1::2].mean() + 0.2


@pytest.mark.parametrize("fit_map", [fit_forward_ridge, fit_ridge])
def test_the_expected_gain_is_the_slope_of_the_loss(fit_map: object) -> None:
    """Against a slow loop: the loss before and after an item is moved a little."""
    pairs = half_known(80)
    fitted = fit_forward_ridge(pairs, SETTINGS) if fit_map is fit_forward_ridge else None
    upgrade = fitted or fit_ridge(pairs, SETTINGS)
    old, new = pairs.old[:30], pairs.new[:30]
    moved = new.astype(np.float64) @ new.T
    waiting = upgrade.old_side(new, old).scores(old, upgrade.map_items(old)).astype(np.float64)

    def loss(scores: np.ndarray) -> float:
        total = 0.0
        for query in range(30):
            others = [item for item in range(30) if item != query]
            teacher = np.exp(moved[query, others] / 0.1)
            student = np.exp(scores[query, others] / 0.1)
            total -= float((teacher / teacher.sum()) @ np.log(student / student.sum()))
        return total / 30

    gains = expected_gains(upgrade, old, new)
    step = 1e-5
    for item in (0, 7, 29):
        nearer = waiting.copy()
        nearer[:, item] += step * (moved[:, item] - waiting[:, item])
        assert gains[item] == pytest.approx((loss(waiting) - loss(nearer)) / step, rel=1e-2)


def test_fitting_recommends_an_order_that_helps() -> None:
    pairs = half_known(1_200)
    upgrade = fit(pairs, "forward_ridge")
    assert upgrade.ordering is not None and upgrade.ordering.chosen == "expected_gain"
    assert upgrade.report["order"] == "expected_gain"
    assert upgrade.report["order_added_area"]["neighbours"] > 0
    labels = np.arange(400) // 4
    rng = np.random.default_rng(5)
    centres = normalise(rng.normal(size=(100, 16)))
    new = normalise(centres[labels] + 0.15 * rng.normal(size=(400, 16)))
    old = half_known(400, seed=2).old.copy()
    old[1::2] = normalise(np.hstack([4 * new[1::2], np.full((200, 1), 3.0)]))
    gallery = Pairs.of(np.arange(400), old, new, labels=labels)
    by_order = {
        order: evaluate(upgrade, gallery, order=order).gain_share["map"]
        for order in ("auto", "random")
    }
    assert by_order["auto"] > by_order["random"] + 0.05


@pytest.mark.parametrize("method", ["refitted_kernel", "ridge_to_kernel", "forward_kernel"])
def test_a_kernel_map_goes_by_what_it_probably_misses(method: str) -> None:
    """Of items like those it was fitted on nearly nothing is left to gain."""
    upgrade = fit(half_known(1_200), method)
    assert upgrade.ordering is not None
    assert upgrade.ordering.chosen == upgrade.report["order"] == "predicted_residual"
    assert upgrade.report["order_added_area"]["neighbours"] > 0


def test_an_order_that_harms_on_held_out_pairs_is_not_recommended(upgrade: Upgrade) -> None:
    assert upgrade.ordering is not None
    unseen = half_known(400, seed=1)
    order, added = choose_order(upgrade, unseen, 0)
    assert order == "expected_gain" and added["neighbours"] > 0
    gain = upgrade.ordering.gain
    backwards = replace(upgrade.ordering, gain=Affine(-gain.weight, -gain.bias))
    order, added = choose_order(replace(upgrade, ordering=backwards), unseen, 0)
    assert order == "random" and added["neighbours"] < 0


def test_a_method_without_map_and_few_pairs_learn_no_order() -> None:
    pairs = half_known(200)
    assert with_ordering(fit_rank_merge(pairs, SETTINGS), pairs, SETTINGS).ordering is None
    assert fit(half_known(40), "forward_ridge").ordering is None


def test_labels_give_class_means_in_the_old_space() -> None:
    pairs = half_known(300)
    labelled = Pairs.of(pairs.ids, pairs.old, pairs.new, labels=np.arange(300) % 3)
    upgrade = with_ordering(fit_forward_ridge(labelled, SETTINGS), labelled, SETTINGS)
    assert upgrade.ordering is not None and upgrade.ordering.class_means is not None
    wanted = normalise(np.stack([pairs.old[kind::3].mean(axis=0) for kind in range(3)]))
    assert upgrade.ordering.class_means == pytest.approx(wanted, abs=1e-5)


def test_the_same_pairs_and_seed_learn_the_same() -> None:
    first, again = (fit(half_known(300), "forward_ridge", seed=1) for _ in range(2))
    assert first.id == again.id
