"""A user's own data in one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossfade.bench import BuildPlan, suites_named
from crossfade.bench.dataset import DataSet
from crossfade.errors import DataFileError, InvalidInput
from crossfade.testing import make_world

WORLD = make_world(items=80, queries=20)
GALLERY = {
    "gallery_ids": WORLD.gallery.ids,
    "gallery_old": WORLD.gallery.old.astype(np.float16),
    "gallery_new": WORLD.gallery.new.astype(np.float16),
}
ASKED = {
    # As some exports have it, queries are numbered as items are.
    "query_ids": np.arange(20),
    "query_old": WORLD.queries.old,
    "query_new": WORLD.queries.new,
    "relevant": np.array([(query, item) for query in range(20) for item in (query, query + 1)]),
}


def build(path: Path, seed: int = 0, **arrays: Any) -> tuple[DataSet, str]:
    np.savez(path / "mine.npz", **arrays)
    (suite,) = suites_named([str(path / "mine.npz")])
    assert suite.name == "mine"
    return suite.build(BuildPlan(seed, quick=False, say=print)), suite.metric


def test_with_queries_items_that_answer_none_are_fitted_on(tmp_path: Path) -> None:
    data, metric = build(tmp_path, **GALLERY, **ASKED)
    assert metric == "mrr" and data.queries is not None and data.qrels is not None
    assert len(data.fit) == len(data.gallery) == 40
    assert not {*data.fit.ids.tolist()} & {*data.gallery.ids.tolist()}
    assert {*range(21)} <= {*data.gallery.ids.tolist()}, "what is asked for is searched"
    assert data.qrels.relevance["query 3"] == {"3": 1, "4": 1}
    again, _ = build(tmp_path, **GALLERY, **ASKED)
    other, _ = build(tmp_path, seed=1, **GALLERY, **ASKED)
    assert again.fingerprint() == data.fingerprint() != other.fingerprint()
    edited, _ = build(tmp_path, **GALLERY, **{**ASKED, "query_new": -WORLD.queries.new})
    assert data.source == other.source != edited.source, "of one file, whatever the draw"


def test_where_all_items_are_asked_for_the_gallerys_own_are_fitted_on(tmp_path: Path) -> None:
    asked = {**ASKED, "relevant": np.array([(item % 20, item) for item in range(80)])}
    data, _ = build(tmp_path, **GALLERY, **asked)
    assert len(data.fit) == len(data.gallery) == 80


def test_with_labels_rows_of_every_class_are_on_either_side(tmp_path: Path) -> None:
    data, metric = build(tmp_path, **GALLERY, labels=WORLD.gallery.labels)
    assert metric == "map" and data.queries is None and data.qrels is None
    assert len(data.fit) + len(data.gallery) == 80 and abs(len(data.fit) - 40) < 10
    assert data.fit.labels is not None


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({**GALLERY}, "has no labels, and lacks query_old, query_new, relevant"),
        ({"gallery_ids": np.arange(3)}, "lacks gallery_old, gallery_new; wanted gallery_ids"),
        ({"ids": np.arange(3)}, "lacks gallery_ids"),
    ],
)
def test_what_a_file_lacks_is_said_before_anything_is_measured(
    tmp_path: Path, arrays: dict[str, Any], words: str
) -> None:
    np.savez(tmp_path / "mine.npz", **arrays)
    with pytest.raises(DataFileError, match=words):
        suites_named([str(tmp_path / "mine.npz")])
    (tmp_path / "cut.npz").write_bytes((tmp_path / "mine.npz").read_bytes()[:100])
    with pytest.raises(DataFileError, match="cut off"):
        suites_named([str(tmp_path / "cut.npz")])


@pytest.mark.parametrize(
    ("relevant", "words"),
    [
        (np.array([[0, 80]]), "20 queries and 80 items"),
        (np.array([[-1, 0]]), "from 0"),
        (np.array([0, 1]), r"shape \(2,\)"),
        (np.array([[0.0, 1.0]]), "integers"),
    ],
)
def test_rows_that_are_not_there_are_refused(
    tmp_path: Path, relevant: np.ndarray, words: str
) -> None:
    with pytest.raises(InvalidInput, match=words):
        build(tmp_path, **GALLERY, **{**ASKED, "relevant": relevant})
