"""Text pairs: three corpora, five upgrades, queries that fitting never sees.

The gallery's documents answer the queries; the pairs to fit on are other documents of the same
corpus, embedded by both models. The log of queries asks for documents that are fitted on, so it
shares neither queries nor answers with the evaluation. Texts in place of queries are first
sentences of documents that are fitted on. Where a model is slow, the documents are a fixed sample
of the corpus, and the seed draws from it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.bench.cache import embed_cached
from crossfade.bench.dataset import DataSet
from crossfade.bench.models.text import (
    GLOVE,
    MINILM_L3,
    MINILM_L6,
    WORDLLAMA,
    packages_of,
    text_model,
)
from crossfade.bench.packages import PythonPackage
from crossfade.bench.suite import WITH_LOGS, WITHOUT_LABELS, BuildPlan, Setting, Suite
from crossfade.bench.suites.corpora import (
    VITAL_PACKAGE,
    Entry,
    debian_descriptions,
    vital_articles,
    wordnet_nouns,
)
from crossfade.embeddings import FloatArray, Pairs, Qrels, QueryLog, stand_in_queries

__all__ = ["SUITES", "Task", "build"]

_FIRST_QUERY_ID = 1_000_000


@dataclass(frozen=True)
class Task:
    """A corpus, two models, and how many documents go where.

    Attributes:
        gallery, queries: how many of either. pool: documents in all, the rest is fitted on.
        log: how many of those are asked for in the log of queries, or have a sentence in its place.
        quick_gallery, quick_queries, quick_pool, quick_log: the same for a look.
    """

    corpus: Callable[[], list[Entry]]
    old: str
    new: str
    pool: int
    gallery: int
    queries: int = 1_000
    quick_pool: int = 4_000
    quick_gallery: int = 1_000
    quick_queries: int = 200
    log: int = 2_000
    quick_log: int = 200


def build(task: Task, plan: BuildPlan) -> DataSet:
    """The seed draws which documents are the gallery, and which of them are asked for."""
    entries = task.corpus()
    sample = np.random.default_rng(0).permutation(len(entries))
    pool = sample[: plan.size(task.pool, task.quick_pool)]
    every = _pairs(task, plan, pool, [entries[row].document for row in pool])
    order = np.random.default_rng(plan.seed).permutation(len(pool))
    n = plan.size(task.gallery, task.quick_gallery)
    asked = pool[order[: plan.size(task.queries, task.quick_queries)]]
    wanted = plan.size(task.log, task.quick_log)
    fitted = [entries[row] for row in pool[order[n:]]]
    logged = [entry.query for entry in fitted[:wanted]]
    stand_ins = stand_in_queries([entry.document for entry in fitted], wanted, seed=plan.seed)
    return DataSet(
        fit=every.subset(order[n:]),
        gallery=every.subset(order[:n]),
        queries=_pairs(task, plan, _FIRST_QUERY_ID + asked, [entries[row].query for row in asked]),
        qrels=Qrels({str(_FIRST_QUERY_ID + row): {str(row): 1} for row in asked}),
        logs={
            suffix: QueryLog(*(_embed(model, texts, plan) for model in (task.new, task.old)))
            for suffix, texts in (("queries", logged), ("stand-ins", stand_ins))
        },
    )


def _pairs(task: Task, plan: BuildPlan, ids: NDArray[Any], texts: Sequence[str]) -> Pairs:
    old_rows, new_rows = (_embed(name, texts, plan) for name in (task.old, task.new))
    return Pairs.of(ids, old_rows, new_rows, old_name=task.old, new_name=task.new)


def _embed(model: str, texts: Sequence[str], plan: BuildPlan) -> FloatArray:
    return embed_cached(model, texts, text_model(model), str.encode, plan.say)


def _suite(name: str, what: str, setting: Setting, task: Task, *needs: PythonPackage) -> Suite:
    return Suite(
        name=name,
        family=name.partition("-")[0],
        summary=f"{what}, {task.old} -> {task.new}",
        setting=setting,
        metric="mrr",
        methods=(*WITHOUT_LABELS, *WITH_LOGS),
        build=partial(build, task),
        needs=(*packages_of(task.old, task.new), *needs),
    )


_NOUNS, _PACKAGES = "WordNet nouns, a gloss finds its words", "Debian, a synopsis finds its text"
_ARTICLES = "vital articles, the last sentence finds the first two"
_SLOW: dict[str, int] = {"quick_pool": 900, "quick_gallery": 500}
SUITES = (
    _suite(
        "wordnet-glove-wordllama",
        _NOUNS,
        Setting.ARCHITECTURE,
        Task(wordnet_nouns, GLOVE, WORDLLAMA, pool=100_000, gallery=10_000),
    ),
    _suite(
        "debian-glove-wordllama",
        _PACKAGES,
        Setting.ARCHITECTURE,
        Task(debian_descriptions, GLOVE, WORDLLAMA, pool=100_000, gallery=5_000),
    ),
    _suite(
        "wordnet-l3-l6",
        _NOUNS,
        Setting.SMALL_GAP,
        Task(wordnet_nouns, MINILM_L3, MINILM_L6, pool=20_000, gallery=10_000, **_SLOW),
    ),
    _suite(
        "debian-l3-l6",
        _PACKAGES,
        Setting.SMALL_GAP,
        Task(debian_descriptions, MINILM_L3, MINILM_L6, pool=10_000, gallery=5_000, **_SLOW),
    ),
    _suite(
        "vital-wordllama-l6",
        _ARTICLES,
        Setting.ARCHITECTURE,
        Task(vital_articles, WORDLLAMA, MINILM_L6, pool=20_000, gallery=4_000, **_SLOW),
        VITAL_PACKAGE,
    ),
)
