"""The upgrade folder: the same upgrade comes back, or a clear error does."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from random_upgrades import random_upgrade, upgrades

from crossfade import Side, Upgrade
from crossfade.embeddings import unit_rows
from crossfade.errors import ArtifactError, InvalidInput, OutputError
from crossfade.upgrade import Calibration
from crossfade.upgrade.artifact import FORMAT_VERSION, MANIFEST, WEIGHTS

Json = dict[str, Any]


def full_upgrade() -> Upgrade:
    return random_upgrade(
        rho=True,
        skip="affine",
        calibration=Calibration((0.0, 0.1, 0.7), (0.1, 1 / 3, 0.9)),
        two_encoder=0.3,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    full_upgrade().save(tmp_path / "upgrade")
    return tmp_path / "upgrade"


def read(folder: Path) -> Json:
    manifest: Json = json.loads((folder / MANIFEST).read_text())
    return manifest


def forge(folder: Path, edit: Callable[[Json], object], weights: bytes | None = None) -> None:
    """Edit the manifest and make all its hashes right again."""
    manifest = read(folder)
    if weights is not None:
        (folder / WEIGHTS).write_bytes(weights)
        manifest["weights_sha256"] = hashlib.sha256(weights).hexdigest()
    edit(manifest)
    manifest.pop("manifest_sha256", None)
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
    manifest["manifest_sha256"] = hashlib.sha256(text.encode()).hexdigest()
    (folder / MANIFEST).write_text(json.dumps(manifest))


@settings(max_examples=50, deadline=None)
@given(upgrade=upgrades())
def test_what_is_saved_is_loaded_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, upgrade: Upgrade
) -> None:
    path = tmp_path_factory.mktemp("artifact") / "upgrade"
    upgrade.save(path)
    loaded = Upgrade.load(path)
    assert loaded.id == upgrade.id
    for name in ("method", "source", "target", "side", "calibration", "report"):
        assert getattr(loaded, name) == getattr(upgrade, name)
    for name in ("psi", "forward", "rho"):
        before, after = getattr(upgrade, name), getattr(loaded, name)
        assert (before is None) == (after is None)
        if before is not None:
            assert after.describe() == before.describe()
            assert {k: v.tobytes() for k, v in after.tensors().items()} == {
                k: v.tobytes() for k, v in before.tensors().items()
            }
    assert (loaded.two_encoder is None) == (upgrade.two_encoder is None)
    if upgrade.two_encoder is not None and loaded.two_encoder is not None:
        assert loaded.two_encoder.weight == upgrade.two_encoder.weight
        kept = loaded.two_encoder.reference_old
        np.testing.assert_array_equal(kept, upgrade.two_encoder.reference_old)
    old = unit_rows(np.random.default_rng(0).normal(size=(4, upgrade.source.dim)))
    new = unit_rows(np.random.default_rng(1).normal(size=(4, upgrade.target.dim)))
    mapped = upgrade.map_items(old)
    np.testing.assert_array_equal(
        loaded.old_side(new, old).scores(old, loaded.map_items(old)),
        upgrade.old_side(new, old).scores(old, mapped),
    )
    np.testing.assert_array_equal(loaded.store_new(new), upgrade.store_new(new))


def test_the_folder_holds_json_and_plain_tensors_and_no_pickle(folder: Path) -> None:
    assert sorted(file.name for file in folder.iterdir()) == [MANIFEST, WEIGHTS]
    manifest = read(folder)
    assert manifest["format_version"] == FORMAT_VERSION == 2
    assert manifest["side"] == "query"
    assert manifest["id"] == full_upgrade().id
    header_bytes = int.from_bytes((folder / WEIGHTS).read_bytes()[:8], "little")
    header = json.loads((folder / WEIGHTS).read_bytes()[8 : 8 + header_bytes])
    assert {entry["dtype"] for entry in header.values()} == {"F32"}


def test_the_same_upgrade_is_written_as_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    full_upgrade().save(tmp_path / "again")
    for name in (MANIFEST, WEIGHTS):
        assert (folder / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_saving_replaces_an_upgrade_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    other = random_upgrade(Side.ITEMS)
    other.save(folder)
    assert Upgrade.load(folder).id == other.id
    (folder / "notes.md").write_text("dear")
    with pytest.raises(OutputError, match=r"notes\.md"):
        full_upgrade().save(folder)
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "thesis.tex").write_text("dear")
    with pytest.raises(OutputError, match="holds other files"):
        full_upgrade().save(tmp_path / "theirs")
    assert Upgrade.load(folder).id == other.id


@pytest.mark.parametrize("report", [{"rows": np.ones(2)}, {"loss": float("nan")}, {1j: 2}])
def test_a_report_that_is_no_json_leaves_nothing_behind(tmp_path: Path, report: Any) -> None:
    upgrade = random_upgrade()
    broken = Upgrade("m", upgrade.source, upgrade.target, Side.QUERY, upgrade.psi, report=report)
    with pytest.raises(InvalidInput, match="can't be written as JSON"):
        broken.save(tmp_path / "upgrade")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [MANIFEST, WEIGHTS])
def test_a_file_cut_off_anywhere_is_refused(folder: Path, name: str) -> None:
    whole = (folder / name).read_bytes()
    # Without its last line end the manifest says the same.
    for length in [*range(0, len(whole) - 2, 7), len(whole) - 2]:
        (folder / name).write_bytes(whole[:length])
        with pytest.raises(ArtifactError):
            Upgrade.load(folder)


def test_a_changed_byte_of_the_weights_is_refused_wherever_it_is(folder: Path) -> None:
    whole = (folder / WEIGHTS).read_bytes()
    for position in range(0, len(whole), 5):
        changed = bytearray(whole)
        changed[position] ^= 1
        (folder / WEIGHTS).write_bytes(changed)
        with pytest.raises(ArtifactError, match="truncated or edited"):
            Upgrade.load(folder)


def test_weights_with_something_added_are_refused(folder: Path) -> None:
    with (folder / WEIGHTS).open("ab") as file:
        file.write(b"\0")
    with pytest.raises(ArtifactError, match="truncated or edited"):
        Upgrade.load(folder)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict):
        return [leaf for key in value for leaf in leaves(value[key], (*path, key))]
    if isinstance(value, list):
        return [leaf for i, item in enumerate(value) for leaf in leaves(item, (*path, i))]
    return [path]


def test_an_edit_of_any_field_of_the_manifest_is_refused(folder: Path) -> None:
    manifest = read(folder)
    for path in leaves(manifest):
        for value in ("x", None, 7):
            edited = read(folder)
            place = edited
            for key in path[:-1]:
                place = place[key]
            place[path[-1]] = value
            (folder / MANIFEST).write_text(json.dumps(edited))
            with pytest.raises(ArtifactError):
                Upgrade.load(folder)
            (folder / MANIFEST).write_text(json.dumps(manifest))
    assert Upgrade.load(folder).id == full_upgrade().id


def test_fields_added_or_taken_away_are_refused(folder: Path) -> None:
    manifest = read(folder)
    for field in manifest:
        (folder / MANIFEST).write_text(
            json.dumps({key: value for key, value in manifest.items() if key != field})
        )
        with pytest.raises(ArtifactError):
            Upgrade.load(folder)
    (folder / MANIFEST).write_text(json.dumps({**manifest, "more": 1}))
    with pytest.raises(ArtifactError, match="edited"):
        Upgrade.load(folder)


@pytest.mark.parametrize("version", [1, 99, 0, None, "1", True, 1.5])
def test_another_version_is_refused_before_anything_else(folder: Path, version: Any) -> None:
    why = f"format version {version}, this release reads 2"
    forge(folder, lambda m: m.update(format_version=version))
    with pytest.raises(ArtifactError, match=why):
        Upgrade.load(folder)
    manifest = {"format": "crossfade-upgrade", "format_version": version, "whatever": []}
    (folder / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ArtifactError, match=why):
        Upgrade.load(folder)


@pytest.mark.parametrize(
    "text",
    [
        *("", "null", "[]", '"crossfade-upgrade"', "{}", '{"format": "other"}', "{", "\xff"),
        "[" * 9999,
        '{"format": "crossfade-upgrade", "format_version": 2, "x": NaN}',
        '{"format": "crossfade-upgrade", "format_version": 2, "x": 1e999}',
    ],
)
def test_a_manifest_that_is_no_manifest_is_refused(folder: Path, text: str) -> None:
    (folder / MANIFEST).write_bytes(text.encode("latin-1"))
    with pytest.raises(ArtifactError):
        Upgrade.load(folder)


def test_what_is_missing_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="nowhere is not there"):
        Upgrade.load(tmp_path / "nowhere")
    with pytest.raises(ArtifactError, match="no upgrade folder"):
        Upgrade.load(tmp_path)
    with pytest.raises(ArtifactError, match=MANIFEST):
        Upgrade.load(folder / WEIGHTS)
    (folder / WEIGHTS).unlink()
    with pytest.raises(ArtifactError, match=f"{WEIGHTS} can't be read"):
        Upgrade.load(folder)
    (folder / WEIGHTS).mkdir()
    with pytest.raises(ArtifactError, match=f"{WEIGHTS} can't be read"):
        Upgrade.load(folder)


def test_the_weights_of_another_upgrade_are_refused(folder: Path, tmp_path: Path) -> None:
    random_upgrade(seed=5).save(tmp_path / "other")
    shutil.copy(tmp_path / "other" / WEIGHTS, folder / WEIGHTS)
    with pytest.raises(ArtifactError, match="truncated or edited"):
        Upgrade.load(folder)


FORGERIES: list[Callable[[Json], object]] = [
    lambda m: m.update(side="sideways"),
    lambda m: m.update(side="items"),
    lambda m: m.update(side=None),
    lambda m: m.update(transforms=[]),
    lambda m: m.update(transforms={}),
    lambda m: m.update(transforms={**m["transforms"], "chi": m["transforms"]["psi"]}),
    lambda m: m["transforms"].update(psi=None),
    lambda m: m["transforms"]["psi"].update(skip="none"),
    lambda m: m["transforms"]["psi"].update(layers=1),
    lambda m: m["transforms"]["rho"].update(skip="affine"),
    lambda m: m["source"].update(dim=9),
    lambda m: m["source"].update(dim="3"),
    lambda m: m["source"].update(dim=True),
    lambda m: m["source"].update(dim=None),
    lambda m: m["source"].update(name=""),
    lambda m: m["source"].update(more=1),
    lambda m: m.update(target=None),
    lambda m: m.update(calibration={"x": [1, 0], "y": [0, 1]}),
    lambda m: m.update(calibration={"x": ["a", "b"], "y": [0, 1]}),
    lambda m: m.update(calibration=None),
    lambda m: m.update(two_encoder={}),
    lambda m: m.update(two_encoder={"weight": 3, "new_weight": 0.5}),
    lambda m: m.update(two_encoder={"weight": "x", "new_weight": 0.5}),
    lambda m: m.update(two_encoder={"weight": 0.5, "new_weight": -1}),
    lambda m: m.pop("report"),
    lambda m: m.pop("method"),
]


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_manifest_with_right_hashes_is_still_checked(
    folder: Path, forgery: Callable[[Json], object]
) -> None:
    forge(folder, forgery)
    with pytest.raises(ArtifactError):
        Upgrade.load(folder)


def test_forged_weights_with_right_hashes_are_still_checked(folder: Path) -> None:
    whole = (folder / WEIGHTS).read_bytes()
    for weights in (b"", b"\0" * 8, b"\xff" * 64, whole[:-4], whole + b"\0", whole[:40]):
        forge(folder, lambda m: m.keys(), weights)
        with pytest.raises(ArtifactError):
            Upgrade.load(folder)
