"""What the gallery answered at each stage of the backfill, and which answers to show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crossfade.embeddings import Pairs
from crossfade.gallery import Gallery
from crossfade.gallery.merge import HitSide

__all__ = ["Answer", "Selection", "Stage", "ask", "select"]

_RESULTS = 10
_RANDOM_EXAMPLES = 8
_CHOSEN_EXAMPLES = 6


@dataclass(frozen=True)
class Answer:
    """One result: which item, whether it is right, and on which side it was found."""

    id: int
    right: bool
    side: HitSide


@dataclass(frozen=True, eq=False)
class Stage:
    """The first results of all queries at one moment.

    Attributes:
        name: e.g. ``"50 %"``.
        answers: a list of results for each query, best first.
    """

    name: str
    answers: Sequence[Sequence[Answer]]

    @property
    def first_is_right(self) -> NDArray[np.bool_]:
        """For each query, whether its first result is right."""
        return np.array([listed[0].right for listed in self.answers])

    @property
    def share_right(self) -> float:
        """Share of right ones among all results shown."""
        return float(np.mean([answer.right for listed in self.answers for answer in listed]))


@dataclass(frozen=True)
class Selection:
    """A group of example queries, and how they were drawn.

    Attributes:
        title: of the group.
        rule: how its queries were drawn, and out of how many.
        rows: the queries.
    """

    title: str
    rule: str
    rows: Sequence[int]


def ask(
    name: str, gallery: Gallery, queries: Pairs, label_of: Mapping[int, int], *, old: bool = False
) -> Stage:
    """Ask the gallery all queries now.

    Args:
        label_of: gallery id -> label; right is what has the query's label.
        old: ask the old system, instead of the new model's queries on both sides.
    """
    if queries.labels is None:
        raise ValueError("the queries need labels")
    hits = (
        gallery.search(None, _RESULTS, query_old=queries.old_rows(), mode="old")
        if old
        else gallery.search(queries.new_rows(), _RESULTS)
    )
    answers = [
        [Answer(int(hit.id), label_of[int(hit.id)] == label, hit.side) for hit in listed]
        for listed, label in zip(hits, queries.labels.tolist(), strict=True)
    ]
    return Stage(name, answers)


def select(before: Stage, after: Stage, seed: int) -> list[Selection]:
    """Draw example queries by rules that don't look at how good the answers got.

    The last group is the exception, and shows the losses: queries that the old system
    answered rightly and the upgraded one does not.
    """
    rng = np.random.default_rng(seed)
    right_before, right_after = before.first_is_right, after.first_is_right
    n = len(right_before)
    wrong_before = np.flatnonzero(~right_before)
    lost = np.flatnonzero(right_before & ~right_after)
    groups = (
        ("Drawn at random", np.arange(n), _RANDOM_EXAMPLES, f"of all {n} queries"),
        (
            "Where the old system was wrong",
            wrong_before,
            _CHOSEN_EXAMPLES,
            f"of the {len(wrong_before)} queries whose first result the old system got wrong",
        ),
        (
            "What the upgrade lost",
            lost,
            _CHOSEN_EXAMPLES,
            f"of the {len(lost)} queries whose first result was right before and is wrong "
            "at the end",
        ),
    )
    drawn = []
    for title, rows, most, among in groups:
        chosen = np.sort(rng.choice(rows, min(most, len(rows)), replace=False))
        rule = f"{len(chosen)} {among}, drawn with seed {seed}"
        drawn.append(Selection(title, rule, chosen.tolist()))
    return drawn
