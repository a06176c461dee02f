"""`auto` and single methods where there are more pairs than the suites have, up to all documents.

Galleries and queries of the small gaps between two MiniLMs, seed 0; all other documents of the
corpus may be fitted on, of which the first so many are.

    python -m benchmarks.many_pairs [--pairs wordnet-l3-l6-20000 ...] [--methods ...]
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmarks.one_draw import measure_and_write, parser_of
from crossfade.bench.dataset import DataSet
from crossfade.bench.models.text import MINILM_L3, MINILM_L6, packages_of
from crossfade.bench.packages import require
from crossfade.bench.suite import BuildPlan
from crossfade.bench.suites.corpora import debian_descriptions, wordnet_nouns
from crossfade.bench.suites.text import Task, build

_TASKS = {
    "wordnet-l3-l6": Task(wordnet_nouns, MINILM_L3, MINILM_L6, pool=76_000, gallery=10_000),
    "debian-l3-l6": Task(debian_descriptions, MINILM_L3, MINILM_L6, pool=40_000, gallery=5_000),
}
PAIRS = {
    f"{name}-{pairs}": (name, pairs)
    for name, sizes in (
        ("wordnet-l3-l6", (5_000, 10_000, 20_000, 66_000)),
        ("debian-l3-l6", (5_000, 10_000, 20_000, 35_000)),
    )
    for pairs in sizes
}
METHODS = ("auto", "forward_ridge", "forward_mlp", "rank_merge", "rank_merge+z_score")
_INTRO = (
    "`auto` and single methods by the number of pairs: a small gap, MRR, one draw, random order, "
    "no labels and no log; the same gallery and queries for all sizes; the best of either number "
    "of encoders in bold. `python -m benchmarks.many_pairs`.\n"
)


def main() -> None:
    """Measure pair by pair, and write the table after each."""
    parser = parser_of(__doc__, PAIRS)
    parser.set_defaults(methods=list(METHODS))
    measure_and_write("many_pairs", _INTRO, parser.parse_args(), _data_of)


def _data_of(name: str) -> tuple[DataSet, str]:
    task_name, pairs = PAIRS[name]
    task = _TASKS[task_name]
    require(packages_of(task.old, task.new))
    data = build(task, BuildPlan(0, quick=False, say=print))
    return replace(data, fit=data.fit.subset(np.arange(pairs))), "mrr"


if __name__ == "__main__":
    main()
