"""Named texts are compared and set."""

from __future__ import annotations

from crossfade.stores import Store
from crossfade.testing.contract.collection import Collection
from crossfade.testing.contract.steps import run_together

__all__ = ["PointersContract"]


class PointersContract(Collection):
    """Named texts are compared and set."""

    def test_a_pointer_is_swapped_only_from_what_it_is(self, store: Store) -> None:
        assert store.read_pointer("p") is None
        assert not store.swap_pointer("p", "something", "x")
        assert store.swap_pointer("p", None, "x")
        assert not store.swap_pointer("p", None, "y")
        assert store.read_pointer("p") == "x" and store.read_pointer("q") is None
        assert store.swap_pointer("p", "x", "ü🙂\n" * 1000)
        assert store.read_pointer("p") == "ü🙂\n" * 1000
        assert store.swap_pointer("p", "ü🙂\n" * 1000, None)
        assert store.read_pointer("p") is None

    def test_of_many_who_swap_one_wins(self, store: Store) -> None:
        won: list[int] = []

        def swap(which: int) -> None:
            for turn in range(20):
                seen = store.read_pointer("p")
                if store.swap_pointer("p", seen, f"{which}.{turn}"):
                    won.append(which)
                    expect = f"{which}.{turn}"
                    assert not store.swap_pointer("p", "never", expect)

        run_together(lambda: swap(1), lambda: swap(2), lambda: swap(3))
        assert len(won) >= 20
