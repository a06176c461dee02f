"""The artifact's optional part about orders."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crossfade.embeddings import normalise
from crossfade.errors import InvalidInput
from crossfade.testing import make_upgrade
from crossfade.upgrade import Affine, Ordering, Side, Upgrade


def ordering(width: int, *, classes: bool, chosen: str = "random") -> Ordering:
    rng = np.random.default_rng(0)
    residual, gain = (
        Affine(rng.normal(size=(width, 1)).astype(np.float32), np.ones(1, dtype=np.float32))
        for _ in range(2)
    )
    means = normalise(rng.normal(size=(5, 12)))
    centre = normalise(rng.normal(size=(1, 20)))[0]
    return Ordering(residual, gain, centre, means[:3], means[3:] if classes else None, chosen)


@pytest.mark.parametrize("classes", [True, False])
def test_it_is_saved_with_the_upgrade(tmp_path: Path, classes: bool) -> None:
    upgrade = replace(
        make_upgrade(Side.ITEMS), ordering=ordering(15, classes=classes, chosen="cluster_mean")
    )
    upgrade.save(tmp_path / "upgrade")
    loaded = Upgrade.load(tmp_path / "upgrade")
    assert loaded.ordering is not None and upgrade.ordering is not None
    assert loaded.ordering.chosen == "cluster_mean" and loaded.id == upgrade.id
    wanted, found = upgrade.ordering.tensors(), loaded.ordering.tensors()
    assert wanted.keys() == found.keys() and ("class_means" in found) == classes
    assert all((wanted[name] == found[name]).all() for name in wanted)


def test_an_upgrade_without_it_keeps_its_id() -> None:
    plain = make_upgrade(Side.ITEMS)
    assert plain.id == replace(plain, ordering=None).id
    assert plain.id != replace(plain, ordering=ordering(15, classes=False)).id


@pytest.mark.parametrize(
    ("side", "broken", "message"),
    [
        (Side.QUERY, ordering(15, classes=False), "residual is of shape"),
        (Side.ITEMS, ordering(12, classes=False), "residual is of shape"),
        (
            Side.ITEMS,
            replace(ordering(15, classes=False), centre=np.ones(3, dtype=np.float32)),
            r"centre is of shape \(3,\), wanted \(20,\)",
        ),
    ],
)
def test_one_of_another_upgrade_is_refused(side: Side, broken: Ordering, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        replace(make_upgrade(side), ordering=broken)
