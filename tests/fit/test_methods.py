"""Every method by name: its side, its report, its laws on pairs of any size."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import crossfade
from crossfade import Pairs, Side, Upgrade
from crossfade.errors import InvalidInput
from crossfade.fit.api import FewPairsWarning, fit
from crossfade.fit.methods import METHODS, method_named
from crossfade.fit.settings import FitProgress
from crossfade.testing.worlds import make_world

SMALL: dict[str, Any] = {
    "epochs": 2,
    "hidden": (16,),
    "rho_hidden": (16,),
    "forward_hidden": (16,),
}
WORLD = make_world(items=400, queries=0, dim_old=8, dim_new=12).gallery
SIDES = {
    "rank_merge": Side.NONE,
    "rank_merge_quantile": Side.NONE,
    "forward_ridge": Side.ITEMS,
    "refitted_ridge": Side.ITEMS,
    "forward_kernel": Side.ITEMS,
    "ridge_to_kernel": Side.ITEMS,
    "refitted_kernel": Side.ITEMS,
    "forward_mlp": Side.ITEMS,
    "refitted_mlp": Side.ITEMS,
    "forward_distillation": Side.ITEMS,
    "near_orthogonal": Side.ITEMS,
    "fct": Side.ITEMS,
    "fastfill": Side.ITEMS,
    "forward_contrastive": Side.ITEMS,
    "refitted_contrastive": Side.ITEMS,
}
WITH_RHO = {
    "contrastive",
    "contrastive_own",
    "near_orthogonal",
    "forward_contrastive",
    "refitted_contrastive",
}


def few(n: int, labels: bool = True) -> Pairs:
    pairs = make_world(items=n, queries=0, dim_old=4, dim_new=5, classes=2).gallery
    return pairs if labels else pairs.without_labels()


def works(upgrade: Upgrade, pairs: Pairs) -> bool:
    """It scores its own pairs with finite numbers, in every mode that it knows."""
    old, new = pairs.old_rows()[:5], pairs.new_rows()[:5]
    mapped = upgrade.map_items(old)
    modes = ["one-encoder", *(["two-encoder"] if upgrade.two_encoder else [])]
    scores = [upgrade.old_side(new, old, mode).scores(old, mapped) for mode in modes]
    return all(np.isfinite(s).all() for s in scores) and np.isfinite(upgrade.store_new(new)).all()


def test_the_names_are_pinned() -> None:
    assert {
        "rank_merge",
        "rank_merge_quantile",
        "procrustes",
        "ridge",
        "forward_ridge",
        "refitted_ridge",
        "forward_kernel",
        "ridge_to_kernel",
        "refitted_kernel",
        "rqt",
        "distillation",
        "forward_mlp",
        "refitted_mlp",
        "forward_distillation",
        "contrastive",
        "contrastive_without_rho",
        "contrastive_own",
        "contrastive_own_without_rho",
        "forward_contrastive",
        "refitted_contrastive",
        "procrustes_centred",
        "low_rank",
        "residual_mlp",
        "ract",
        "near_orthogonal",
        "fct",
        "fastfill",
        "slerp_fixed",
        "slerp_adaptive",
    } <= METHODS.keys()
    assert all(method_named(name).summary for name in METHODS)


def test_an_unknown_method_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidInput, match="unknown method 'magic'; choose auto, rank_merge, "):
        fit(WORLD, "magic")


def test_an_unknown_setting_is_refused_before_fitting() -> None:
    with pytest.raises(InvalidInput, match="unknown setting 'epoch'"):
        fit(WORLD, "rqt", epoch=3)


@pytest.mark.parametrize("name", METHODS)
def test_an_upgrade_says_how_it_was_fitted(tmp_path: Path, name: str) -> None:
    seen: list[FitProgress] = []
    upgrade = fit(WORLD, name, progress=seen.append, **SMALL)
    assert upgrade.method == name
    assert upgrade.side is SIDES.get(name, Side.QUERY)
    assert (upgrade.source, upgrade.target) == (WORLD.source, WORLD.target)
    assert (upgrade.rho is not None) is (name in WITH_RHO)
    assert (upgrade.uncertainty is not None) is (name == "fastfill")
    assert (upgrade.interpolation is not None) is name.startswith("slerp")
    assert works(upgrade, WORLD)
    report = upgrade.report
    assert report["requested"] == name
    assert report["pairs"] == 400
    assert report["data_sha256"] == WORLD.fingerprint()
    assert report["settings"]["epochs"] == 2
    assert report["seconds"] > 0
    (curve,) = report["held_out"]
    assert curve["queries"] == "labels"
    assert len(curve["values"]) == len(curve["coverage"])
    assert bool(seen) is not METHODS[name].closed_form
    if not METHODS[name].closed_form:
        assert len(report["training"]["held_out_loss"]) == 3  # the start, two epochs
    upgrade.save(tmp_path / "upgrade")
    loaded = Upgrade.load(tmp_path / "upgrade")
    assert loaded.id == upgrade.id
    assert loaded.report == json.loads(json.dumps(report))


@pytest.mark.parametrize("name", METHODS)
def test_the_same_seed_gives_the_same_artifact(name: str) -> None:
    assert fit(WORLD, name, **SMALL).id == fit(WORLD, name, **SMALL).id


@pytest.mark.parametrize("name", METHODS)
def test_labels_are_asked_for_only_where_they_are_needed(name: str) -> None:
    unlabelled = WORLD.without_labels()
    one_class = Pairs.of(WORLD.ids, WORLD.old_rows(), WORLD.new_rows(), ["same"] * len(WORLD))
    all_apart = Pairs.of(WORLD.ids, WORLD.old_rows(), WORLD.new_rows(), WORLD.ids)
    if METHODS[name].needs_labels:
        with pytest.raises(InvalidInput, match=f"'{name}' needs labels and the pairs have none"):
            fit(unlabelled, name, **SMALL)
        with pytest.raises(InvalidInput, match="at least two classes"):
            fit(one_class, name, **SMALL)
    else:
        assert works(fit(unlabelled, name, **SMALL), WORLD)
        assert works(fit(one_class, name, **SMALL), WORLD)
    assert works(fit(all_apart, name, **SMALL), WORLD)


@pytest.mark.filterwarnings("ignore::crossfade.fit.api.FewPairsWarning")
@pytest.mark.parametrize("n", [2, 8, 20, 63, 64, 65])
@pytest.mark.parametrize("name", ["auto", *METHODS])
def test_pairs_of_any_number_give_an_upgrade_or_a_reason(name: str, n: int) -> None:
    pairs = few(n)
    trained = name != "auto" and not METHODS[name].closed_form
    if n < 8 and trained:
        with pytest.raises(InvalidInput, match="at least 8 pairs"):
            fit(pairs, name, **SMALL)
        return
    if n == 2 and name == "rank_merge_quantile":
        with pytest.raises(InvalidInput, match="give more, and more different, pairs"):
            fit(pairs, name, **SMALL)
        return
    upgrade = fit(pairs, name, **SMALL)
    assert works(upgrade, pairs)
    assert (upgrade.report["held_out"] is None) is (n < 64)


@pytest.mark.parametrize("n", [0, 1])
@pytest.mark.parametrize("name", ["auto", "rank_merge", "ridge", "rqt"])
def test_no_pairs_and_one_pair_are_refused(name: str, n: int) -> None:
    with pytest.raises(InvalidInput, match=f"at least 2 pairs, got {n}"):
        fit(few(10).subset(range(n)), name)


def test_pairs_that_are_all_alike_still_give_finite_maps() -> None:
    pairs = Pairs.of(range(80), np.ones((80, 4)), np.ones((80, 6)))
    for name in (
        "procrustes",
        "ridge",
        "forward_ridge",
        "forward_kernel",
        "refitted_kernel",
        "rqt",
        "distillation",
        "auto",
    ):
        assert works(fit(pairs, name, **SMALL), pairs)


def test_fewer_pairs_than_dimensions_is_a_warning_with_its_consequence() -> None:
    pairs = make_world(items=100, queries=0, dim_old=8, dim_new=101).gallery
    with pytest.warns(FewPairsWarning, match="100 pairs for 101 dimensions: .* lower curve"):
        upgrade = crossfade.fit(pairs, "ridge")
    assert works(upgrade, pairs)


def test_as_many_pairs_as_dimensions_is_no_warning() -> None:
    fit(make_world(items=101, queries=0, dim_old=8, dim_new=101).gallery, "ridge")


@pytest.mark.filterwarnings("ignore::crossfade.fit.api.FewPairsWarning")
@pytest.mark.parametrize(("d_old", "d_new"), [(8, 8), (8, 2048), (2048, 8), (50, 256), (512, 384)])
def test_widths_of_every_size_fit_with_500_pairs(d_old: int, d_new: int) -> None:
    pairs = make_world(items=500, queries=0, dim_old=d_old, dim_new=d_new).gallery
    quick = {"epochs": 1, "hidden": (32,), "rho_hidden": (32,), "forward_hidden": (32,)}
    for name in ("auto", "ridge", "forward_kernel", "contrastive", "distillation"):
        upgrade = fit(pairs, name, **quick)
        assert works(upgrade, pairs)
        assert math.isfinite(upgrade.report["held_out"][0]["auc"])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::crossfade.fit.api.FewPairsWarning")
@pytest.mark.parametrize("dims", [(8, 2048), (2048, 8), (2048, 2048)])
@pytest.mark.parametrize("name", ["auto", *METHODS])
def test_every_method_fits_every_width_with_its_own_settings(
    name: str, dims: tuple[int, int]
) -> None:
    pairs = make_world(items=500, queries=0, dim_old=dims[0], dim_new=dims[1]).gallery
    assert works(fit(pairs, name, epochs=1), pairs)
