"""What suites of text fit on, search, and learn from."""

import hashlib
from collections.abc import Sequence

import numpy as np
import pytest

from crossfade.bench.dataset import DataSet
from crossfade.bench.suite import BuildPlan
from crossfade.bench.suites import text
from crossfade.bench.suites.corpora import Entry
from crossfade.bench.suites.text import Task
from crossfade.embeddings import FloatArray

ENTRIES = [Entry(f"What is {row}?", f"Number {row} is it. More of {row}.") for row in range(90)]


def embedding(embedded: str) -> FloatArray:
    """One that tells the text."""
    seed = int.from_bytes(hashlib.sha256(embedded.encode()).digest()[:8], "big")
    return np.random.default_rng(seed).normal(size=6).astype(np.float32)


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch) -> "type[Built]":
    def embed(_: str, texts: Sequence[str], plan: BuildPlan) -> FloatArray:
        return np.stack([embedding(one) for one in texts])

    monkeypatch.setattr(text, "_embed", embed)
    return Built


class Built:
    """The data of a small task, and its texts by what they are embedded as."""

    def __init__(self) -> None:
        task = Task(
            corpus=lambda: ENTRIES,
            old="old",
            new="new",
            pool=80,
            gallery=30,
            queries=10,
            log=20,
        )
        self.data: DataSet = text.build(task, BuildPlan(0, False, lambda _: None))

    def texts_of(self, suffix: str, candidates: Sequence[str]) -> set[str]:
        known = {embedding(one).tobytes(): one for one in candidates}
        return {known[row.tobytes()] for row in self.data.logs[suffix].new}


def test_a_log_and_texts_in_its_place_are_of_documents_that_are_fitted_on(
    build: type[Built],
) -> None:
    built = build()
    fitted = [ENTRIES[int(row)] for row in built.data.fit.ids]
    asked = built.texts_of("queries", [entry.query for entry in ENTRIES])
    said = built.texts_of("stand-ins", [entry.document.split(".")[0] + "." for entry in ENTRIES])
    assert len(asked) == len(said) == 20
    assert asked < {entry.query for entry in fitted}
    assert said < {entry.document.split(".")[0] + "." for entry in fitted}
    assert not set(built.data.fit.ids) & set(built.data.gallery.ids)
