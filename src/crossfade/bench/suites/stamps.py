"""Stamps of the painting program Tux Paint: photos and drawings, a folder a class, few pairs.

Rows to evaluate on are never fitted on; they are the queries too.
"""

from __future__ import annotations

import re

import numpy as np

from crossfade.bench.dataset import DataSet
from crossfade.bench.models.drawings import HOG
from crossfade.bench.models.efficientnet import LITE_2, packages_of
from crossfade.bench.packages import debian_file
from crossfade.bench.suite import WITH_LABELS, WITHOUT_LABELS, BuildPlan, Setting, Suite
from crossfade.bench.suites.pictures import pair_pictures, spread
from crossfade.bench.suites.splits import split_rows

__all__ = ["SUITES", "build"]

_FOLDER = "usr/share/tuxpaint/stamps"
_FIT_SHARE = 0.4
_VARIANT = re.compile(r"_(mirror|flip|mirror_flip)$")


def build(plan: BuildPlan) -> DataSet:
    """Split the stamps by the seed."""
    root = debian_file("tuxpaint-stamps-default", _FOLDER)
    every = [path for path in sorted(root.rglob("*.png")) if not _VARIANT.search(path.stem)]
    paths = spread(every, plan.size(len(every), 240))
    labels = np.array([str(path.parent.relative_to(root)) for path in paths])
    pairs = pair_pictures(np.arange(len(paths)), paths, HOG, LITE_2, plan, labels)
    fit, gallery = split_rows(labels, _FIT_SHARE, plan.seed)
    return DataSet(fit=pairs.subset(fit), gallery=pairs.subset(gallery))


SUITES = (
    Suite(
        name="stamps",
        family="stamps",
        summary="Tux Paint stamps, HOG -> EfficientNet-Lite2",
        setting=Setting.ARCHITECTURE,
        metric="map",
        methods=(*WITHOUT_LABELS, *WITH_LABELS),
        build=build,
        needs=packages_of(LITE_2),
    ),
)
