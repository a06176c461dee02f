"""What a log of queries teaches a map as it is fitted, and that it holds for other queries."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

from crossfade import Pairs, QueryLog, Upgrade, fit
from crossfade.embeddings import FloatArray, unit_rows
from crossfade.fit.held_out import Split
from crossfade.fit.log_ranking import images_of, learned_from_log
from crossfade.fit.settings import FitSettings
from crossfade.testing import make_world
from crossfade.upgrade.log_ranking import _Lists


def world() -> tuple[Pairs, FloatArray, FloatArray]:
    """Queries that tell items apart along a few directions, of which the old model says little."""
    rng = np.random.default_rng(0)
    items = rng.normal(size=(700, 16)) * np.linspace(2.0, 0.4, 16)
    old = (items * np.linspace(1.0, 0.3, 16)) @ rng.normal(size=(16, 20))
    pairs = Pairs.of(range(700), old + rng.normal(size=old.shape), items)
    asked = (items[:600] + rng.normal(size=(600, 16))) * (np.arange(16) >= 10)
    queries = unit_rows(asked)
    return pairs, queries[:300], queries[300:]


def split_of(pairs: Pairs) -> Split:
    """All fitted on, ten held out."""
    return Split(pairs, pairs.subset(range(10)))


def fitted(pairs: Pairs, log: FloatArray, method: str) -> Upgrade:
    return fit(pairs, method, queries=QueryLog(log))


@pytest.mark.parametrize("method", ["refitted_kernel", "forward_ridge"])
def test_what_some_queries_teach_holds_for_others(method: str) -> None:
    pairs, log, others = world()
    upgrade = fitted(pairs, log, method)
    offset = upgrade.offset
    assert offset is not None and offset.distilled is not None and upgrade.forward is not None
    images = images_of(split_of(pairs), upgrade, FitSettings())
    bare = replace(offset, distilled=None)
    matrix = learned_from_log(upgrade, split_of(pairs), log, bare, FitSettings())
    assert matrix is not None
    real = others @ images.new.T
    nothing = np.zeros(len(pairs), np.float32)
    lists = _Lists(
        images.mapped, others, real, nothing, 0 * real, np.zeros(real.shape, np.bool_), 1.0
    )
    assert lists.loss(matrix) < 0.99 * lists.loss(np.zeros_like(matrix))


def test_images_are_of_maps_that_know_nothing_of_the_item() -> None:
    pairs = make_world(items=300, queries=0, noise_old=0.6).gallery.without_labels()
    settings = FitSettings()
    upgrade = fit(pairs, "refitted_kernel")
    images = images_of(split_of(pairs), upgrade, settings)
    assert upgrade.forward is not None
    itself = upgrade.forward(pairs.old_rows())
    np.testing.assert_allclose(itself, images.new, atol=1e-3, err_msg="a kernel repeats its pairs")
    assert (images.mapped * images.new).sum(axis=1).max() < 0.999
    np.testing.assert_array_equal(images.mapped, upgrade.forward.scaled(images.raw))


def test_of_very_many_pairs_some_are_imaged_by_a_map_of_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A kernel map repeats its own; and those held out are judged by."""
    module = sys.modules["crossfade.fit.log_ranking"]
    monkeypatch.setattr(module, "_MOST_ROWS", 200)
    monkeypatch.setattr(module, "_MOST_OTHERS", 60)
    pairs = make_world(items=320, queries=0, noise_old=0.6).gallery.without_labels()
    split = Split(pairs.subset(range(300)), pairs.subset(range(300, 320)))
    kernel, ridge = (fit(split.fitting, f"refitted_{name}") for name in ("kernel", "ridge"))
    images = images_of(split, kernel, FitSettings())
    every = pairs.new_rows().tolist()
    rows = [every.index(row) for row in images.new.tolist()]
    assert len(set(rows)) == 60 and max(rows) < 300
    assert (images.mapped * images.new).sum(axis=1).max() < 0.999
    np.testing.assert_array_equal(images.old, pairs.old_rows(rows))
    assert len(images_of(split, ridge, FitSettings()).new) == 200


def test_it_is_fitted_the_same_again() -> None:
    pairs, log, _ = world()
    first, again = (fitted(pairs, log, "forward_ridge").offset for _ in range(2))
    assert first is not None and again is not None
    assert first.fingerprint == again.fingerprint


def test_what_does_not_hold_for_other_queries_is_not_learned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pairs, log, _ = world()
    downhill = _Lists.slope
    monkeypatch.setattr(_Lists, "slope", lambda self, matrix: -downhill(self, matrix))
    offset = fitted(pairs, log[:200], "forward_ridge").offset
    assert offset is not None and offset.distilled is None


@pytest.mark.filterwarnings("ignore::crossfade.fit.api.UnlikeQueriesWarning")
def test_few_pairs_tell_nothing_of_how_a_network_maps_other_items() -> None:
    pairs = make_world(items=100, queries=0).gallery.without_labels()
    log = unit_rows(np.random.default_rng(0).normal(size=(300, pairs.target.dim)))
    dims = max(pairs.source.dim, pairs.target.dim)
    network = fit(pairs.subset(range(70)), "forward_mlp", epochs=1)
    ridge = fit(pairs.subset(range(70)), "forward_ridge", queries=QueryLog(log))
    few = pairs.subset(range(2 * dims - 1))
    assert ridge.offset is not None
    bare = replace(ridge.offset, distilled=None)
    assert learned_from_log(network, split_of(few), log, bare, FitSettings()) is None
