"""``auto`` keeps what does best on held-out pairs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from crossfade import Pairs, Upgrade
from crossfade.embeddings import unit_rows
from crossfade.errors import InvalidInput, MissingExtra
from crossfade.fit.api import fit
from crossfade.fit.auto import candidates
from crossfade.fit.held_out import held_out_curves, split_pairs
from crossfade.fit.methods import METHODS
from crossfade.fit.settings import FitSettings
from crossfade.testing.worlds import make_world

QUICK: dict[str, Any] = {
    "epochs": 3,
    "hidden": (32,),
    "rho_hidden": (32,),
    "forward_hidden": (32,),
}


def linear_world(n: int = 600, dim: int = 10) -> Pairs:
    """The new model is a rotation of the old one: a linear map is exactly right."""
    rng = np.random.default_rng(0)
    old = unit_rows(rng.normal(size=(n, dim)))
    turn = np.linalg.qr(rng.normal(size=(dim, dim)))[0]
    return Pairs.of(range(n), old, old @ turn)


def merits(report: Any) -> dict[str, float]:
    """Each candidate's area relative to the first one's, for its worst kind of queries."""
    first = next(iter(report["candidates"].values()))
    return {
        name: min(curve["auc"] / base["auc"] for curve, base in zip(curves, first, strict=True))
        for name, curves in report["candidates"].items()
    }


@pytest.mark.parametrize("labels", [True, False])
def test_the_winner_has_the_best_held_out_curve_of_all_candidates(labels: bool) -> None:
    pairs = make_world(items=600, queries=0, noise_old=0.6).gallery
    pairs = pairs if labels else pairs.without_labels()
    upgrade = fit(pairs, "auto", **QUICK)
    merit = merits(upgrade.report)
    assert merit[upgrade.method] >= max(merit.values()) - 1e-3
    if upgrade.offset is None or upgrade.offset.is_blank:
        assert upgrade.report["held_out"] == upgrade.report["candidates"][upgrade.method]
    else:  # what is delivered has offsets, what competes has none
        assert upgrade.report["held_out"] != upgrade.report["candidates"][upgrade.method]
    assert upgrade.report["requested"] == "auto"
    assert 0 <= upgrade.report["certainty"] <= 1
    assert list(merit) == [method.name for method in candidates(pairs)]
    uses_labels = {"refitted_contrastive"} & merit.keys()
    assert bool(uses_labels) is labels


def test_where_a_linear_map_is_exactly_right_auto_is_not_worse() -> None:
    pairs = linear_world()
    auto, ridge = fit(pairs, "auto", **QUICK), fit(pairs, "forward_ridge")
    for got, wanted in zip(auto.report["held_out"], ridge.report["held_out"], strict=True):
        assert wanted["new_new"] - wanted["values"][0] < 0.02  # the ridge has all of it
        assert got["auc"] >= wanted["auc"] - 0.005


def test_the_same_seed_makes_the_same_choice() -> None:
    pairs = make_world(items=300, queries=0).gallery
    first, again = fit(pairs, "auto", **QUICK), fit(pairs, "auto", **QUICK)
    assert first.id == again.id
    assert first.report["candidates"] == again.report["candidates"]


def test_one_class_is_no_use_for_methods_with_labels() -> None:
    pairs = make_world(items=300, queries=0).gallery
    one = Pairs.of(pairs.ids, pairs.old_rows(), pairs.new_rows(), ["same"] * 300)
    names = [method.name for method in candidates(one)]
    assert names == [method.name for method in candidates(one.without_labels())]
    assert fit(one, "auto", **QUICK).method in names


@pytest.mark.filterwarnings("ignore::crossfade.fit.api.FewPairsWarning")
def test_with_too_few_pairs_to_hold_any_out_the_first_candidate_is_taken() -> None:
    pairs = make_world(items=40, queries=0).gallery
    upgrade = fit(pairs, "auto")
    assert upgrade.method == candidates(pairs)[0].name
    assert upgrade.report["held_out"] is None
    assert "too few pairs" in upgrade.report["chosen_by"]


def test_of_very_many_pairs_a_ridge_competes_too(
    carry_few_pairs: Callable[[int, int], None],
) -> None:
    kernel, network, ridge = (f"refitted_{name}" for name in ("kernel", "mlp", "ridge"))

    def names(n: int) -> list[str]:
        return [method.name for method in candidates(Pairs.of(range(n), *np.ones((2, n, 20))))]

    carry_few_pairs(400, 400)
    assert names(400) == [kernel, network]
    assert names(401) == [kernel, network, ridge]


def test_a_kernel_map_of_very_many_pairs_competes_by_some_and_is_fitted_on_all(
    monkeypatch: pytest.MonkeyPatch, carry_few_pairs: Callable[[int, int], None]
) -> None:
    carry_few_pairs(300, 200)
    old = unit_rows(np.random.default_rng(0).normal(size=(600, 5)))
    bend = np.random.default_rng(99).normal(size=(5, 400))
    pairs = Pairs.of(range(600), old, np.sin(3 * old @ bend) + 0.2)
    seen: list[Pairs] = []
    method = METHODS["refitted_kernel"]

    def counted(shown: Pairs, *rest: Any) -> Upgrade:
        seen.append(shown)
        return method.load()(shown, *rest)

    monkeypatch.setitem(METHODS, method.name, replace(method, load=lambda: counted))
    upgrade = fit(pairs, "auto")
    split = split_pairs(pairs, FitSettings().held_out, 0, 10_000)
    assert [len(shown) for shown in seen] == [300, 450] and len(split.fitting) == 450
    assert seen[0].ids.max() > 500, "drawn from all"
    delivered = held_out_curves(upgrade, split.held_out, 0)
    assert upgrade.report["held_out"] == [curve.describe() for curve in delivered]
    assert upgrade.method == "refitted_kernel" and upgrade.refit is not None
    assert upgrade.refit.moments.n == 450 and upgrade.refit.corrects


def test_where_pairs_are_of_a_bent_space_a_kernel_map_is_chosen() -> None:
    old = unit_rows(np.random.default_rng(0).normal(size=(600, 5)))
    bend = np.random.default_rng(99).normal(size=(5, 400))
    pairs = Pairs.of(range(600), old, np.sin(3 * old @ bend) + 0.2)
    upgrade = fit(pairs, "auto")  # too few pairs a dimension for a network
    assert upgrade.method == "refitted_kernel"
    assert upgrade.forward is not None and upgrade.forward.kernel is not None
    assert upgrade.report["certainty"] > 0.9


def test_a_bad_setting_is_refused_before_any_candidate_is_fitted() -> None:
    with pytest.raises(InvalidInput, match="seed is -1"):
        fit(linear_world(), "auto", seed=-1)


def test_a_missing_package_is_found_out_before_anything_is_fitted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def absent() -> Any:
        raise MissingExtra("fitting a trained method", "fit")

    def fitted(*_: Any) -> Any:
        raise AssertionError("it was fitted before the package was looked for")

    monkeypatch.setitem(METHODS, "refitted_mlp", replace(METHODS["refitted_mlp"], load=absent))
    kernel = replace(METHODS["refitted_kernel"], load=lambda: fitted)
    monkeypatch.setitem(METHODS, "refitted_kernel", kernel)
    with pytest.raises(MissingExtra, match=r"none in refitted_kernel.*crossfade\[fit\]"):
        fit(linear_world())


def test_what_are_no_pairs_is_refused() -> None:
    path: Any = "pairs.npz"
    with pytest.raises(InvalidInput, match=r"pairs is of type str, wanted Pairs: Pairs.load"):
        fit(path)
