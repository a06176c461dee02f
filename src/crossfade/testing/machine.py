"""A state machine that plays random operations on a store and on the oracle.

All answers must be equal, versions aside, which every store numbers as it likes. Vectors are
axes, so equality is exact, ties included.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from crossfade.embeddings import Space
from crossfade.stores import Draft, Filter, Id, Store, VectorWrite, id_order
from crossfade.stores.memory import MemoryStore
from crossfade.testing.store_contract import AWKWARD_IDS, NEW, OLD, axis

__all__ = ["store_machine"]

_THIRD = Space("third", 2)
_SPACES = {space.name: space for space in (OLD, NEW, _THIRD)}

_ids = st.sampled_from(AWKWARD_IDS[:14]) | st.integers(-3, 3) | st.text(max_size=2)
_axes = st.integers(-3, 3)
_payloads = st.fixed_dictionaries(
    {},
    optional={
        "color": st.sampled_from(["red", "blue", "", None]),
        "price": st.integers(-2, 2) | st.sampled_from([1.0, 0.5, 2**60]),
        "flag": st.booleans(),
        "a.b": st.lists(st.integers(0, 1), max_size=1),
    },
)
_leaves: st.SearchStrategy[Filter] = st.one_of(
    st.fixed_dictionaries({"color": st.sampled_from(["red", "blue", "green", ""])}),
    st.fixed_dictionaries({"price": st.integers(-2, 2) | st.sampled_from([0.5, 2**60])}),
    st.fixed_dictionaries({"flag": st.booleans()}),
    st.fixed_dictionaries({"price": st.fixed_dictionaries({"gte": st.integers(-2, 2)})}),
    st.fixed_dictionaries(
        {"color": st.fixed_dictionaries({"in": st.lists(st.sampled_from(["red", "blue"]))})}
    ),
)
_filters: st.SearchStrategy[Filter | None] = st.none() | st.recursive(
    _leaves,
    lambda inner: st.one_of(
        st.fixed_dictionaries({"and": st.lists(inner, min_size=1, max_size=2)}),
        st.fixed_dictionaries({"or": st.lists(inner, min_size=1, max_size=2)}),
        st.fixed_dictionaries({"not": inner}),
    ),
    max_leaves=3,
)


@st.composite
def _drafts(draw: st.DrawFn) -> list[Draft]:
    ids = draw(st.lists(_ids, max_size=4, unique=True))
    return [
        Draft(
            id,
            {
                name: axis(draw(_axes), space)
                for name, space in _SPACES.items()
                if name != _THIRD.name and draw(st.booleans())
            },
            draw(_payloads),
        )
        for id in ids
    ]


def store_machine(
    open_store: Callable[[], Store], reopen: Callable[[Store], Store] | None = None
) -> type[RuleBasedStateMachine]:
    """A machine for :func:`hypothesis.stateful.run_state_machine_as_test`.

    Args:
        open_store: opens a new, empty collection.
        reopen: closes a store and opens the same collection again, for persistent ones.
    """

    class StoreMachine(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.store = open_store()
            self.oracle: Store = MemoryStore()
            # Versions as each side numbered them, of every write there ever was.
            self.seen: dict[Id, list[tuple[int, int]]] = {}

        @initialize()
        def two_spaces(self) -> None:
            self.both(lambda store: store.ensure_space(OLD))
            self.both(lambda store: store.ensure_space(NEW))

        @rule(drafts=_drafts())
        def put(self, drafts: Sequence[Draft]) -> None:
            self.both(lambda store: store.put(drafts))
            for draft in drafts:
                self.seen.setdefault(draft.id, []).append(
                    (self.version(self.store, draft.id), self.version(self.oracle, draft.id))
                )

        @rule(
            space=st.sampled_from([NEW.name, OLD.name]),
            wanted=st.lists(st.tuples(_ids, _axes, st.integers(0, 1)), max_size=4),
        )
        def set_vectors(self, space: str, wanted: list[tuple[Id, int, int]]) -> None:
            mine: list[VectorWrite] = []
            theirs: list[VectorWrite] = []
            for id, which, age in wanted:
                history = self.seen.get(id, [(-1, -1)])
                store_version, oracle_version = history[-1 - min(age, len(history) - 1)]
                vector = axis(which, _SPACES[space])
                mine.append(VectorWrite(id, store_version, vector))
                theirs.append(VectorWrite(id, oracle_version, vector))
            assert self.store.set_vectors(space, mine) == self.oracle.set_vectors(space, theirs)

        @rule(ids=st.lists(_ids, max_size=3))
        def delete(self, ids: list[Id]) -> None:
            self.same(lambda store: store.delete(ids))

        @rule(ids=st.lists(_ids, max_size=5))
        def get(self, ids: list[Id]) -> None:
            self.same(
                lambda store: [
                    None if item is None else plain(item)
                    for item in store.get(ids, vectors=list(_SPACES))
                ]
            )

        @rule(
            space=st.sampled_from([OLD, NEW]),
            queries=st.lists(_axes, max_size=3),
            k=st.integers(1, 6),
            lacks=st.sampled_from([None, OLD.name, NEW.name, "unknown"]),
            filter=_filters,
        )
        def search(
            self, space: Space, queries: list[int], k: int, lacks: str | None, filter: Filter | None
        ) -> None:
            rows = np.array([axis(which, space) for which in queries], np.float32)
            self.same(
                lambda store: [
                    [(match.id, match.score) for match in matches]
                    for matches in store.search(
                        space.name, rows.reshape(-1, space.dim), k, lacks=lacks, filter=filter
                    )
                ]
            )

        @rule(n=st.integers(1, 3), lacks=st.sampled_from([None, OLD.name, NEW.name]))
        def scan(self, n: int, lacks: str | None) -> None:
            # Each store has an order of its own.
            self.same(lambda store: sorted(scan_all(store, n, lacks), key=by_id))

        @rule()
        def drop_and_add_a_space(self) -> None:
            self.both(lambda store: store.drop_space(NEW.name))
            self.both(lambda store: store.ensure_space(NEW))

        @rule(add=st.booleans())
        def add_or_drop_the_third(self, add: bool) -> None:
            if add:
                self.both(lambda store: store.ensure_space(_THIRD))
            else:
                self.both(lambda store: store.drop_space(_THIRD.name))

        @rule(
            name=st.sampled_from(["p", "q"]),
            expect=st.sampled_from([None, "a", "b"]),
            value=st.sampled_from([None, "a", "b"]),
        )
        def swap_pointer(self, name: str, expect: str | None, value: str | None) -> None:
            self.same(lambda store: store.swap_pointer(name, expect, value))
            self.same(lambda store: store.read_pointer(name))

        @rule()
        def reopen(self) -> None:
            if reopen is not None:
                self.store = reopen(self.store)

        @invariant()
        def counts_are_equal(self) -> None:
            self.same(lambda store: store.count())
            self.same(lambda store: store.count(has=OLD.name, lacks=NEW.name))
            self.same(lambda store: dict(store.spaces()))

        def teardown(self) -> None:
            self.store.close()

        def both(self, work: Callable[[Store], Any]) -> None:
            work(self.store)
            work(self.oracle)

        def same(self, ask: Callable[[Store], Any]) -> None:
            assert ask(self.store) == ask(self.oracle)

        @staticmethod
        def version(store: Store, id: Id) -> int:
            (item,) = store.get([id])
            assert item is not None
            return item.version

    return StoreMachine


def plain(item: Any) -> tuple[Any, ...]:
    """An item without its version, for comparison."""
    vectors = {name: row.tolist() for name, row in sorted(item.vectors.items())}
    return item.id, vectors, dict(item.payload)


def scan_all(store: Store, n: int, lacks: str | None) -> list[tuple[Any, ...]]:
    """All items by scans of n."""
    seen: list[tuple[Any, ...]] = []
    after: Id | None = None
    while batch := store.scan(after=after, n=n, lacks=lacks, vectors=list(_SPACES)):
        seen += [plain(item) for item in batch]
        after = batch[-1].id
    return seen


def by_id(item: tuple[Any, ...]) -> Any:
    """Sort key of plain items."""
    return id_order(item[0])
