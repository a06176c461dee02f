"""The next upgrade begun in the middle of one: items of three models, on every store."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from crossfade.backfill import Backfill, JobState
from crossfade.embeddings import FloatArray, Pairs, QueryLog, normalise
from crossfade.errors import (
    EncoderMisconfigured,
    GalleryStateError,
    InvalidInput,
    SpaceMismatch,
)
from crossfade.fit.api import fit
from crossfade.fit.ridge import fit_forward_ridge, fit_refitted_ridge, fit_ridge
from crossfade.fit.settings import FitSettings
from crossfade.gallery import Gallery, Hit, Phase, open_gallery, start_gallery
from crossfade.gallery.generations import kept_maps
from crossfade.gallery.record import read_log, verify_log
from crossfade.gallery.refit import fit_again
from crossfade.stores import Draft, Item, Store, open_store
from crossfade.testing import FakeEncoder, make_world
from crossfade.upgrade import Upgrade, chained

ITEMS, FITTED = 150, 90
WORLD = make_world(items=ITEMS + FITTED, queries=6)
RNG = np.random.default_rng(5)
TURN = RNG.normal(size=(20, 16))


def third(v2: FloatArray) -> FloatArray:
    return normalise(np.tanh(v2 @ TURN))


V1, V2 = WORLD.gallery.old, WORLD.gallery.new
V3 = third(V2)
QUERY1, QUERY2, QUERY3 = WORLD.queries.old, WORLD.queries.new, third(WORLD.queries.new)
SETTINGS = FitSettings()


def pairs(old: FloatArray, new: FloatArray, old_name: str, new_name: str) -> Pairs:
    rows = slice(ITEMS, ITEMS + FITTED)
    ids = np.arange(FITTED)
    return Pairs.of(ids, old[rows], new[rows], old_name=old_name, new_name=new_name)


ONE_TO_TWO = pairs(V1, V2, "v1", "v2")
FIRST = {
    "items": fit_forward_ridge(ONE_TO_TWO, SETTINGS),
    "refitted": fit_refitted_ridge(ONE_TO_TWO, SETTINGS),
    "query": fit_ridge(ONE_TO_TWO, SETTINGS),
}
NEXT = fit_forward_ridge(pairs(V2, V3, "v2", "v3"), SETTINGS)
DIRECT = fit_forward_ridge(pairs(V1, V3, "v1", "v3"), SETTINGS)


def embed(rows: FloatArray) -> FakeEncoder:
    def of(item: Item) -> FloatArray:
        return rows[item.payload["row"]]

    return FakeEncoder(of)


def uri_of(scheme: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if scheme == "postgresql":
        return str(request.getfixturevalue("postgres").uri(table=f"chain_{tmp_path.name}"))
    return f"{scheme}://{tmp_path}/gallery"


@pytest.fixture(params=["memory", "qdrant", "faiss", "lancedb", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with open_store(uri_of(request.param, request, tmp_path)) as store:
        yield store


@dataclass
class Reference:
    """The chain in NumPy: which model's vector each item is searched by."""

    upgrade: Upgrade
    moved2: set[int]
    moved3: set[int]

    def answer(self, query: int) -> list[int]:
        earlier = self.upgrade.earlier
        assert earlier is not None
        mapped2, mapped1 = self.upgrade.map_items(V2[:ITEMS]), earlier.map_items(V1[:ITEMS])
        assert mapped2 is not None
        rows = [
            V3[row] if row in self.moved3 else (mapped2 if row in self.moved2 else mapped1)[row]
            for row in range(ITEMS)
        ]
        scores = np.stack(rows).astype(np.float64) @ QUERY3[query]
        return [int(row) for row in np.argsort(-scores, kind="stable")]


def holding(gallery: Gallery, space: str) -> set[int]:
    items = gallery.store.scan(n=10 * ITEMS, vectors=[space])
    return {int(item.id) for item in items if space in item.vectors}


def ids(found: list[list[object]]) -> list[list[int]]:
    return [[int(hit.id) for hit in hits] for hits in found]  # type: ignore[attr-defined]


def check_same_answers(before: list[list[Hit]], after: list[list[Hit]]) -> None:
    for one, other in zip(before, after, strict=True):
        assert [hit.id for hit in one] == [hit.id for hit in other]
        np.testing.assert_allclose([h.score for h in one], [h.score for h in other], atol=1e-6)


def in_the_middle(store: Store, first: Upgrade, coverage: float = 0.4) -> Gallery:
    """A gallery on its way from v1 to v2."""
    gallery = open_gallery(store, first)
    payload = [{"row": row} for row in range(ITEMS)]
    gallery.upsert(range(ITEMS), old=V1[:ITEMS], payload=payload)
    Backfill(gallery, embed(V2)).run(max_items=int(coverage * ITEMS))
    return gallery


@pytest.mark.parametrize("first", FIRST)
def test_every_item_is_searched_by_its_newest_vector_at_every_coverage(
    store: Store, first: str
) -> None:
    upgrade = chained(FIRST[first], NEXT, DIRECT)
    before = in_the_middle(store, FIRST[first])
    answers = ids(before.search(QUERY2, ITEMS))
    moved2 = holding(before, "v2")
    assert len(moved2) == 60
    gallery = start_gallery(store, upgrade)
    assert gallery.state.phase is Phase.PREPARING
    assert ids(gallery.search(None, ITEMS, query_old=QUERY2, mode="old")) == answers
    with pytest.raises(GalleryStateError, match=r"still to be mapped, by gallery\.prepare\(\)"):
        gallery.search(QUERY3)
    assert gallery.prepare() == ITEMS
    job = Backfill(gallery, embed(V3))
    for step in (0, 30, 60, 100, 150):
        if step:
            job.run(max_items=step - len(holding(gallery, "v3")))
        moved3 = holding(gallery, "v3")
        assert len(moved3) == step and gallery.coverage == pytest.approx(step / ITEMS)
        reference = Reference(upgrade, moved2, moved3)
        found = gallery.search(QUERY3, ITEMS)
        for query, hits in enumerate(ids(found)):  # type: ignore[arg-type]
            assert hits == reference.answer(query), (step, query)
        assert {hit.side for hits in found for hit in hits} == (
            {"old"} if not step else {"new"} if step == ITEMS else {"old", "new"}
        )
        # The old system, which was in the middle itself, answers as it did.
        assert ids(gallery.search(None, ITEMS, query_old=QUERY2, mode="old")) == answers
    assert job.status().state is JobState.COMPLETE
    job.finish()
    assert set(store.spaces()) == {"v3"} and not kept_maps(store)
    ended = ids(gallery.search(QUERY3, ITEMS))
    assert ended == [Reference(upgrade, moved2, moved3).answer(query) for query in range(6)]
    assert verify_log(store.read_pointer).whole


@pytest.mark.parametrize("first", FIRST)
def test_a_rollback_returns_to_the_middle_of_the_first_which_goes_on(
    store: Store, first: str
) -> None:
    before = in_the_middle(store, FIRST[first])
    answers, spaces = ids(before.search(QUERY2, ITEMS)), store.spaces()
    oldest = ids(before.search(None, ITEMS, query_old=QUERY1, mode="old"))
    state = before.state
    gallery = start_gallery(store, chained(FIRST[first], NEXT, DIRECT))
    job = Backfill(gallery, embed(V3))
    job.run(max_items=70)
    job.rollback()
    with pytest.raises(GalleryStateError, match="another upgrade has been started"):
        gallery.search(QUERY3)
    again = open_gallery(store, FIRST[first])
    assert store.spaces() == spaces and again.state == state
    assert ids(again.search(QUERY2, ITEMS)) == answers
    assert ids(again.search(None, ITEMS, query_old=QUERY1, mode="old")) == oldest
    status = Backfill(again, embed(V2)).run()
    assert (status.state, status.coverage) == (JobState.COMPLETE, 1.0)
    told = [line for line in read_log(store.read_pointer) if "supersede" in line]
    assert len(told) == 1 and verify_log(store.read_pointer).whole
    Backfill(again).rollback()
    assert set(store.spaces()) == {"v1"}
    assert ids(again.search(None, ITEMS, query_old=QUERY1, mode="old")) == oldest


def test_items_written_during_the_chain_are_found_and_kept(store: Store) -> None:
    in_the_middle(store, FIRST["items"])
    gallery = start_gallery(store, chained(FIRST["items"], NEXT, DIRECT))
    gallery.prepare()
    gallery.upsert([3], old=V2[3:4], payload=[{"row": 3}])
    gallery.upsert([200], new=V3[:1], old=V2[:1], payload=[{"row": 0}])
    gallery.delete([9])
    found = gallery.search(QUERY3, 2 * ITEMS)[0]
    assert {hit.id for hit in found} == set(range(ITEMS)) - {9} | {200}
    assert next(hit.side for hit in found if hit.id == 200) == "new"
    status = Backfill(gallery, embed(V3)).run()
    assert status.state is JobState.COMPLETE
    Backfill(gallery).rollback()
    again = open_gallery(store, FIRST["items"])
    assert {hit.id for hit in again.search(QUERY2, 2 * ITEMS)[0]} == set(range(ITEMS)) - {9} | {200}
    assert holding(again, "v2") >= {3, 200}


def test_an_item_of_the_newest_model_alone_bars_the_way_back(store: Store) -> None:
    in_the_middle(store, FIRST["query"])
    gallery = start_gallery(store, chained(FIRST["query"], NEXT, DIRECT))
    gallery.prepare()
    gallery.upsert([200], new=V3[:1])
    job = Backfill(gallery, embed(V3))
    with pytest.raises(GalleryStateError, match=r"1 items hold no old embedding, e\.g\. 200"):
        job.rollback()
    assert gallery.state.phase is Phase.SERVING
    job.rollback(leave_out=True)
    again = open_gallery(store, FIRST["query"])
    assert {hit.id for hit in again.search(QUERY2, 2 * ITEMS)[0]} == set(range(ITEMS))


def test_a_killed_start_is_gone_on_with(tmp_path: Path) -> None:
    """Mapping was cut off: whoever opens the gallery next maps the rest."""
    upgrade = chained(FIRST["refitted"], NEXT, DIRECT)
    with open_store(f"qdrant://{tmp_path}/gallery") as store:
        in_the_middle(store, FIRST["refitted"])
        gallery = start_gallery(store, upgrade)
        with pytest.raises(KeyboardInterrupt):
            gallery.prepare(progress=interrupted)
    with open_gallery(f"qdrant://{tmp_path}/gallery", upgrade) as gallery:
        status = Backfill(gallery, embed(V3)).run()
        assert (status.state, status.coverage) == (JobState.COMPLETE, 1.0)


def interrupted(done: int, items: int) -> None:
    raise KeyboardInterrupt


def test_a_chain_begins_in_the_middle_of_its_own_first_upgrade_only() -> None:
    upgrade = chained(FIRST["items"], NEXT, DIRECT)
    store = open_store("memory://")
    with pytest.raises(GalleryStateError, match="which is not under way here"):
        start_gallery(store, upgrade)
    gallery = in_the_middle(store, FIRST["items"])
    with pytest.raises(GalleryStateError, match="start_gallery"):
        open_gallery(store, upgrade)
    with pytest.raises(SpaceMismatch, match="finish or roll back that one first"):
        start_gallery(store, NEXT)
    other = chained(FIRST["query"], NEXT, DIRECT)
    with pytest.raises(GalleryStateError, match="which is not under way here"):
        start_gallery(store, other)
    start_gallery(store, upgrade).prepare()
    with pytest.raises(GalleryStateError, match="another upgrade has been started"):
        gallery.upsert([1], old=V1[:1])
    with pytest.raises(GalleryStateError, match="'start' is not allowed now"):
        start_gallery(store, upgrade)
    with pytest.raises(SpaceMismatch, match=r"goes from .v2. .20-d. to .v3."):
        open_gallery(store, FIRST["items"])


def test_two_encoders_are_for_after_the_chain() -> None:
    store = open_store("memory://")
    in_the_middle(store, FIRST["items"])
    gallery = start_gallery(store, chained(FIRST["items"], NEXT, DIRECT))
    gallery.prepare()
    with pytest.raises(InvalidInput, match="has no rule for two encoders"):
        gallery.search(QUERY3, query_old=QUERY2, mode="two-encoder")


def test_a_state_of_a_chain_is_read_as_it_was_written() -> None:
    store = open_store("memory://")
    first = in_the_middle(store, FIRST["refitted"])
    earlier = first.state
    assert earlier.fitted is not None, "the first upgrade had been fitted again"
    gallery = start_gallery(store, chained(FIRST["refitted"], NEXT, DIRECT))
    assert gallery.state.earlier == earlier
    assert type(gallery.state).from_fields(gallery.state.to_fields()) == gallery.state
    assert replace(gallery.state, earlier=None) != gallery.state


def test_the_first_upgrade_s_workers_stop_and_touch_nothing_of_the_chain() -> None:
    """A program starts the chain beside a running job, which the store can't know."""
    store = open_store("memory://")
    first = in_the_middle(store, FIRST["refitted"], 0.0)
    upgrade = chained(FIRST["refitted"], NEXT, DIRECT)
    second = embed(V2)
    begun: list[Gallery] = []

    def overtaken(items: Sequence[Item]) -> FloatArray:
        if not begun and len(second.encoded) >= 40:
            begun.append(start_gallery(store, upgrade))
            begun[0].prepare()
            Backfill(begun[0], embed(V3)).run(max_items=20)
        return second(items)

    job = Backfill(first, overtaken, batch_size=8, flush_seconds=0.0)
    with pytest.raises(GalleryStateError, match="another upgrade"):
        job.run()
    (gallery,) = begun
    assert gallery.state.fitted is None and len(holding(gallery, "v3")) == 20
    status = Backfill(gallery, embed(V3)).run()
    assert (status.state, status.coverage) == (JobState.COMPLETE, 1.0)


def test_a_map_of_the_first_upgrade_is_not_fitted_again_in_a_chain() -> None:
    store = open_store("memory://")
    in_the_middle(store, FIRST["refitted"], 0.3)
    gallery = start_gallery(store, chained(FIRST["refitted"], NEXT, DIRECT))
    gallery.prepare()
    before = gallery.state
    found = fit_again(store, FIRST["refitted"], 0.5, lambda: False, lambda step: None)
    assert found is None and gallery.state == before


def test_the_first_model_s_name_is_known_after_the_way_back() -> None:
    store = open_store("memory://")
    first = open_gallery(store, FIRST["items"])
    first.upsert(range(ITEMS), old=V1[:ITEMS], payload=[{"row": row} for row in range(ITEMS)])
    two, three, other = embed(V2), embed(V3), embed(V2)
    two.name, three.name, other.name = "two", "three", "other"
    Backfill(first, two).run(max_items=50)
    job = Backfill(start_gallery(store, chained(FIRST["items"], NEXT, DIRECT)), three)
    job.run(max_items=50)
    job.rollback()
    again = open_gallery(store, FIRST["items"])
    with pytest.raises(EncoderMisconfigured, match="began with the model two, this encoder is oth"):
        Backfill(again, other).run()
    assert Backfill(again, two).run().state is JobState.COMPLETE


def test_status_of_a_chain_tells_nothing_of_the_first_job() -> None:
    store = open_store("memory://")
    in_the_middle(store, FIRST["items"])
    gallery = start_gallery(store, chained(FIRST["items"], NEXT, DIRECT))
    gallery.prepare()
    status = Backfill(gallery, embed(V3)).status()
    assert (status.done, status.pending, status.rate, status.order) == (0, 0, None, "")


def test_an_earlier_release_would_not_read_the_record_of_a_chain() -> None:
    store = open_store("memory://")
    in_the_middle(store, FIRST["items"])
    pointer = store.read_pointer("crossfade.gallery")
    assert pointer is not None and json.loads(pointer)["format"] == 2
    start_gallery(store, chained(FIRST["items"], NEXT, DIRECT))
    pointer = store.read_pointer("crossfade.gallery")
    assert pointer is not None and json.loads(pointer)["format"] == 3


def test_the_old_system_of_a_chain_is_as_it_was_though_its_map_repeats_items() -> None:
    rows = slice(0, 100)  # pairs that are the gallery's own
    own = Pairs.of(np.arange(100), V1[rows], V2[rows], old_name="v1", new_name="v2")
    first = fit(own, "refitted_kernel")
    assert first.offset is not None
    store = open_store("memory://")
    store.ensure_space(first.source)
    store.put([Draft(row, {"v1": V1[row]}, {"row": row}) for row in range(ITEMS)])
    with start_gallery(store, first) as gallery:
        gallery.prepare()
        assert gallery.state.known == 100
        gallery.upsert(range(30), old=V1[:30], new=V2[:30])
        before = gallery.search(QUERY2, ITEMS)
        with start_gallery(store, chained(first, NEXT, DIRECT)) as chain:
            chain.prepare()
            after = chain.search(None, ITEMS, query_old=QUERY2, mode="old")
    check_same_answers(before, after)


def test_the_old_system_of_a_chain_is_as_it_was_though_queries_have_taught_it() -> None:
    first = fit(ONE_TO_TWO.without_labels(), "refitted_kernel")
    asked = normalise(np.tile(V2[:ITEMS], (2, 1)) + 0.1 * RNG.normal(size=(2 * ITEMS, 20)))
    log = QueryLog(asked.astype(np.float32))
    store = open_store("memory://")
    gallery = in_the_middle(store, first, coverage=0.1)
    untaught = gallery.search(QUERY2, ITEMS)
    Backfill(gallery, embed(V2), queries=log).run(max_items=3)
    assert gallery.state.fitted is not None and gallery.state.fitted.queries == len(log)
    before = gallery.search(QUERY2, ITEMS)
    assert before != untaught
    with start_gallery(store, chained(first, NEXT, DIRECT)) as chain:
        chain.prepare()
        after = chain.search(None, ITEMS, query_old=QUERY2, mode="old")
        check_same_answers(before, after)
        pointer = store.read_pointer("crossfade.gallery")
        assert pointer is not None and json.loads(pointer)["format"] == 4
