"""The page ``docs/stores.md``, made from what the stores say of themselves.

python -m crossfade.stores.page > docs/stores.md
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import fields

from crossfade.stores.base import Capabilities, Guard
from crossfade.stores.listing import ListedStore, listed_stores

__all__ = ["stores_page"]

_HEAD = """\
# Stores

<!-- Made by `python -m crossfade.stores.page > docs/stores.md`; a test compares. -->

A store holds the items of a gallery: an id, a payload, a version, and at most one vector for each
embedding space. All stores do the same, and prove it by the same tests
(`crossfade.testing.StoreContract` and the state machine `crossfade.testing.store_machine`):

- the score is the inner product of unit vectors, higher is closer, equal scores in order of id;
- ids are integers from -2^63 to 2^63-1 or any text, payloads any JSON object;
- a filter means the same everywhere, at any selectivity, and holds nothing to inject;
- a vector that was computed from an earlier version of an item is never attached to it.

`crossfade stores` prints this table with what is installed.
"""

_APPROXIMATE = """\
## Exact and approximate search

Every search is exact unless it is asked with `exact=False`. After `store.build_index(space)` that
uses an approximate index, where the store has one; vectors that are written later are found too,
and a search that the index answers with too few results is done again exactly. How much of the
exact answer it finds is measured on your own items:

```python
from crossfade.stores import measure_recall

found = measure_recall(store, "new", queries, k=10)
print(found.recall, found.settings)
```

Recall and speed of every store's index on the same vectors:
[`benchmarks/results/store_recall.md`](../benchmarks/results/store_recall.md).
How long the contract's tests take on each store:
[`benchmarks/results/store_contract_times.md`](../benchmarks/results/store_contract_times.md).
"""


def stores_page(listed: Sequence[ListedStore]) -> str:
    """The page in Markdown; the same whatever is installed."""
    stores = [store for store in listed if store.capabilities is not None]
    parts = [_HEAD, _table(stores), _legend(), _APPROXIMATE]
    return "\n".join([*parts, *(_section(store) for store in stores)])


def _table(stores: Sequence[ListedStore]) -> str:
    header = ["", *(f"`{store.schemes[0]}`" for store in stores)]
    lines = [header, ["---"] * len(header)]
    for name, label in _LABELS.items():
        lines.append([label, *(_said(store.capabilities, name) for store in stores)])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


_LABELS = {
    "persistent": "kept on disk",
    "server": "a server",
    "approximate": "approximate index",
    "exact_filters": "exact filters",
    "atomic_batches": "a `put` is whole or not at all",
    "conditional_write": "conditional write by",
    "several_processes": "several processes",
    "tested_against": "tested against",
}


def _said(capabilities: Capabilities | None, name: str) -> str:
    value = getattr(capabilities, name)
    return {True: "yes", False: "-"}[value] if isinstance(value, bool) else str(value)


def _legend() -> str:
    assert set(_LABELS) < {field.name for field in fields(Capabilities)}
    return (
        "A conditional write attaches a vector to the version of an item that it was computed "
        f"from. By *{Guard.STORE}*: it compares as it writes, any number of processes may write. "
        f"By *{Guard.LOCK}*: writers take turns, in any process of the machine. By "
        f"*{Guard.ONE_WRITER}*: writers of the process that owns the collection take turns.\n"
    )


def _section(store: ListedStore) -> str:
    title = " and ".join(f"`{scheme}://`" for scheme in store.schemes)
    install = f"    {store.pip_line}\n\n" if store.pip_line else ""
    return f"## {title}\n\n{install}{store.description}\n"


if __name__ == "__main__":
    sys.stdout.write(stores_page(listed_stores()))
