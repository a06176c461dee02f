"""Relevance from labels and judgements; a query's own item never counts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.embeddings import IgnoredItems, Pairs, Qrels
from crossfade.errors import InvalidInput
from crossfade.evaluation.relevance import (
    GradedRelevance,
    JudgedRelevance,
    LabelRelevance,
    own_columns,
    relevance_of,
)


def pairs(ids: list[int] | list[str], labels: list[object] | None = None) -> Pairs:
    rows = np.random.default_rng(0).normal(size=(len(ids), 3))
    return Pairs.of(ids, rows, rows, labels)


def test_items_of_the_querys_label_are_relevant() -> None:
    relevance = relevance_of(pairs([9], ["b"]), pairs([1, 2, 3], ["a", "b", "b"]))
    assert relevance.counts().tolist() == [2]
    assert relevance.grades(np.array([0])).tolist() == [[0, 1, 1]]


def test_a_query_leaves_its_own_item_out() -> None:
    gallery = pairs([3, 1, 2], ["a", "a", "b"])
    relevance = relevance_of(gallery, gallery)
    assert relevance.own.tolist() == [0, 1, 2]
    assert relevance.counts().tolist() == [1, 1, 0]
    assert relevance.grades(np.array([0, 2])).tolist() == [[0, 1, 0], [0, 0, 0]]


def test_an_own_item_of_another_label_is_not_subtracted() -> None:
    relevance = relevance_of(pairs([1], ["b"]), pairs([1, 2], ["a", "b"]))
    assert relevance.counts().tolist() == [1]


def test_judgements_match_ids_as_text_and_keep_their_grades() -> None:
    qrels = Qrels({"7": {"1": 2, "3": 1, "2": 0}, "8": {"2": -1}})
    relevance = relevance_of(pairs([7, 8]), pairs([1, 2, 3]), qrels)
    assert relevance.counts().tolist() == [2, 0]
    assert relevance.grades(np.array([0, 1])).tolist() == [[2, 0, 1], [0, 0, 0]]


def test_judgements_come_before_labels() -> None:
    relevance = relevance_of(pairs([7], ["a"]), pairs([1, 2], ["a", "b"]), Qrels({"7": {"2": 1}}))
    assert relevance.grades(np.array([0])).tolist() == [[0, 1]]


def test_a_judgement_of_the_querys_own_item_does_not_count() -> None:
    relevance = relevance_of(pairs([1]), pairs([1, 2]), Qrels({"1": {"1": 1, "2": 1}}))
    assert relevance.counts().tolist() == [1]
    assert relevance.grades(np.array([0])).tolist() == [[0, 1]]


def test_judgements_of_what_is_not_here_are_counted() -> None:
    qrels = Qrels({"7": {"1": 1, "99": 1, "98": 0}, "70": {"1": 1, "2": 1}})
    relevance = JudgedRelevance.of(qrels, np.array([7]), np.array([1, 2]))
    assert relevance.counts().tolist() == [1]
    assert relevance.ignored == 3


def test_grades_above_a_byte_survive() -> None:
    relevance = relevance_of(pairs([7]), pairs([1, 2]), Qrels({"7": {"1": 1000, "2": 1}}))
    assert relevance.grades(np.array([0])).tolist() == [[1000, 1]]


@pytest.mark.parametrize(
    ("qrels", "role"), [({"q9": {"1": 1}}, "query"), ({"7": {"g9": 1}}, "gallery")]
)
def test_judgements_of_other_data_are_refused(qrels: dict[str, dict[str, int]], role: str) -> None:
    with pytest.raises(InvalidInput, match=f"none of the 1 {role} ids in the qrels"):
        relevance_of(pairs([7]), pairs([1, 2]), Qrels(qrels))


@pytest.mark.parametrize(("gallery", "query"), [(None, ["a"]), (["a"], None), (None, None)])
def test_without_labels_and_judgements_nothing_says_what_is_relevant(
    gallery: list[object] | None, query: list[object] | None
) -> None:
    with pytest.raises(InvalidInput, match="give labels in both sets, or a qrels file"):
        relevance_of(pairs([7], query), pairs([1], gallery))


def test_text_labels_never_match_numbers() -> None:
    with pytest.raises(InvalidInput, match="they never match"):
        relevance_of(pairs([7], ["1"]), pairs([1], [1]))


def test_an_integer_id_and_a_text_id_are_never_the_same() -> None:
    assert own_columns(np.array(["1"]), np.array([1])).tolist() == [-1]


@given(st.lists(st.integers(0, 20), unique=True), st.lists(st.integers(0, 20), unique=True))
def test_own_columns_agree_with_a_look_up(queries: list[int], gallery: list[int]) -> None:
    wanted = [gallery.index(id) if id in gallery else -1 for id in queries]
    found = own_columns(np.array(queries, dtype=np.int64), np.array(gallery, dtype=np.int64))
    assert found.tolist() == wanted


@given(st.lists(st.integers(0, 3), min_size=1, max_size=8), st.data())
def test_the_three_kinds_of_relevance_agree(labels: list[int], data: st.DataObject) -> None:
    codes = np.array(labels)
    own = np.array(data.draw(st.permutations(range(len(labels)))))
    ids = np.arange(len(labels))
    same = codes[:, None] == codes[None, :]
    kinds = [
        LabelRelevance.of(codes, codes, own),
        GradedRelevance.of(same, own),
        JudgedRelevance.of(
            Qrels({str(q): {str(g): 1 for g in np.flatnonzero(same[q])} for q in ids}),
            ids,
            ids,
            own,
        ),
    ]
    wanted = same.copy()
    wanted[ids, own] = False
    for kind in kinds:
        assert kind.grades(ids).tolist() == wanted.astype(int).tolist()
        assert kind.counts().tolist() == wanted.sum(axis=1).tolist()


def test_a_matrix_of_grades_must_be_whole_numbers_from_zero() -> None:
    for matrix in ([[0.5]], [[-1]], [1]):
        with pytest.raises(InvalidInput, match="whole numbers from 0"):
            GradedRelevance.of(np.array(matrix))


def test_ignored_items_are_neither_relevant_nor_counted() -> None:
    gallery = pairs([1, 2, 3, 4], ["a", "a", "b", "a"])
    ignored = IgnoredItems({"7": {"1", "3", "99"}, "70": {"2"}})
    relevance = relevance_of(pairs([7, 8], ["a", "a"]), gallery, ignored=ignored)
    assert relevance.counts().tolist() == [2, 3]
    assert relevance.grades(np.array([1, 0])).tolist() == [[1, 1, 0, 1], [0, 1, 0, 1]]
    rows, columns = relevance.left_out(np.array([1, 0]))
    assert list(zip(rows.tolist(), columns.tolist(), strict=True)) == [(1, 0), (1, 2)]


def test_a_query_leaves_out_itself_and_what_it_ignores() -> None:
    gallery = pairs([1, 2, 3], ["a", "a", "a"])
    other = pairs([1, 2, 3], ["a", "a", "b"])
    relevance = relevance_of(other, gallery, ignored=IgnoredItems({"2": {"3", "2"}}))
    assert relevance.grades(np.array([1])).tolist() == [[1, 0, 0]]
    assert relevance.counts().tolist() == [2, 1, 0]
