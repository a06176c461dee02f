"""Sets in any order and of any size give the same result; bad ones are refused."""

from __future__ import annotations

import resource
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from known_upgrades import GALLERY, QUERIES, UPGRADES, clustered, forward

from crossfade.embeddings import Pairs, Qrels
from crossfade.errors import InvalidInput, SpaceMismatch
from crossfade.evaluation import METRICS, EvaluationResult, evaluate


def test_memory_mapped_pairs_give_the_same_result(tmp_path: Path) -> None:
    GALLERY.save(tmp_path / "gallery")
    mapped = Pairs.load(tmp_path / "gallery")
    assert isinstance(mapped.new, np.memmap)
    assert (
        evaluate(UPGRADES["forward"], mapped, QUERIES).to_json()
        == evaluate(UPGRADES["forward"], GALLERY, QUERIES).to_json()
    )


def test_a_gallery_too_large_to_keep_is_read_block_by_block(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = evaluate(UPGRADES["with rho"], GALLERY, QUERIES)
    monkeypatch.setattr("crossfade.evaluation.scoring._KEPT_BYTES", 0)
    monkeypatch.setattr("crossfade.evaluation.scoring._BLOCK_ROWS", 7)
    monkeypatch.setattr("crossfade.evaluation.scoring._STREAMED_CHUNK_SCORES", 300)
    streamed = evaluate(UPGRADES["with rho"], GALLERY, QUERIES)
    for metric in METRICS:
        assert streamed.metrics[metric] == pytest.approx(kept.metrics[metric])


@settings(max_examples=20)
@given(st.randoms(use_true_random=False), st.sampled_from(sorted(UPGRADES)))
def test_the_row_order_of_the_gallery_does_not_matter(random: object, name: str) -> None:
    rows = list(range(len(GALLERY)))
    random.shuffle(rows)  # type: ignore[attr-defined]
    plain = evaluate(UPGRADES[name], GALLERY, QUERIES, steps=4)
    shuffled = evaluate(UPGRADES[name], GALLERY.subset(rows), QUERIES, steps=4)
    assert shuffled.metrics == plain.metrics
    assert shuffled.negative_flips == plain.negative_flips


@pytest.mark.slow
def test_ten_thousand_by_ten_thousand_stays_within_four_gigabytes() -> None:
    pairs = clustered(20_000, seed=6, dim=64)
    gallery, queries = pairs.subset(np.arange(10_000)), pairs.subset(np.arange(10_000, 20_000))
    result: EvaluationResult = evaluate(forward(gallery), gallery, queries)
    assert result.counts.queries == 10_000
    peak_kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert peak_kilobytes < 4 * 2**20


EMPTY = GALLERY.subset(np.array([], dtype=np.int64))
WIDE = Pairs.of([1, 2], np.ones((2, 4)), np.ones((2, 7)), [0, 0])


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"gallery_set": EMPTY}, InvalidInput, "the gallery set is empty"),
        ({"query_set": EMPTY}, InvalidInput, "the query set is empty"),
        ({"gallery_set": WIDE}, SpaceMismatch, "new embeddings have 7 dimensions"),
        ({"query_set": WIDE}, SpaceMismatch, "the query set's new embeddings have 7"),
        ({"steps": 1}, InvalidInput, "steps is 1, wanted at least 2"),
        ({"order": "best"}, InvalidInput, "unknown order 'best'"),
        ({"mode": "both"}, InvalidInput, "unknown mode 'both'; choose one of one-encoder"),
        ({"query_set": QUERIES.without_labels()}, InvalidInput, "the query set has no labels"),
        ({"query_set": clustered(1, seed=8), "qrels": Qrels({"x": {}})}, InvalidInput, "none of"),
        (
            {"query_set": replace(QUERIES, labels=QUERIES.labels + 50)},
            InvalidInput,
            "no query has a relevant gallery item",
        ),
    ],
)
def test_bad_input_gets_one_clear_error(
    settings: dict[str, object], error: type[Exception], message: str
) -> None:
    given = {"gallery_set": GALLERY, "query_set": QUERIES, **settings}
    with pytest.raises(error, match=message):
        evaluate(UPGRADES["forward"], **given)  # type: ignore[arg-type]


def test_two_encoder_mode_needs_an_upgrade_that_can() -> None:
    with pytest.raises(InvalidInput, match="carries nothing to combine both models' scores"):
        evaluate(UPGRADES["reverse"], GALLERY, QUERIES, mode="two-encoder")


def test_embeddings_that_are_no_numbers_are_refused() -> None:
    spoilt = QUERIES.new.copy()
    spoilt[3, 1] = np.nan
    with pytest.raises(InvalidInput, match="NaN"):
        evaluate(UPGRADES["forward"], GALLERY, replace(QUERIES, new=spoilt))
