"""What an assessment has to go by: pairs, and queries with what is relevant to them, if any."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from crossfade.embeddings import Pairs, Qrels, QueryLog
from crossfade.errors import InvalidInput, SpaceMismatch, require_instance
from crossfade.evaluation import GradedRelevance, Relevance, relevance_of
from crossfade.evaluation.metrics import metric_for
from crossfade.fit.item_offset import checked_log

__all__ = ["FEWEST_PAIRS", "Sample", "check_sample"]

FEWEST_PAIRS = 64
_FEWEST_CLASSES = 2
_MOST_NEIGHBOURS = 10


@dataclass(frozen=True, eq=False)
class Sample:
    """Everything that was given.

    Attributes:
        pairs: what may be fitted on. gallery: what is searched; the pairs if none was given.
        queries: real queries in both spaces, or None.
        qrels: what is relevant, or None where labels say it, or nothing does.
        metric: the one that everything is judged by.
        log: what maps learn from beside the pairs, or None; nothing is asked from it.
    """

    pairs: Pairs
    gallery: Pairs
    queries: Pairs | None
    qrels: Qrels | None
    metric: str
    log: QueryLog | None = None

    @property
    def gain_is_known(self) -> bool:
        """Whether anything says what is relevant to the queries."""
        if self.qrels is not None:
            return True
        asked = self.gallery if self.queries is None else self.queries
        return _tells_classes(self.gallery) and asked.labels is not None

    @cached_property
    def gallery_by_id(self) -> Pairs:
        """The gallery in the order of its ids: ties go by id."""
        return self.gallery.subset(np.argsort(self.gallery.ids, kind="stable"))

    def queries_of(self, gallery: Pairs, most: int, rng: np.random.Generator) -> Pairs:
        """Up to ``most`` queries: the real ones, or else items of the gallery given."""
        asked = gallery if self.queries is None else self.queries
        if len(asked) <= most:
            return asked
        return asked.subset(np.sort(rng.permutation(len(asked))[:most]))

    def relevance(self, queries: Pairs, gallery: Pairs) -> Relevance:
        """What is relevant in this gallery or part of one.

        Where nothing says it, what the new model ranks first: that judges maps, not models.

        Raises:
            InvalidInput: judgements of other items, or labels that name one class only.
        """
        if self.gain_is_known:
            return relevance_of(queries, gallery, self.qrels)
        return GradedRelevance.of(_nearest(queries, gallery))


def check_sample(
    pairs: Pairs,
    queries: Pairs | None,
    gallery: Pairs | None,
    qrels: Qrels | None,
    metric: str | None,
    log: QueryLog | None = None,
) -> Sample:
    """Put a sample together.

    Raises:
        InvalidInput: too few pairs or logged queries, qrels without queries, or nothing in a set.
        SpaceMismatch: sets of different widths.
    """
    for role, given in (("pairs", pairs), ("queries", queries), ("gallery", gallery)):
        if given is not None:
            require_instance(given, Pairs, role, "Pairs.load(path), or Pairs.of(ids, old, new)")
    if qrels is not None:
        require_instance(qrels, Qrels, "qrels", "Qrels.load(path)")
    if len(pairs) < FEWEST_PAIRS:
        raise InvalidInput(
            f"assessing needs at least {FEWEST_PAIRS} pairs, got {len(pairs)}: a part is held "
            "out to measure on; embed more items with both models"
        )
    if qrels is not None and queries is None:
        raise InvalidInput("qrels judge queries, and there are none: give queries as well")
    for role, others in (("gallery", gallery), ("query", queries)):
        if others is not None:
            _check_set(role, others, pairs)
    searched = pairs if gallery is None else gallery
    if len(searched) < FEWEST_PAIRS:
        raise InvalidInput(
            f"assessing needs a gallery of at least {FEWEST_PAIRS} items, got {len(searched)}"
        )
    logged = None if log is None else checked_log(log, pairs)
    chosen = metric or metric_for(judged=qrels is not None)
    sample = Sample(pairs, searched, queries, qrels, chosen, logged)
    if qrels is not None and queries is not None:
        sample.relevance(queries, sample.gallery_by_id)  # found out before minutes of fitting
    return sample


def _check_set(role: str, others: Pairs, pairs: Pairs) -> None:
    if len(others) == 0:
        raise InvalidInput(f"the {role} set is empty; give at least one item")
    got, wanted = (
        (others.source.dim, others.target.dim),
        (pairs.source.dim, pairs.target.dim),
    )
    if got != wanted:
        raise SpaceMismatch(
            f"the {role} set's embeddings have {got[0]} (old) and {got[1]} (new) dimensions, the "
            f"pairs' {wanted[0]} and {wanted[1]}; give embeddings of the same two models"
        )


def _tells_classes(pairs: Pairs) -> bool:
    """Whether labels divide the items: several classes, and one of them with two items."""
    if pairs.labels is None:
        return False
    classes = len(np.unique(pairs.labels))
    return _FEWEST_CLASSES <= classes < len(pairs)


def _nearest(queries: Pairs, gallery: Pairs) -> NDArray[np.bool_]:
    """The items that the new model ranks first, as a mask ``(q, n)``."""
    scores = queries.new_rows() @ gallery.new_rows().T
    count = max(1, min(_MOST_NEIGHBOURS, len(gallery) // 20))
    nearest = np.argpartition(-scores, count - 1, axis=1)[:, :count]
    mask = np.zeros(scores.shape, dtype=np.bool_)
    np.put_along_axis(mask, nearest, True, axis=1)
    return mask
