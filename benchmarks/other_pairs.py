"""`auto` against every single method on pairs of text models that are no suite of the benchmark.

The corpora are the suites', the pairs of models are not. Nothing was tuned on them but one choice:
that kernel maps don't begin with a ridge, which vital-minilml6-mpnet showed. One draw each.

    python -m benchmarks.other_pairs [--pairs vital-glove50-minilml6 ...] [--methods ...]
"""

from __future__ import annotations

from benchmarks.one_draw import measure_and_write, parser_of
from crossfade.bench.dataset import DataSet
from crossfade.bench.models.text import (
    GLOVE,
    MINILM_L3,
    MINILM_L6,
    MPNET,
    WORDLLAMA,
    packages_of,
)
from crossfade.bench.packages import require
from crossfade.bench.suite import BuildPlan
from crossfade.bench.suites.corpora import debian_descriptions, vital_articles, wordnet_nouns
from crossfade.bench.suites.text import Task, build

TASKS = {
    "vital-glove50-minilml6": Task(vital_articles, GLOVE, MINILM_L6, pool=20_000, gallery=4_000),
    "debian-wordllama-minilml6": Task(
        debian_descriptions, WORDLLAMA, MINILM_L6, pool=10_000, gallery=5_000
    ),
    "debian-glove50-minilml3": Task(
        debian_descriptions, GLOVE, MINILM_L3, pool=10_000, gallery=5_000
    ),
    "vital-minilml3-minilml6": Task(
        vital_articles, MINILM_L3, MINILM_L6, pool=20_000, gallery=4_000
    ),
    "vital-minilml6-mpnet": Task(vital_articles, MINILM_L6, MPNET, pool=20_000, gallery=4_000),
    "wordnet-minilml6-mpnet": Task(wordnet_nouns, MINILM_L6, MPNET, pool=9_000, gallery=4_000),
}
_INTRO = (
    "`auto` and single methods on pairs of models that are no suite, MRR, one draw, random order, "
    "no labels and no log; the best of either number of encoders in bold. `python -m "
    "benchmarks.other_pairs`.\n"
)


def main() -> None:
    """Measure pair by pair, and write the table after each."""
    measure_and_write("other_pairs", _INTRO, parser_of(__doc__, TASKS).parse_args(), _data_of)


def _data_of(name: str) -> tuple[DataSet, str]:
    task = TASKS[name]
    require(packages_of(task.old, task.new))
    return build(task, BuildPlan(0, quick=False, say=print)), "mrr"


if __name__ == "__main__":
    main()
