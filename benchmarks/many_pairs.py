"""`auto` and single methods where there are more pairs than the suites have.

Debian's small gap between two MiniLMs, seed 0, and more of its documents to fit on.

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
from crossfade.bench.suites.corpora import debian_descriptions
from crossfade.bench.suites.text import Task, build

_TASK = Task(debian_descriptions, MINILM_L3, MINILM_L6, pool=40_000, gallery=5_000)
PAIRS = {f"debian-l3-l6-{pairs}": pairs for pairs in (35_000, 5_000)}
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
    require(packages_of(_TASK.old, _TASK.new))
    data = build(_TASK, BuildPlan(0, quick=False, say=print))
    return replace(data, fit=data.fit.subset(np.arange(PAIRS[name]))), "mrr"


if __name__ == "__main__":
    main()
