"""What is wrong with the pairs, if anything: found before anything is fitted."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from crossfade.assessment.sample import Sample
from crossfade.embeddings import FloatArray
from crossfade.evaluation.overlap import count_logged, count_shared
from crossfade.fit.item_offset import nearness_of
from crossfade.upgrade import why_unlike

__all__ = ["findings"]

_FEW_PAIRS, _ENOUGH_PAIRS = 1.0, 2.0
_MANY_DUPLICATES = 0.01
_FEWEST_QUERIES = 100


def findings(sample: Sample) -> list[str]:
    """Each as a sentence that says what to do about it."""
    return [
        *_size(sample),
        *_duplicates(sample),
        *_overlap(sample),
        *_classes(sample),
        *_queries(sample),
    ]


def _size(sample: Sample) -> Iterator[str]:
    pairs = sample.pairs
    widest = max(pairs.source.dim, pairs.target.dim)
    a_dimension = len(pairs) / widest
    if a_dimension < _FEW_PAIRS:
        yield (
            f"{len(pairs)} pairs for {widest} dimensions ({a_dimension:.1f} a dimension): a map "
            f"can fit them and know nothing; embed {2 * widest - len(pairs)} more items with both "
            "models"
        )
    elif a_dimension < _ENOUGH_PAIRS:
        yield (
            f"{a_dimension:.1f} pairs a dimension: below 2 only closed-form maps compete; more "
            "pairs help most"
        )


def _duplicates(sample: Sample) -> Iterator[str]:
    for name, rows in (("old", sample.pairs.old_rows()), ("new", sample.pairs.new_rows())):
        copies = len(rows) - len(np.unique(_row_bytes(rows)))
        if copies > _MANY_DUPLICATES * len(rows):
            yield (
                f"{copies} of {len(rows)} {name} embeddings are copies of another row: held-out "
                "copies of fitted items look better than they are; take copies out of the sample"
            )


def _overlap(sample: Sample) -> Iterator[str]:
    if sample.gallery is sample.pairs:
        return
    if shared := count_shared(sample.pairs, sample.gallery):
        yield (
            f"{shared:,} of {len(sample.gallery):,} gallery items are among the pairs: curves are "
            "predicted on parts held out of fitting; figures that a map fitted on all pairs "
            "reaches on this gallery are higher"
        )


def _classes(sample: Sample) -> Iterator[str]:
    labels = sample.pairs.labels
    if labels is None:
        return
    classes, counts = np.unique(labels, return_counts=True)
    if len(classes) == 1:
        yield "the labels name one class only: they say nothing, and are not used"
    elif len(classes) == len(labels):
        yield "every label is another one: no item is relevant to any other, they are not used"
    elif (counts == 1).sum() > len(classes) / 2:
        yield (
            f"{(counts == 1).sum()} of {len(classes)} classes have a single item in the sample, "
            "which no query can ask for; sample whole classes"
        )


def _queries(sample: Sample) -> Iterator[str]:
    if not sample.gain_is_known:
        yield (
            "nothing says what is relevant to a query (no labels, no qrels): whether the new "
            "model is better can't be measured, and how maps do is judged by made-up queries or "
            "by the new model's own ranking, which is weak evidence; give queries with qrels"
        )
    elif sample.queries is not None and len(sample.queries) < _FEWEST_QUERIES:
        yield f"{len(sample.queries)} queries are few: expect wide bands; 500 make them useful"
    if sample.queries is not None and sample.gain_is_known:
        found = sample.relevance(sample.queries, sample.gallery_by_id).counts()
        if vain := int((found == 0).sum()):
            yield (
                f"{vain} of {len(found)} queries have no relevant item in the sample and are left "
                "out: sample the items that they ask for, too"
            )
    if sample.log is not None:
        if unlike := why_unlike(nearness_of(sample.log, sample.pairs)):
            yield unlike
        if sample.queries is not None and (both := count_logged(sample.queries, sample.log.new)):
            yield (
                f"{both} of {len(sample.queries)} queries are in the log too: what was learned "
                "from them looks better on them than on others; leave them out of the log"
            )


def _row_bytes(rows: FloatArray) -> NDArray[np.void]:
    contiguous = np.ascontiguousarray(rows)
    return contiguous.view(np.dtype((np.void, contiguous.dtype.itemsize * rows.shape[1]))).ravel()
