"""`auto` against every single method where hardly any pairs were embedded by both models.

The suites' galleries and queries, seed 0, and a random few of their pairs. Nothing was tuned on
them but one number: how much a known part of the gallery counts, which emoji-vendors-400 showed.

    python -m benchmarks.few_pairs [--pairs stamps-150 ...] [--methods ...]
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmarks.one_draw import measure_and_write, parser_of
from crossfade.bench.dataset import DataSet
from crossfade.bench.packages import require
from crossfade.bench.suite import BuildPlan
from crossfade.bench.suites import suites_named

PAIRS = {
    f"{suite}-{few}": (suite, few)
    for suite, few in (
        ("wesnoth-rows", 200),
        ("wesnoth-open-class", 300),
        ("stamps", 150),
        ("emoji-vendors", 400),
        ("debian-l3-l6", 300),
        ("wordnet-l3-l6", 1_000),
        ("vital-wordllama-l6", 400),
        ("vital-wordllama-l6", 1_200),
        ("debian-glove-wordllama", 2_000),
        ("wordnet-glove-wordllama", 500),
    )
}
_INTRO = (
    "`auto` and single methods with few pairs, mAP on images of classes, MRR on the others, one "
    "draw, random order, no labels and no log; the best of either number of encoders in bold. "
    "`python -m benchmarks.few_pairs`.\n"
)


def main() -> None:
    """Measure pair by pair, and write the table after each."""
    measure_and_write("few_pairs", _INTRO, parser_of(__doc__, PAIRS).parse_args(), _data_of)


def _data_of(name: str) -> tuple[DataSet, str]:
    suite_name, few = PAIRS[name]
    (suite,) = suites_named([suite_name])
    require(suite.needs)
    data = suite.build(BuildPlan(0, quick=False, say=print))
    rows = np.sort(np.random.default_rng(7).permutation(len(data.fit))[:few])
    return replace(data, fit=data.fit.subset(rows)), suite.metric


if __name__ == "__main__":
    main()
