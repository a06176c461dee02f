"""The dry run: it says what would be done, does nothing, and refuses what can't be."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossfade import fit
from crossfade.embeddings import Space
from crossfade.errors import (
    ArtifactError,
    CrossfadeError,
    EncoderError,
    GalleryStateError,
    InvalidInput,
    SpaceMismatch,
)
from crossfade.gallery import State
from crossfade.gallery.record import read_log
from crossfade.operations import Pace, StartRequest, backfill, plan_start, start, status
from crossfade.stores import open_store
from crossfade.testing import make_upgrade
from crossfade.upgrade import MILESTONES


def contents(uri: str, folder: Path) -> tuple[Any, ...]:
    """What is there: files, spaces, items with versions and vectors, and pointers."""
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
    with open_store(uri) as store:
        items = store.scan(n=1000, vectors=list(store.spaces()))
        rows = [
            (
                item.id,
                item.version,
                dict(item.payload),
                {k: v.tolist() for k, v in item.vectors.items()},
            )
            for item in items
        ]
        pointers = [store.read_pointer(name) for name in ("crossfade.gallery", "crossfade.encoder")]
        return files, dict(store.spaces()), rows, pointers, read_log(store.read_pointer)


def test_a_dry_run_leaves_nothing_behind(site: Any) -> None:
    __import__("lifecycle_models")  # compiled before the files are listed
    with open_store(site.uri):
        pass
    before = contents(site.uri, site.folder)
    plan = plan_start(site.request())
    after = contents(site.uri, site.folder)
    files = {name for name in after[0] if "journal.sqlite3" not in name}
    assert files == set(before[0]) - {name for name in before[0] if "journal.sqlite3" in name}
    assert after[0] == before[0] and after[1:] == before[1:]
    assert plan.state is State.NOT_STARTED


def test_a_plan_says_what_would_be_done(site: Any) -> None:
    plan = plan_start(site.request(order="random", seed=3), price_per_1000=0.5)
    upgrade = site.upgrade
    assert (plan.items, plan.upgrade, plan.method) == (60, upgrade.id, "random")
    assert (plan.old_model, plan.new_model) == ("old", "the new model")
    assert (plan.order, plan.seed, plan.encoder) == ("random", 3, "lifecycle_models:embed")
    assert upgrade.stored.name in plan.creates[0] and upgrade.mapped.name in plan.creates[1]
    assert (plan.sample.items, plan.sample.failed, plan.sample.scanned) == (60, 0, 60)
    assert plan.encode_seconds == pytest.approx(60 / plan.sample.items_per_second)
    assert plan.map_seconds > 0
    assert plan.new_bytes == 4 * 60 * (20 + 20)
    assert plan.freed_bytes == 4 * 60 * (12 + 20)
    assert plan.price == pytest.approx(0.03)


def test_a_plan_and_the_status_tell_of_refits(build: Any, tmp_path: Path, world: Any) -> None:
    site = build(f"qdrant://{tmp_path}/gallery")
    assert plan_start(site.request()).refits_at == ()
    fit(world.gallery.without_labels(), "refitted_ridge").save(site.folder / "upgrade")
    assert plan_start(site.request()).refits_at == MILESTONES
    start(site.request())
    paused = backfill(site.uri, Pace(max_items=12))
    seen = status(site.uri).job
    assert seen is not None and seen.refits == paused.refits == 3, "at 35, 50 and 70 %"


def test_the_time_is_that_of_the_encoder(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENCY", "0.05")
    plan = plan_start(site.request())
    # Batches of 16 in 50 ms at least, the first one left out.
    assert plan.sample.items_per_second < 16 / 0.05
    assert plan.encode_seconds > 60 / (16 / 0.05)


def test_a_sample_tells_of_items_that_can_not_be_encoded(site: Any) -> None:
    plan = plan_start(site.request(encoder="lifecycle_models:picky"))
    assert plan.sample.failed == 2
    assert plan.sample.reason == "ValueError: can't read this one"


Starter = Callable[[StartRequest], object]


@pytest.mark.parametrize("begin", [plan_start, start])
@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"encoder": "nowhere:embed"}, InvalidInput, "no module 'nowhere'"),
        ({"encoder": "lifecycle_models:nothing"}, InvalidInput, "has no 'nothing'"),
        ({"encoder": "openai:https://me:pw@host/v1"}, InvalidInput, "environment"),
        ({"encoder": "lifecycle_models:embed?api_key=x"}, InvalidInput, "environment"),
        ({"source": "sql:postgresql://me:pw@host/db?query=x"}, InvalidInput, "environment"),
        ({"order": "zigzag"}, InvalidInput, "zigzag"),
    ],
    ids=str,
)
def test_settings_that_can_not_be_used_are_refused_and_nothing_is_started(
    site: Any, begin: Starter, changes: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text) as refused:
        begin(site.request(**changes))
    assert "me:pw" not in str(refused.value)
    with open_store(site.uri) as store:
        assert store.read_pointer("crossfade.gallery") is None


@pytest.mark.parametrize("begin", [plan_start, start])
def test_a_collection_that_is_not_there_is_not_made(
    site: Any, begin: Starter, tmp_path: Path
) -> None:
    request = StartRequest(
        f"qdrant://{tmp_path}/a/b/nothing", tmp_path / "upgrade", "lifecycle_models:embed"
    )
    with pytest.raises(InvalidInput, match="no collection at"):
        begin(request)
    assert not (tmp_path / "a").exists()


def test_an_upgrade_of_other_spaces_is_refused(site: Any, tmp_path: Path) -> None:
    make_upgrade(dim_old=7).save(tmp_path / "upgrade")
    with pytest.raises(
        SpaceMismatch,
        match=r"have 12 dimensions, the upgrade .* have 7",
    ):
        plan_start(site.request())
    upgrade = make_upgrade()
    named = replace(upgrade, source=Space("minilm", upgrade.source.dim))
    named.save(tmp_path / "upgrade")
    with pytest.raises(
        SpaceMismatch,
        match=r"holds vectors of \['old'\].*if that is 'old', fit with its name: --old-name",
    ):
        plan_start(site.request())
    (tmp_path / "upgrade" / "upgrade.json").unlink()
    with pytest.raises(ArtifactError):
        plan_start(site.request())


@pytest.mark.parametrize(
    ("encoder", "text"), [("broken", "all of 60 sampled items"), ("narrow", r"wanted \(16, 20\)")]
)
def test_an_encoder_that_can_not_work_is_found_out_by_the_sample(
    site: Any, encoder: str, text: str
) -> None:
    with pytest.raises(EncoderError, match=text):
        plan_start(site.request(encoder=f"lifecycle_models:{encoder}"))


@pytest.mark.parametrize("price", [-1.0, float("nan"), float("inf")])
def test_a_price_that_is_none_is_refused(site: Any, price: float) -> None:
    with pytest.raises(InvalidInput, match="price"):
        plan_start(site.request(), price)


def test_an_empty_collection_is_nothing_to_upgrade(site: Any) -> None:
    with open_store(site.uri) as store:
        store.delete(range(60))
    with pytest.raises(InvalidInput, match="no items"):
        plan_start(site.request())


def test_an_upgrade_under_way_is_refused_with_what_to_type(site: Any) -> None:
    start(site.request())
    for begin in (plan_start, start):
        with pytest.raises(GalleryStateError, match=r"Next: crossfade backfill (memory|qdrant)://"):
            begin(site.request())


def test_a_plan_of_a_collection_that_is_open_elsewhere_says_who_has_it(
    build: Any, tmp_path: Path
) -> None:
    site = build(f"qdrant://{tmp_path}/gallery")
    with open_store(site.uri), pytest.raises(CrossfadeError, match="this very process"):
        plan_start(site.request())
    assert np.isclose(plan_start(site.request()).items, 60)
