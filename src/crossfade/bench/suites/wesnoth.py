"""Sprites of the game Wesnoth: many classes, few pairs; rows or whole classes never seen.

A class is a unit type, its images the standing one and frames of its animations: at most eight
of each; projectiles, halos and shadows are left out. The gallery's items are the queries too.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Set
from functools import partial
from pathlib import Path

import numpy as np

from crossfade.bench.dataset import DataSet
from crossfade.bench.models.drawings import HOG
from crossfade.bench.models.efficientnet import LITE_0, packages_of
from crossfade.bench.packages import debian_file
from crossfade.bench.suite import WITH_LABELS, WITHOUT_LABELS, BuildPlan, Setting, Suite
from crossfade.bench.suites.pictures import pair_pictures, spread
from crossfade.bench.suites.splits import split_classes, split_rows

__all__ = ["SUITES", "build", "unit_type"]

_FOLDER = "usr/share/games/wesnoth/1.16/data/core/images/units"
_MOST_FRAMES, _FEWEST_FRAMES = 8, 4
_FIT_SHARE = 0.5
_NOT_A_UNIT = re.compile(
    "flame|glow|halo|missile|projectile|overlay|shadow-|-shadow|mask|dust|random-dice|unknown-unit"
)


def build(by_class: bool, plan: BuildPlan) -> DataSet:
    """Split the sprites by the seed: whole classes, or rows of all classes."""
    frames = _frames(_MOST_FRAMES, plan.size(10_000, 30))
    paths = [path for own in frames.values() for path in own]
    labels = np.array([name for name, own in frames.items() for _ in own])
    every = pair_pictures(np.arange(len(paths)), paths, HOG, LITE_0, plan, labels)
    split = split_classes if by_class else split_rows
    fit, gallery = split(labels, _FIT_SHARE, plan.seed)
    return DataSet(fit=every.subset(fit), gallery=every.subset(gallery))


def unit_type(stem: str, stems: Set[str]) -> str | None:
    """The type of a sprite: the shortest beginning of its name that is a sprite's whole name.

    ``bowman-attack-2`` is a ``bowman`` if there is a sprite of that name, standing. None for a
    sprite that stands alone.

    Args:
        stems: names of all sprites in its folder.
    """
    words = stem.split("-")
    beginnings = ["-".join(words[:end]) for end in range(1, len(words))]
    known = next((name for name in beginnings if name in stems), None)
    has_frames = any(other.startswith(f"{stem}-") for other in stems)
    return known or (stem if has_frames else None)


def _frames(most_frames: int, most_classes: int) -> dict[str, list[Path]]:
    root = debian_file("wesnoth-1.16-data", _FOLDER)
    found: dict[str, list[Path]] = defaultdict(list)
    for folder in sorted({path.parent for path in root.rglob("*.png")}):
        paths = [path for path in sorted(folder.glob("*.png")) if not _NOT_A_UNIT.search(path.stem)]
        stems = {path.stem for path in paths}
        for path in paths:
            if name := unit_type(path.stem, stems):
                found[f"{path.relative_to(root).parts[0]}/{name}"].append(path)
    several = {name: own for name, own in found.items() if len(own) >= _FEWEST_FRAMES}
    return {name: spread(several[name], most_frames) for name in sorted(several)[:most_classes]}


def _suite(name: str, by_class: bool, setting: Setting, unseen: str) -> Suite:
    return Suite(
        name=name,
        family="wesnoth",
        summary=f"Wesnoth sprites, {unseen} never fitted on, HOG -> EfficientNet-Lite0",
        setting=setting,
        metric="map",
        methods=(*WITHOUT_LABELS, *WITH_LABELS),
        build=partial(build, by_class),
        needs=packages_of(LITE_0),
    )


SUITES = (
    _suite("wesnoth-rows", False, Setting.ARCHITECTURE, "rows"),
    _suite("wesnoth-open-class", True, Setting.OPEN_CLASS, "classes"),
)
