"""Queries that a gallery answers, recorded; and that recording never stands in a search's way."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossfade import Gallery, QueryLog, QueryRecorder, open_gallery
from crossfade.embeddings import unit_rows
from crossfade.errors import CrossfadeError, SpaceMismatch
from crossfade.gallery.ends import roll_back
from crossfade.stores import open_store
from crossfade.testing import World, fill, make_upgrade, upgrade_of
from crossfade.upgrade import Side


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[QueryRecorder]:
    with QueryRecorder(tmp_path / "logs" / "queries.npz") as recorder:
        yield recorder


@pytest.fixture
def gallery(uri: str, world: World, recorder: QueryRecorder) -> Iterator[Gallery]:
    with open_gallery(uri, upgrade_of(world, Side.ITEMS), recorder=recorder) as gallery:
        fill(gallery, world, moved=100)
        yield gallery


def recorded(recorder: QueryRecorder) -> tuple[set[bytes], set[bytes] | None]:
    log = recorder.log()
    if log is None:
        return set(), None
    return as_set(log.new), None if log.old is None else as_set(log.old)


def as_set(rows: Any) -> set[bytes]:
    return {row.tobytes() for row in unit_rows(rows)}


def test_answered_queries_are_recorded_in_every_mode(
    gallery: Gallery, world: World, recorder: QueryRecorder
) -> None:
    new, old = world.queries.new, world.queries.old
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        gallery.search(None, query_old=old, mode="old")
    assert len(recorder) == 0 and not warned, "the new model has not seen them"
    gallery.search(new[0])
    assert recorded(recorder) == (as_set(new[:1]), None)
    gallery.search(new[:1], query_old=old[:1])
    assert recorded(recorder) == (as_set(new[:1]), as_set(old[:1]))
    gallery.search(new[:3], query_old=old[:3], mode="two-encoder")
    assert recorded(recorder) == (as_set(new[:3]), as_set(old[:3]))
    gallery.search(new, query_old=old, mode="old")
    assert recorded(recorder) == (as_set(new), as_set(old))


def test_answers_are_what_they_are_without_a_recorder(
    gallery: Gallery, world: World, recorder: QueryRecorder
) -> None:
    new, old = world.queries.new, world.queries.old
    plain = Gallery(gallery.store, gallery.upgrade)
    for mode in ("one-encoder", "two-encoder", "old"):
        answers = [one.search(new, 7, query_old=old, mode=mode) for one in (plain, gallery)]
        assert answers[0] == answers[1]
    assert gallery.search(np.empty((0, 20), np.float32)) == []
    assert len(recorder) == 5


def test_refused_queries_are_not_recorded(
    gallery: Gallery, world: World, recorder: QueryRecorder
) -> None:
    new, old = world.queries.new, world.queries.old
    refused: list[Callable[[], object]] = [
        lambda: gallery.search(new, 0),
        lambda: gallery.search(new, filter={"a": None}),
        lambda: gallery.search(new, mode="two-encoder"),
        lambda: gallery.search(new, mode="old"),
        lambda: gallery.search(new, query_old=old[:2]),
        lambda: gallery.search(new, reextract=3),
        lambda: gallery.search(new[:, 1:]),
        lambda: gallery.search(np.full(20, np.nan)),
    ]
    for search in refused:
        with pytest.raises(CrossfadeError):
            search()
    roll_back(gallery)
    with pytest.raises(CrossfadeError, match="rolled back"):
        gallery.search(new)
    assert len(recorder) == 0


def test_a_recorder_that_can_not_record_is_told_of_once_and_never_in_the_way(
    gallery: Gallery, world: World, recorder: QueryRecorder
) -> None:
    new = world.queries.new
    expected = gallery.search(new)
    recorder.close()
    with pytest.warns(RuntimeWarning, match="queries are not recorded: .* is closed") as warned:
        assert gallery.search(new) == expected == gallery.search(new)
    assert [warning.filename for warning in warned] == [__file__]


@pytest.mark.parametrize("error", [OSError("disk"), MemoryError(), SpaceMismatch("width")])
def test_a_search_does_not_fail_where_warnings_are_errors(
    gallery: Gallery,
    world: World,
    recorder: QueryRecorder,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: Any) -> None:
        raise error

    expected = gallery.search(world.queries.new)
    monkeypatch.setattr(recorder, "add", fail)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert gallery.search(world.queries.new) == expected


def test_a_recorder_of_other_models_is_refused_at_opening(uri: str, tmp_path: Path) -> None:
    upgrade = make_upgrade(dim_old=12, dim_new=20)
    rows = np.random.default_rng(0).normal(size=(3, 40))
    for new, old, words in (
        (rows[:, :19], None, "new embeddings of dimension 19, the upgrade's have 20"),
        (rows[:, :20], rows[:, :13], "old embeddings of dimension 13, the upgrade's have 12"),
    ):
        recorder = QueryRecorder(tmp_path / "other.npz")
        recorder.add(new, old)
        with pytest.raises(SpaceMismatch, match=words):
            open_gallery(uri, upgrade, recorder=recorder)
    recorder = QueryRecorder(tmp_path / "right.npz")
    recorder.add(rows[:, :20], rows[:, :12])
    open_gallery(uri, upgrade, recorder=recorder).close()
    recorder.close()


def test_a_gallery_that_closes_has_its_queries_written_and_leaves_the_recorder_open(
    world: World, recorder: QueryRecorder
) -> None:
    upgrade, new = upgrade_of(world, Side.ITEMS), world.queries.new
    with open_gallery("memory://", upgrade, recorder=recorder) as other:
        with open_gallery("memory://", upgrade, recorder=recorder) as gallery:
            fill(gallery, world)
            gallery.search(new[:2])
        assert len(QueryLog.load(recorder.path)) == 2
        other.search(new)
    assert as_set(QueryLog.load(recorder.path).new) == as_set(new)


def test_a_gallery_closes_though_its_queries_can_not_be_written(
    world: World, tmp_path: Path, recorder: QueryRecorder
) -> None:
    (tmp_path / "logs").write_text("in the folder's place")
    upgrade = upgrade_of(world, Side.ITEMS)
    uri = f"qdrant://{tmp_path}/closing"
    gallery = open_gallery(uri, upgrade, recorder=recorder)
    gallery.search(world.queries.new)
    with pytest.warns(RuntimeWarning, match="not written, but still held: .*Not a directory"):
        gallery.close()
    open_store(uri).close()
    (tmp_path / "logs").unlink()
    recorder.flush()
    assert len(QueryLog.load(recorder.path)) == 5


def test_new_embeddings_that_nobody_looks_at_are_checked_before_they_are_recorded(
    gallery: Gallery, world: World, recorder: QueryRecorder
) -> None:
    new, old = world.queries.new, world.queries.old
    with pytest.warns(RuntimeWarning, match="queries are not recorded.*query_new"):
        gallery.search(np.ones((1, 5)), query_old=old[:1], mode="old")
    assert len(recorder) == 0
    gallery.search(new[:1])
    assert recorded(recorder)[0] == as_set(new[:1]), "the right ones still are"
