"""The upgrade folder: ``upgrade.json`` + ``weights.safetensors``, versioned and hashed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from crossfade.durable import replace_folder
from crossfade.embeddings import FloatArray, Space
from crossfade.errors import ArtifactError, InvalidInput
from crossfade.upgrade.calibration import Calibration
from crossfade.upgrade.chain import Earlier
from crossfade.upgrade.interpolation import Interpolation
from crossfade.upgrade.item_offset import ItemOffset
from crossfade.upgrade.modes import Side
from crossfade.upgrade.moments import Moments
from crossfade.upgrade.ordering import Ordering
from crossfade.upgrade.refit import PairSample, Refit
from crossfade.upgrade.transform import Transform
from crossfade.upgrade.two_encoder import TwoEncoder
from crossfade.upgrade.upgrade import Upgrade

__all__ = ["FORMAT_VERSION", "load", "save", "upgrade_id"]

FORMAT_VERSION = 2
_CHAINED_VERSION = 3
"""Of chained upgrades, which a release that knows of none must not take for plain ones."""
_NUGGET_VERSION, _OFFSET_VERSION, _CORRECTED_VERSION, _TAUGHT_VERSION = 4, 5, 6, 7
_LATEST_VERSION = 8
"""Likewise of kernels with a nugget; of those with inputs of their own or offsets of items; of
networks that backfilled items correct, or offsets of backfilled items; of what a log taught; of
kernel maps that backfilled items correct."""
_READ = range(FORMAT_VERSION, _LATEST_VERSION + 1)
MANIFEST = "upgrade.json"
WEIGHTS = "weights.safetensors"
OTHERS = (WEIGHTS,)
"""What an upgrade folder holds beside the manifest."""
_Tensors = dict[str, NDArray[Any]]
_MOMENTS = ("mean_x", "mean_y", "xx", "xy")
_TRANSFORMS = ("psi", "forward", "rho", "uncertainty")


def save(upgrade: Upgrade, path: Path) -> None:
    """Write the folder atomically; see :meth:`Upgrade.save`."""
    weights = save_tensors(_tensors(upgrade))
    try:
        manifest = _manifest(upgrade, weights)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"the upgrade's report can't be written as JSON: {error}") from error
    with replace_folder(path, marker=MANIFEST, others=OTHERS) as folder:
        (folder / WEIGHTS).write_bytes(weights)
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def load(path: Path) -> Upgrade:
    """Read and verify the folder; see :meth:`Upgrade.load`."""
    manifest = _read_manifest(path / MANIFEST)
    try:
        weights = (path / WEIGHTS).read_bytes()
    except OSError as error:
        raise ArtifactError(f"{path / WEIGHTS} can't be read: {error}; copy it again") from error
    if hashlib.sha256(weights).hexdigest() != manifest.get("weights_sha256"):
        raise ArtifactError(
            f"{path / WEIGHTS} is not the file that {MANIFEST} describes (truncated or edited, "
            f"{len(weights)} bytes); copy the folder again or fit anew"
        )
    try:
        return _restore(manifest, load_tensors(weights))
    except ArtifactError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError, SafetensorError) as error:
        raise ArtifactError(f"{path} can't be restored: {error!r}; fit anew") from error


def upgrade_id(upgrade: Upgrade) -> str:
    """SHA-256 over all that decides answers: spaces, side, calibration and weights."""
    weights = save_tensors(_tensors(upgrade))
    return hashlib.sha256(_canonical(_decisive(_content(upgrade))) + weights).hexdigest()


def _decisive(content: Mapping[str, Any]) -> dict[str, Any]:
    decisive = {key: value for key, value in content.items() if key != "report"}
    if (earlier := decisive.get("earlier")) is not None:
        decisive["earlier"] = {**earlier, "upgrade": _decisive(earlier["upgrade"])}
    return decisive


def _manifest(upgrade: Upgrade, weights: bytes) -> dict[str, Any]:
    manifest = {
        "format": "crossfade-upgrade",
        "format_version": _version(upgrade),
        **_content(upgrade),
        "id": upgrade.id,
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
    }
    return {**manifest, "manifest_sha256": hashlib.sha256(_canonical(manifest)).hexdigest()}


def _version(upgrade: Upgrade) -> int:
    earlier = upgrade.earlier
    maps = [upgrade.forward, *([earlier.direct] if earlier else [])]
    kernels = [transform.kernel for transform in maps if transform and transform.kernel]
    version = _version(earlier.upgrade) if earlier else FORMAT_VERSION
    if earlier is not None:
        version = max(version, _CHAINED_VERSION)
    if any(kernel.nugget > 0 for kernel in kernels):
        version = max(version, _NUGGET_VERSION)
    if upgrade.offset is not None or any(kernel.inputs is not None for kernel in kernels):
        version = max(version, _OFFSET_VERSION)
    if upgrade.refit is not None and upgrade.refit.corrects:
        version = max(version, _CORRECTED_VERSION)
    if upgrade.offset is not None and upgrade.offset.new_side > 0:
        version = max(version, _CORRECTED_VERSION)
    if upgrade.offset is not None and upgrade.offset.distilled is not None:
        version = max(version, _TAUGHT_VERSION)
    if upgrade.refit is not None and upgrade.refit.landmarks:
        version = _LATEST_VERSION
    return version


def _content(upgrade: Upgrade) -> dict[str, Any]:
    two, between, again = upgrade.two_encoder, upgrade.interpolation, upgrade.refit
    earlier = upgrade.earlier
    transforms = {
        name: transform.describe()
        for name in _TRANSFORMS
        if (transform := getattr(upgrade, name)) is not None
    }
    return {
        "method": upgrade.method,
        "source": {"name": upgrade.source.name, "dim": upgrade.source.dim},
        "target": {"name": upgrade.target.name, "dim": upgrade.target.dim},
        "side": upgrade.side.value,
        "transforms": transforms,
        "calibration": upgrade.calibration.describe(),
        "two_encoder": None
        if two is None
        else {"weight": two.weight, "new_weight": two.new_weight},
        # Left out where there is none, so that the ids of other upgrades stay what they were.
        **({} if between is None else {"interpolation": between.describe()}),
        **({} if upgrade.ordering is None else {"ordering": upgrade.ordering.describe()}),
        **({} if again is None else {"refit": _describe_refit(again)}),
        **({} if upgrade.offset is None else {"offset": upgrade.offset.describe()}),
        **({} if earlier is None else {"earlier": _describe_earlier(earlier)}),
        "report": dict(upgrade.report),
    }


def _tensors(upgrade: Upgrade) -> _Tensors:
    tensors: _Tensors = {}
    for name in _TRANSFORMS:
        transform: Transform | None = getattr(upgrade, name)
        if transform is not None:
            tensors.update({f"{name}.{key}": value for key, value in transform.tensors().items()})
    if upgrade.ordering is not None:
        tensors.update({f"ordering.{key}": x for key, x in upgrade.ordering.tensors().items()})
    if upgrade.two_encoder is not None:
        tensors["two_encoder.reference_old"] = upgrade.two_encoder.reference_old
        tensors["two_encoder.reference_new"] = upgrade.two_encoder.reference_new
    if upgrade.refit is not None:
        moments = upgrade.refit.moments
        tensors |= {f"refit.{name}": getattr(moments, name) for name in _MOMENTS}
        tensors["refit.marks"] = upgrade.refit.marks
        if (sample := upgrade.refit.sample) is not None:
            tensors |= {"refit.sample.old": sample.old, "refit.sample.new": sample.new}
    if upgrade.offset is not None:
        tensors |= {f"offset.{key}": value for key, value in upgrade.offset.tensors().items()}
    if upgrade.earlier is not None:
        first, direct = upgrade.earlier.upgrade, upgrade.earlier.direct
        tensors |= {f"earlier.upgrade.{key}": value for key, value in _tensors(first).items()}
        tensors |= {f"earlier.direct.{key}": value for key, value in direct.tensors().items()}
    return tensors


def _describe_earlier(earlier: Earlier) -> dict[str, Any]:
    return {"upgrade": _content(earlier.upgrade), "direct": earlier.direct.describe()}


def _describe_refit(again: Refit) -> dict[str, Any]:
    return {
        "pairs": again.moments.n,
        "penalty": again.penalty,
        "shares_follow": again.shares_follow,
        "rotation_share": again.rotation_share,
        # Left out where it is not so, as above.
        **({"corrects": True} if again.corrects else {}),
        **({"landmarks": again.landmarks} if again.landmarks else {}),
    }


def _restore(manifest: Mapping[str, Any], tensors: _Tensors) -> Upgrade:
    transforms: dict[str, Any] = {
        name: Transform.restore(description, _of(name, tensors))
        for name, description in manifest["transforms"].items()
    }
    two, between = manifest["two_encoder"], manifest.get("interpolation")
    ordering = manifest.get("ordering")
    again, earlier = manifest.get("refit"), manifest.get("earlier")
    offset = manifest.get("offset")
    if offset is not None and "offset.bank" not in tensors:
        raise ArtifactError("offsets of items of format 4 are no longer read; fit anew")
    return Upgrade(
        method=manifest["method"],
        source=Space(**manifest["source"]),
        target=Space(**manifest["target"]),
        side=Side(manifest["side"]),
        **transforms,
        calibration=Calibration.restore(manifest["calibration"]),
        two_encoder=None
        if two is None
        else TwoEncoder(
            two["weight"],
            two["new_weight"],
            tensors["two_encoder.reference_old"],
            tensors["two_encoder.reference_new"],
        ),
        interpolation=None if between is None else Interpolation.restore(between),
        ordering=None if ordering is None else Ordering.restore(ordering, _of("ordering", tensors)),
        refit=None if again is None else _restore_refit(again, _of("refit", tensors)),
        offset=None if offset is None else ItemOffset.restore(offset, _of("offset", tensors)),
        earlier=None
        if earlier is None
        else Earlier(
            _restore(earlier["upgrade"], _of("earlier.upgrade", tensors)),
            Transform.restore(earlier["direct"], _of("earlier.direct", tensors)),
        ),
        report=manifest["report"],
    )


def _restore_refit(again: Mapping[str, Any], tensors: _Tensors) -> Refit:
    sample = _of("sample", tensors)
    return Refit(
        Moments(again["pairs"], **{name: tensors[name] for name in _MOMENTS}),
        tensors["marks"],
        again["penalty"],
        again["shares_follow"],
        again.get("rotation_share", 0.0),
        PairSample(sample["old"], sample["new"]) if sample else None,
        again.get("corrects", False),
        again.get("landmarks", 0),
    )


def _of(part: str, tensors: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    start = f"{part}."
    return {key.removeprefix(start): x for key, x in tensors.items() if key.startswith(start)}


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        what = (
            "is no upgrade folder: it has no " + MANIFEST
            if path.parent.exists()
            else "is not there"
        )
        raise ArtifactError(f"{path.parent} {what}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ArtifactError(f"{path} can't be read ({error}); is it truncated?") from error
    if not isinstance(manifest, dict) or manifest.get("format") != "crossfade-upgrade":
        raise ArtifactError(f"{path} does not describe an upgrade")
    version = manifest.get("format_version")
    if type(version) is not int or version not in _READ:
        raise ArtifactError(
            f"{path} has format version {version}, this release reads "
            f"{', '.join(map(str, _READ))}; "
            "install the release that wrote it, or fit anew"
        )
    recorded = manifest.pop("manifest_sha256", None)
    if recorded is None or recorded != _manifest_hash(manifest):
        raise ArtifactError(f"{path} was edited after it was written; fit anew, or restore it")
    return manifest


def _manifest_hash(manifest: Mapping[str, Any]) -> str | None:
    """None for one that this package can't have written, with infinite numbers."""
    try:
        return hashlib.sha256(_canonical(manifest)).hexdigest()
    except ValueError:
        return None


def _canonical(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
