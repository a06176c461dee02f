"""What the tests of the contract do and compare, again and again."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from crossfade.embeddings import FloatArray
from crossfade.stores import Draft, Id, Match, Store, VectorWrite
from crossfade.testing.contract.values import NEW, OLD, axis

__all__ = [
    "as_plain",
    "draft",
    "ids_of",
    "items_of",
    "run_together",
    "scan_ids",
    "types_of",
    "write_of",
]


def draft(
    id: Id, old: int | None = None, new: int | None = None, payload: Mapping[str, Any] | None = None
) -> Draft:
    """A draft with axes as vectors."""
    vectors = {}
    if old is not None:
        vectors[OLD.name] = axis(old)
    if new is not None:
        vectors[NEW.name] = axis(new, NEW)
    return Draft(id, vectors, payload or {})


def write_of(item: Any, vector: FloatArray) -> VectorWrite:
    """A vector computed from an item as it was read."""
    return VectorWrite(item.id, item.version, vector)


def items_of(store: Store, ids: Sequence[Id], *vectors: str) -> list[Any]:
    """Items that must be there."""
    items = store.get(ids, vectors=vectors)
    assert None not in items
    return items


def ids_of(found: list[list[Match]]) -> list[list[Id]]:
    """The ids of search results."""
    return [[match.id for match in matches] for matches in found]


def scan_ids(store: Store, n: int) -> list[Id]:
    """All ids, by scans of n."""
    seen: list[Id] = []
    after: Id | None = None
    while batch := store.scan(after=after, n=n):
        assert len(batch) <= n
        seen += [item.id for item in batch]
        after = seen[-1]
    return seen


def types_of(value: Any) -> Any:
    """The types of a JSON value, at every depth."""
    if isinstance(value, Mapping):
        return {key: types_of(part) for key, part in value.items()}
    return [types_of(part) for part in value] if isinstance(value, list) else type(value)


def as_plain(item: Any) -> tuple[Any, ...]:
    """An item as values that compare."""
    vectors = {name: row.tolist() for name, row in sorted(item.vectors.items())}
    return item.id, item.version, vectors, item.payload


def run_together(*works: Any) -> None:
    """Run functions in threads; the first error is raised here."""
    errors: list[BaseException] = []

    def guarded(work: Any) -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
