"""Joining upgrades into a chain: what fits together, what is kept, and the artifact."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from random_upgrades import random_transform, random_upgrade

from crossfade import Side, Space, Upgrade
from crossfade.errors import ArtifactError, InvalidInput, SpaceMismatch
from crossfade.upgrade import Calibration, chained

V1, V2, V3 = Space("v1", 3), Space("v2", 4), Space("v3", 5)


def between(source: Space, target: Space, side: Side = Side.ITEMS, seed: int = 0) -> Upgrade:
    upgrade = random_upgrade(
        side, d_old=source.dim, d_new=target.dim, calibration=Calibration(), seed=seed
    )
    return replace(upgrade, source=source, target=target)


def with_head(upgrade: Upgrade) -> Upgrade:
    dim = upgrade.target.dim
    return replace(upgrade, rho=random_transform(np.random.default_rng(0), dim, dim))


@pytest.fixture(params=[Side.ITEMS, Side.QUERY])
def chain(request: pytest.FixtureRequest) -> Upgrade:
    return chained(between(V1, V2, request.param), between(V2, V3), between(V1, V3, seed=3))


def test_a_chained_upgrade_maps_from_both_older_spaces(chain: Upgrade) -> None:
    following, direct = between(V2, V3), between(V1, V3, seed=3)
    rng = np.random.default_rng(0)
    v1, v2 = rng.normal(size=(7, 3)), rng.normal(size=(7, 4))
    assert chain.earlier is not None
    mapped = chain.earlier.map_items(v1)
    assert np.array_equal(chain.map_items(v2), following.map_items(v2))  # type: ignore[arg-type]
    assert np.array_equal(mapped, direct.map_items(v1))  # type: ignore[arg-type]
    assert mapped.shape == (7, 5) and np.allclose(np.linalg.norm(mapped, axis=1), 1)
    with pytest.raises(SpaceMismatch, match="v1 embeddings has dimension 4, wanted 3"):
        chain.earlier.map_items(v2)


def test_it_is_another_upgrade_than_each_of_its_parts(chain: Upgrade) -> None:
    following, direct = between(V2, V3), between(V1, V3, seed=3)
    assert (chain.source, chain.stored) == (V2, V3) and chain.mapped is not None
    parts = (following, direct)
    assert chain.id not in [part.id for part in parts]
    assert chain.mapped not in [part.mapped for part in parts]
    other = chained(between(V1, V2), following, between(V1, V3, seed=4))
    assert other.id != chain.id and other.mapped != chain.mapped


def test_it_survives_its_folder(chain: Upgrade, tmp_path: Path) -> None:
    chain.save(tmp_path / "chain")
    loaded = Upgrade.load(tmp_path / "chain")
    assert chain.earlier is not None and loaded.earlier is not None
    assert loaded.id == chain.id and loaded.earlier.upgrade.id == chain.earlier.upgrade.id
    v1 = np.random.default_rng(1).normal(size=(9, 3))
    assert np.array_equal(loaded.earlier.map_items(v1), chain.earlier.map_items(v1))
    manifest = json.loads((tmp_path / "chain" / "upgrade.json").read_text())
    assert manifest["format_version"] == 3, "an earlier release would take it for a plain upgrade"
    between(V1, V2).save(tmp_path / "plain")
    assert json.loads((tmp_path / "plain" / "upgrade.json").read_text())["format_version"] == 2
    weights = tmp_path / "chain" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4])
    with pytest.raises(ArtifactError, match="truncated"):
        Upgrade.load(tmp_path / "chain")


def test_reports_don_t_make_another_upgrade(chain: Upgrade) -> None:
    assert chain.earlier is not None
    told = replace(chain.earlier.upgrade, report={"seconds": 1})
    again = replace(chain, earlier=replace(chain.earlier, upgrade=told), report={"seconds": 2})
    assert again.id == chain.id


def test_what_a_chain_can_t_use_is_left_out() -> None:
    rich = random_upgrade(
        Side.ITEMS, d_old=4, d_new=5, calibration=Calibration(), two_encoder=0.3, uncertainty=True
    )
    rich = replace(rich, source=V2, target=V3)
    chain = chained(between(V1, V2), rich, between(V1, V3))
    assert rich.can_use_two_encoders and not chain.can_use_two_encoders
    assert chain.uncertainty is None


@pytest.mark.parametrize(
    ("make", "error", "told"),
    [
        (
            lambda: chained(between(V1, V2), between(Space("v9", 4), V3), between(V1, V3)),
            SpaceMismatch,
            "under way ends in 'v2' .4-d., the next one begins in 'v9'",
        ),
        (
            lambda: chained(between(V1, V2), between(V2, V3), between(Space("v0", 3), V3)),
            SpaceMismatch,
            "direct upgrade begins in 'v0'",
        ),
        (
            lambda: chained(between(V1, V2), between(V2, V3), between(V1, Space("v4", 5))),
            SpaceMismatch,
            "direct upgrade ends in 'v4', the next one in 'v3'",
        ),
        (
            lambda: chained(between(V1, V2), between(V2, V3, Side.QUERY), between(V1, V3)),
            InvalidInput,
            "maps queries; a chain takes a forward map",
        ),
        (
            lambda: chained(between(V1, V2), between(V2, V3), between(V1, V3, Side.QUERY)),
            InvalidInput,
            "gives no plain forward map",
        ),
        (
            lambda: chained(
                between(V1, V2),
                replace(between(V2, V3), calibration=Calibration.affine(2.0, 0.0)),
                between(V1, V3),
            ),
            InvalidInput,
            "both maps must give scores of one scale",
        ),
        (
            lambda: chained(
                chained(between(Space("v0", 2), V1), between(V1, V2), between(Space("v0", 2), V2)),
                between(V2, V3),
                between(V1, V3),
            ),
            InvalidInput,
            "three models may be alive, not four",
        ),
        (
            lambda: chained(between(V1, V2, Side.NONE), between(V2, V3), between(V1, V3)),
            InvalidInput,
            "takes two embeddings of each query",
        ),
        (
            lambda: chained(
                with_head(between(V1, V2)),
                between(with_head(between(V1, V2)).stored, V3),
                between(V1, V3),
            ),
            InvalidInput,
            "has a new-space head",
        ),
        (
            lambda: chained(with_head(between(V1, V2)), between(V2, V3), between(V1, V3)),
            InvalidInput,
            "has a new-space head",
        ),
        (
            lambda: chained(between(V1, V2), between(V2, V1), between(V1, V1)),
            SpaceMismatch,
            "ends in 'v1', a space that the one under way has already",
        ),
    ],
)
def test_what_does_not_fit_is_refused(
    make: Callable[[], Upgrade], error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        make()


def test_a_direct_map_of_other_widths_is_refused() -> None:
    chain = chained(between(V1, V2), between(V2, V3), between(V1, V3))
    assert chain.earlier is not None
    narrow = random_transform(np.random.default_rng(0), 3, 4)
    with pytest.raises(InvalidInput, match="from 3 to 4 dimensions, wanted 3 to 5"):
        replace(chain, earlier=replace(chain.earlier, direct=narrow))
