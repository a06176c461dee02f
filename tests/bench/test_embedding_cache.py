"""Embeddings are computed once, and a killed run goes on at the part where it was."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from crossfade.bench import cache
from crossfade.bench.cache import content_hash, embed_cached
from crossfade.embeddings import FloatArray


class Model:
    """Embeds a text as its length and counts what it embedded; dies at a given text."""

    def __init__(self, dies_at: str = "") -> None:
        self.embedded: list[str] = []
        self.dies_at = dies_at

    def __call__(self, texts: Sequence[str]) -> FloatArray:
        if self.dies_at in texts:
            raise KeyboardInterrupt
        self.embedded += texts
        return np.array([[len(text), 1] for text in texts], np.float32)


TEXTS = ["a", "bb", "ccc", "dddd", "eeeee"]


def embed(model: Model, texts: Sequence[str] = TEXTS, name: str = "m") -> FloatArray:
    return embed_cached(name, texts, model, str.encode, lambda _: None)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_PART_ITEMS", 2)


def test_the_second_time_nothing_is_embedded() -> None:
    first, second = Model(), Model()
    rows = embed(first)
    assert rows.tolist() == [[1, 1], [2, 1], [3, 1], [4, 1], [5, 1]]
    assert rows.dtype == np.float32
    assert embed(second).tolist() == rows.tolist()
    assert (first.embedded, second.embedded) == (TEXTS, [])


def test_after_a_kill_only_the_rest_is_embedded() -> None:
    with pytest.raises(KeyboardInterrupt):
        embed(Model(dies_at="eeeee"))
    model = Model()
    assert len(embed(model)) == 5
    assert model.embedded == ["eeeee"]


def test_another_model_or_other_items_are_embedded_anew() -> None:
    embed(Model())
    other_model, other_text = Model(), Model()
    embed(other_model, name="n")
    embed(other_text, ["a", "bx", *TEXTS[2:]])
    assert (other_model.embedded, other_text.embedded) == (TEXTS, ["a", "bx"])


def test_borders_of_items_count() -> None:
    assert content_hash([b"ab", b"c"]) != content_hash([b"a", b"bc"])
