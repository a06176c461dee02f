"""Text pairs: two corpora, two upgrades, queries that fitting never sees.

The gallery's documents answer the queries; the pairs to fit on are other documents of the
same corpus, embedded by both models.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.data.corpora import Entry, debian_descriptions, wordnet_nouns
from benchmarks.data.files import Rows, write_data_set
from benchmarks.data.packages import cache_folder
from benchmarks.data.text_models import MODELS

__all__ = ["PLANS", "Plan", "build"]

_FIRST_QUERY_ID = 1_000_000


@dataclass(frozen=True)
class Plan:
    """A corpus, two models, and how many documents go where (``fit`` None: all the rest)."""

    corpus: Callable[[], list[Entry]]
    old: str
    new: str
    gallery: int
    queries: int
    fit: int | None = None


PLANS = {
    "wordnet_glove50_wordllama256": Plan(
        wordnet_nouns, "glove50", "wordllama256", gallery=10_000, queries=1_000
    ),
    "debian_glove50_wordllama256": Plan(
        debian_descriptions, "glove50", "wordllama256", gallery=5_000, queries=1_000
    ),
    "wordnet_minilml3_minilml6": Plan(
        wordnet_nouns, "minilml3", "minilml6", gallery=10_000, queries=1_000, fit=10_000
    ),
    "debian_minilml3_minilml6": Plan(
        debian_descriptions, "minilml3", "minilml6", gallery=5_000, queries=1_000, fit=5_000
    ),
}


def build(name: str, seed: int = 0) -> None:
    """Write the data set of a plan; the seed shuffles which documents go where."""
    plan = PLANS[name]
    entries = plan.corpus()
    order = np.random.default_rng(seed).permutation(len(entries))
    gallery = order[: plan.gallery]
    fit = order[plan.gallery :][: plan.fit]
    asked = gallery[: plan.queries]
    write_data_set(
        cache_folder() / "text" / name,
        fit=_embed(plan, fit, [entries[row].document for row in fit]),
        gallery=_embed(plan, gallery, [entries[row].document for row in gallery]),
        queries=_embed(plan, _FIRST_QUERY_ID + asked, [entries[row].query for row in asked]),
        relevant=[(_FIRST_QUERY_ID + row, row) for row in asked],
    )


def _embed(plan: Plan, ids: NDArray[Any], texts: Sequence[str]) -> Rows:
    return Rows(ids, MODELS[plan.old](texts), MODELS[plan.new](texts))


def main() -> None:
    """Build the data sets named, by default all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(PLANS), help=", ".join(PLANS))
    for name in parser.parse_args().names:
        build(name)


if __name__ == "__main__":
    main()
