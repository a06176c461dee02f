"""The merge of two lists."""

from hypothesis import given
from hypothesis import strategies as st

from crossfade.gallery.merge import merge, moved_meanwhile
from crossfade.stores import Match, id_order

_lists = st.lists(
    st.builds(Match, st.integers(0, 9) | st.sampled_from("abc"), st.just(1), st.integers(-2, 2)),
    unique_by=lambda match: match.id,
    max_size=8,
)


def test_the_higher_score_is_first_and_ties_are_in_order_of_id() -> None:
    old = [Match("b", 1, 0.9), Match(3, 1, 0.5)]
    new = [Match(2, 1, 0.9), Match("a", 1, 0.5)]
    merged = merge(old, new, 10)
    assert [(found.id, found.side) for found in merged] == [
        (2, "new"),
        ("b", "old"),
        (3, "old"),
        ("a", "new"),
    ]


def test_an_item_in_both_lists_is_taken_from_the_new_side() -> None:
    merged = merge([Match(1, 7, 0.9)], [Match(1, 7, 0.2)], 10)
    assert [(found.score, found.side) for found in merged] == [(0.2, "new")]


@given(old=_lists, k=st.integers(1, 9))
def test_merging_with_nothing_changes_nothing(old: list[Match], k: int) -> None:
    in_order = sorted(old, key=lambda match: (-match.score, id_order(match.id)))[:k]
    for merged in (merge(in_order, [], k), merge([], in_order, k)):
        assert [(found.id, found.score) for found in merged] == [
            (match.id, match.score) for match in in_order
        ]


@given(old=_lists, new=_lists, k=st.integers(1, 9))
def test_the_merge_depends_on_nothing_but_the_sets(
    old: list[Match], new: list[Match], k: int
) -> None:
    merged = merge(old, new, k)
    assert merge(old[::-1], new[::-1], k) == merged
    assert len({found.id for found in merged}) == len(merged)
    assert len(merged) == min(k, len({match.id for match in [*old, *new]}))
    assert moved_meanwhile(old, new) == len(old) + len(new) - len(merge(old, new, 99))
