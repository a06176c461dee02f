"""Which gallery items are relevant to which query, from labels or judgements.

Columns are gallery items in the order of the ``gallery_ids`` given. A query whose id is in
the gallery leaves itself out: its own item is neither ranked nor relevant. So are the items
that a task tells to ignore for a query.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.embeddings import Ids, IgnoredItems, Pairs, Qrels
from crossfade.errors import InvalidInput

__all__ = [
    "GradedRelevance",
    "JudgedRelevance",
    "LabelRelevance",
    "Relevance",
    "RelevanceWithoutIgnored",
    "own_columns",
    "relevance_of",
]

Columns = NDArray[np.intp]
Grades = NDArray[Any]
Places = tuple[Columns, Columns]

_COUNTED_AT_ONCE = 256


class Relevance(ABC):
    """Grades of all gallery items for each query.

    Attributes:
        own: ``(q,)`` column of the query's own item, or -1 if it is not in the gallery.
    """

    own: Columns

    @abstractmethod
    def counts(self) -> NDArray[np.intp]:
        """Relevant items of each query, ``(q,)``, its own not counted."""

    @abstractmethod
    def _grades(self, queries: Columns) -> Grades:
        """A new array ``(b, n)``; own items may still be in it."""

    def grades(self, queries: Columns) -> Grades:
        """Unsigned grades ``(b, n)`` for the queries of the given rows; 0 is irrelevant."""
        grades = self._grades(queries)
        grades[self.left_out(queries)] = 0
        return grades

    def left_out(self, queries: Columns) -> Places:
        """Places in a matrix ``(b, n)`` of what the queries of the given rows leave out."""
        own = self.own[queries]
        rows = np.flatnonzero(own >= 0)
        return rows, own[rows]


@dataclass(frozen=True, eq=False)
class LabelRelevance(Relevance):
    """Relevant is what has the query's label.

    Attributes:
        query_codes, gallery_codes: ``(q,)`` and ``(n,)`` labels as integers from 0.
    """

    query_codes: NDArray[np.intp]
    gallery_codes: NDArray[np.intp]
    own: Columns

    @classmethod
    def of(
        cls, query_labels: Any, gallery_labels: Any, own: Columns | None = None
    ) -> LabelRelevance:
        """From labels ``(q,)`` and ``(n,)`` of any type that NumPy can sort.

        Raises:
            InvalidInput: text labels on one side, numbers on the other.
        """
        queries, gallery = np.asarray(query_labels), np.asarray(gallery_labels)
        if len({array.dtype.kind in "US" for array in (queries, gallery)}) > 1:
            raise InvalidInput(
                f"query labels are {queries.dtype}, gallery labels {gallery.dtype}: "
                "they never match; use numbers or text in both"
            )
        _, codes = np.unique(np.concatenate([queries, gallery]), return_inverse=True)
        return cls(codes[: len(queries)], codes[len(queries) :], _own(own, len(queries)))

    def counts(self) -> NDArray[np.intp]:
        per_code = np.bincount(
            self.gallery_codes, minlength=int(self.query_codes.max(initial=0)) + 1
        )
        own_is_relevant = (self.own >= 0) & (self.gallery_codes[self.own] == self.query_codes)
        return np.asarray(per_code[self.query_codes] - own_is_relevant)

    def _grades(self, queries: Columns) -> Grades:
        same = self.query_codes[queries][:, None] == self.gallery_codes[None, :]
        return np.asarray(same.view(np.uint8))


@dataclass(frozen=True, eq=False)
class JudgedRelevance(Relevance):
    """Relevant is what was judged so; few items a query.

    Attributes:
        starts: ``(q + 1,)``; query i owns the judgements ``starts[i]`` to ``starts[i + 1]``.
        columns, values: ``(m,)`` the gallery column and the grade, above 0, of a judgement.
        n: items in the gallery.
        ignored: positive judgements whose query or gallery item does not exist here.
    """

    starts: NDArray[np.intp]
    columns: Columns
    values: Grades
    n: int
    own: Columns
    ignored: int = 0

    @classmethod
    def of(
        cls, qrels: Qrels, query_ids: Ids, gallery_ids: Ids, own: Columns | None = None
    ) -> JudgedRelevance:
        """From TREC judgements; ids are matched as text.

        Raises:
            InvalidInput: no query id, or no gallery id, of the judgements exists here.
        """
        column_of = {str(id): column for column, id in enumerate(gallery_ids.tolist())}
        names = [str(id) for id in query_ids.tolist()]
        _require_some_match(qrels, set(names), column_of.keys())
        kept: list[tuple[int, int]] = []
        starts = [0]
        for name in names:
            judged = qrels.relevance.get(name, {})
            kept += [
                (column_of[item], g) for item, g in judged.items() if g > 0 and item in column_of
            ]
            starts.append(len(kept))
        positive = sum(g > 0 for judged in qrels.relevance.values() for g in judged.values())
        values = np.array([grade for _, grade in kept], dtype=np.int64)
        return cls(
            starts=np.array(starts, dtype=np.intp),
            columns=np.array([column for column, _ in kept], dtype=np.intp),
            values=values.astype(np.min_scalar_type(int(values.max(initial=1)))),
            n=len(gallery_ids),
            own=_own(own, len(names)),
            ignored=positive - len(kept),
        )

    def counts(self) -> NDArray[np.intp]:
        query = np.repeat(np.arange(len(self.own)), np.diff(self.starts))
        other = self.columns != self.own[query]
        return np.bincount(query[other], minlength=len(self.own))

    def _grades(self, queries: Columns) -> Grades:
        grades = np.zeros((len(queries), self.n), dtype=self.values.dtype)
        for row, query in enumerate(queries):
            part = slice(self.starts[query], self.starts[query + 1])
            grades[row, self.columns[part]] = self.values[part]
        return grades


@dataclass(frozen=True, eq=False)
class GradedRelevance(Relevance):
    """Relevance written out as a matrix ``(q, n)`` of grades, for small sets."""

    matrix: Grades
    own: Columns

    @classmethod
    def of(cls, matrix: Any, own: Columns | None = None) -> GradedRelevance:
        """From booleans or grades ``(q, n)``; nothing below zero."""
        grades = np.asarray(matrix)
        if grades.ndim != 2 or grades.dtype.kind not in "biu" or grades.min(initial=0) < 0:
            raise InvalidInput(
                f"grades must be a matrix (q, n) of whole numbers from 0, got shape "
                f"{grades.shape} of {grades.dtype}"
            )
        narrow = grades.astype(np.min_scalar_type(max(1, int(grades.max(initial=1)))))
        return cls(narrow, _own(own, len(grades)))

    def counts(self) -> NDArray[np.intp]:
        return np.asarray(np.count_nonzero(self.grades(np.arange(len(self.own))), axis=1))

    def _grades(self, queries: Columns) -> Grades:
        return np.array(self.matrix[queries])


@dataclass(frozen=True, eq=False)
class RelevanceWithoutIgnored(Relevance):
    """Another relevance, of which some items are left out for some queries.

    Attributes:
        inner: what would be relevant if nothing were ignored.
        starts: ``(q + 1,)``; query i ignores ``columns[starts[i]:starts[i + 1]]``.
        columns: ``(m,)`` gallery columns.
    """

    inner: Relevance
    starts: NDArray[np.intp]
    columns: Columns
    own: Columns

    @classmethod
    def of(
        cls, inner: Relevance, ignored: IgnoredItems, query_ids: Ids, gallery_ids: Ids
    ) -> RelevanceWithoutIgnored:
        """Leave items out of ``inner``; ids are matched as text."""
        column_of = {str(id): column for column, id in enumerate(gallery_ids.tolist())}
        per_query = [
            sorted(column_of[item] for item in ignored.items.get(str(id), ()) if item in column_of)
            for id in query_ids.tolist()
        ]
        starts = np.cumsum([0, *map(len, per_query)], dtype=np.intp)
        columns = np.array([column for one in per_query for column in one], dtype=np.intp)
        return cls(inner, starts, columns, inner.own)

    def counts(self) -> NDArray[np.intp]:
        counts = np.empty(len(self.own), dtype=np.intp)
        for start in range(0, len(counts), _COUNTED_AT_ONCE):
            rows = np.arange(start, min(start + _COUNTED_AT_ONCE, len(counts)))
            counts[rows] = np.count_nonzero(self.grades(rows), axis=1)
        return counts

    def left_out(self, queries: Columns) -> Places:
        rows, own = super().left_out(queries)
        parts = [self.columns[self.starts[query] : self.starts[query + 1]] for query in queries]
        ignored_rows = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        return np.concatenate([rows, ignored_rows]), np.concatenate([own, *parts])

    def _grades(self, queries: Columns) -> Grades:
        return self.inner._grades(queries)


def relevance_of(
    queries: Pairs,
    gallery: Pairs,
    qrels: Qrels | None = None,
    ignored: IgnoredItems | None = None,
) -> Relevance:
    """Relevance from judgements if there are any, else from the labels of both sets.

    Args:
        ignored: items that some queries leave out of their ranking.

    Raises:
        InvalidInput: neither judgements nor labels, or judgements of other items.
    """
    relevance = _relevance_of_all(queries, gallery, qrels)
    if ignored is None:
        return relevance
    return RelevanceWithoutIgnored.of(relevance, ignored, queries.ids, gallery.ids)


def _relevance_of_all(queries: Pairs, gallery: Pairs, qrels: Qrels | None) -> Relevance:
    own = own_columns(queries.ids, gallery.ids)
    if qrels is not None:
        return JudgedRelevance.of(qrels, queries.ids, gallery.ids, own)
    for name, pairs in (("gallery", gallery), ("query", queries)):
        if pairs.labels is None:
            raise InvalidInput(
                f"the {name} set has no labels and there are no qrels, so nothing says what is "
                "relevant; give labels in both sets, or a qrels file"
            )
    relevance = LabelRelevance.of(queries.labels, gallery.labels, own)
    if len({*relevance.query_codes.tolist(), *relevance.gallery_codes.tolist()}) == 1:
        raise InvalidInput(
            "all labels name one class only, so everything is relevant to every query; give "
            "labels of at least two classes, or a qrels file"
        )
    return relevance


def own_columns(query_ids: Ids, gallery_ids: Ids) -> Columns:
    """Column of each query's own item ``(q,)``, -1 where its id is not in the gallery.

    An integer id and a text id are never the same id.
    """
    missing = np.full(len(query_ids), -1, dtype=np.intp)
    if len(gallery_ids) == 0 or (query_ids.dtype.kind == "U") != (gallery_ids.dtype.kind == "U"):
        return missing
    by_id = np.argsort(gallery_ids, kind="stable")
    place = np.searchsorted(gallery_ids, query_ids, sorter=by_id)
    column = by_id[np.minimum(place, len(by_id) - 1)]
    return np.where(gallery_ids[column] == query_ids, column, missing)


def _own(own: Columns | None, q: int) -> Columns:
    return np.full(q, -1, dtype=np.intp) if own is None else own


def _require_some_match(qrels: Qrels, query_names: Any, gallery_names: Any) -> None:
    judged_items = {item for judged in qrels.relevance.values() for item in judged}
    for role, judged_ids, known in (
        ("query", set(qrels.relevance), query_names),
        ("gallery", judged_items, gallery_names),
    ):
        if judged_ids.isdisjoint(known):
            raise InvalidInput(
                f"none of the {len(judged_ids)} {role} ids in the qrels (e.g. "
                f"{min(judged_ids, default='none')!r}) is in the {role} set (e.g. "
                f"{min(known, default='none')!r}); are they the qrels of other data?"
            )
