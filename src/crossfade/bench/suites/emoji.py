"""Emoji drawn by two vendors: instance search across domains, with few pairs.

The gallery is Google's drawings, the query the same emoji as Twitter draws it. Pairs to fit on
are the gallery's own items: what a real service has before an upgrade. No method sees a query.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np

from crossfade.bench.dataset import DataSet
from crossfade.bench.models.drawings import HOG
from crossfade.bench.models.efficientnet import LITE_0, LITE_2, packages_of
from crossfade.bench.packages import npm_package
from crossfade.bench.suite import WITHOUT_LABELS, BuildPlan, Setting, Suite
from crossfade.bench.suites.pictures import pair_pictures
from crossfade.embeddings import Qrels

__all__ = ["SUITES", "build"]

_VERSION = "16.0.0"
_FIRST_QUERY_ID = 1_000_000


def build(old: str, new: str, plan: BuildPlan) -> DataSet:
    """Embed both vendors' drawings; the seed changes nothing but fitting and order."""
    names = _names_in_both()
    names = names[:: len(names) // plan.size(len(names), 200)]
    ids = np.arange(len(names))
    google = [_folder("google") / name for name in names]
    twitter = [_folder("twitter") / name for name in names]
    gallery = pair_pictures(ids, google, old, new, plan)
    return DataSet(
        fit=gallery,
        gallery=gallery,
        queries=pair_pictures(_FIRST_QUERY_ID + ids, twitter, old, new, plan),
        qrels=Qrels({str(_FIRST_QUERY_ID + row): {str(row): 1} for row in ids}),
    )


def _names_in_both() -> list[str]:
    listed = json.loads((_package("google") / "emoji.json").read_text(encoding="utf-8"))
    folders = [_folder(vendor) for vendor in ("google", "twitter")]
    return [
        entry["image"]
        for entry in listed
        if all((folder / entry["image"]).exists() for folder in folders)
    ]


def _package(vendor: str) -> Path:
    return npm_package(f"emoji-datasource-{vendor}", _VERSION)


def _folder(vendor: str) -> Path:
    return _package(vendor) / "img" / vendor / "64"


SUITES = (
    Suite(
        name="emoji-vendors",
        family="emoji",
        summary="emoji, Twitter's drawing finds Google's, HOG -> EfficientNet-Lite0",
        setting=Setting.INSTANCE,
        metric="mrr",
        methods=WITHOUT_LABELS,
        build=partial(build, HOG, LITE_0),
        needs=packages_of(LITE_0),
    ),
    Suite(
        name="emoji-step-back",
        family="emoji",
        summary="the same, EfficientNet-Lite0 -> Lite2: newer, bigger, worse; to be refused",
        setting=Setting.STEP_BACK,
        metric="mrr",
        methods=WITHOUT_LABELS,
        build=partial(build, LITE_0, LITE_2),
        needs=packages_of(LITE_0, LITE_2),
    ),
)
