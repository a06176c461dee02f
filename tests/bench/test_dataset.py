"""A data set as files, and its fingerprint."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crossfade.bench import DataSet
from crossfade.embeddings import IgnoredItems, Qrels, QueryLog
from crossfade.errors import DataFileError
from crossfade.testing import make_world


def with_queries() -> DataSet:
    world = make_world(items=30, queries=6, classes=3)
    ids = world.queries.ids.tolist()
    return DataSet(
        fit=world.gallery,
        gallery=world.gallery,
        queries=world.queries.without_labels(),
        qrels=Qrels({str(id): {"0": 1, "3": 2} for id in ids}),
        ignored=IgnoredItems({str(ids[0]): {"4", "5"}}),
    )


def test_saved_and_loaded_it_is_the_same(tmp_path: Path) -> None:
    data = with_queries()
    data.save(tmp_path)
    again = DataSet.load(tmp_path)
    assert again.fingerprint() == data.fingerprint()
    assert again.qrels == data.qrels
    assert again.ignored == data.ignored
    assert again.has_labels


def test_without_queries_the_gallery_asks(tmp_path: Path) -> None:
    data = DataSet(fit=with_queries().fit, gallery=with_queries().gallery)
    data.save(tmp_path)
    again = DataSet.load(tmp_path)
    assert (again.queries, again.qrels, again.ignored) == (None, None, None)


def test_a_log_of_queries_is_kept_and_counts_only_for_what_was_learned_from_it(
    tmp_path: Path,
) -> None:
    data = with_queries()
    rng = np.random.default_rng(0)
    new, old = rng.normal(size=(7, data.fit.target.dim)), rng.normal(size=(7, data.fit.source.dim))
    log = QueryLog(new, old).checked(data.fit.source.dim, data.fit.target.dim)
    logs = {"queries": log, "stand-ins": log.sample(6)}
    logged = replace(data, logs=logs)
    logged.save(tmp_path)
    again = DataSet.load(tmp_path)
    assert [len(again.logs[suffix]) for suffix in logs] == [7, 6]
    assert [again.fingerprint(again.logs[suffix]) for suffix in logs] == [
        logged.fingerprint(one) for one in logs.values()
    ]
    assert logged.fingerprint() == data.fingerprint()
    prints = {data.fingerprint(one) for one in (None, log, QueryLog(log.new), log.sample(6))}
    assert len(prints) == 4


def test_everything_is_in_the_fingerprint() -> None:
    data = with_queries()
    assert data.qrels is not None
    changed = [
        replace(data, fit=data.fit.subset(np.arange(29))),
        replace(data, gallery=data.gallery.subset(np.arange(29))),
        replace(data, queries=None),
        replace(data, qrels=Qrels({**data.qrels.relevance, "1": {"2": 1}})),
        replace(data, ignored=None),
        replace(data, fit=data.fit.without_labels()),
    ]
    prints = {one.fingerprint() for one in (data, *changed)}
    assert len(prints) == 1 + len(changed)


@pytest.mark.parametrize("name", ["fit", "gallery"])
def test_a_folder_without_fit_or_gallery_is_refused(tmp_path: Path, name: str) -> None:
    with_queries().save(tmp_path)
    (tmp_path / f"{name}.npz").unlink()
    with pytest.raises(DataFileError, match=f"holds no {name}.npz; wanted fit.npz and gallery"):
        DataSet.load(tmp_path)


def test_pairs_may_be_parquet_or_a_folder_of_arrays(tmp_path: Path) -> None:
    data = with_queries()
    data.fit.save(tmp_path / "fit")
    data.gallery.save(tmp_path / "gallery.parquet")
    again = DataSet.load(tmp_path)
    assert again.fit.fingerprint() == data.fit.fingerprint()
    assert again.gallery.fingerprint() == data.gallery.fingerprint()
