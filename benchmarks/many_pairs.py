"""`auto` and single methods where there are more pairs than the suites have.

The small gap between two MiniLMs, seed 0, with more documents to fit on, and a log of queries.

    python -m benchmarks.many_pairs [--pairs debian-l3-l6-35000 ...] [--methods ...]
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

_DEBIAN = Task(debian_descriptions, MINILM_L3, MINILM_L6, pool=40_000, gallery=5_000)
_WORDNET = Task(wordnet_nouns, MINILM_L3, MINILM_L6, pool=100_000, gallery=10_000)
PAIRS = {
    "wordnet-l3-l6-66003": (_WORDNET, 66_003),
    "debian-l3-l6-35000": (_DEBIAN, 35_000),
    "debian-l3-l6-5000": (_DEBIAN, 5_000),
}
METHODS = (
    "auto",
    "auto+recorded",
    "auto+queries",
    "forward_ridge",
    "forward_mlp",
    "rank_merge",
    "rank_merge+z_score",
)
_INTRO = (
    "`auto` and single methods by the number of pairs: a small gap, MRR, one draw, random order, "
    "no labels; `+recorded`, `+queries` have a log; the best of either number of encoders in bold. "
    "Debian's gallery and queries are the same for both; what WordNet gains with 10,000 pairs says "
    "the suite, `all-local/tables.md`. `python -m benchmarks.many_pairs`.\n"
)


def main() -> None:
    """Measure pair by pair, and write the table after each."""
    parser = parser_of(__doc__, PAIRS)
    parser.set_defaults(methods=list(METHODS))
    measure_and_write("many_pairs", _INTRO, parser.parse_args(), _data_of)


def _data_of(name: str) -> tuple[DataSet, str]:
    task, pairs = PAIRS[name]
    require(packages_of(task.old, task.new))
    data = build(task, BuildPlan(0, quick=False, say=print))
    return replace(data, fit=data.fit.subset(np.arange(pairs))), "mrr"


if __name__ == "__main__":
    main()
