"""The contract of a vector store: what every back end must do, and nothing more.

A store holds items: an id, a payload, a version, and at most one vector for each space. A
version is an opaque number that changes with every write of the item's content; a vector
computed from one version of an item is never attached to another.

Conventions: rows ``(n, d)``, float32, unit length; the score is the inner product, higher is
closer; equal scores are ordered by id (:func:`id_order`). Ids are integers from -2^63 to
2^63-1 or strings; payloads are JSON objects. :mod:`crossfade.stores.checks` holds the checks
that every store makes, :class:`crossfade.testing.StoreContract` the tests it must pass.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from crossfade.embeddings import FloatArray, Space
from crossfade.errors import SpaceMismatch
from crossfade.stores.filters import Filter

__all__ = [
    "Capabilities",
    "Draft",
    "Guard",
    "Id",
    "Item",
    "Match",
    "Outcome",
    "Payload",
    "Store",
    "VectorWrite",
    "id_bytes",
    "id_order",
]

Id = int | str
Payload = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Draft:
    """An item to write. Vectors by space name, each ``(d,)``."""

    id: Id
    vectors: Mapping[str, FloatArray] = field(default_factory=dict)
    payload: Payload = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Item:
    """An item as stored. ``vectors`` holds only the spaces that were asked for."""

    id: Id
    version: int
    vectors: Mapping[str, FloatArray]
    payload: Payload


@dataclass(frozen=True, slots=True)
class Match:
    """One search result: score is the inner product."""

    id: Id
    version: int
    score: float


class VectorWrite(NamedTuple):
    """A vector computed from one version of an item, to be attached to that version only."""

    id: Id
    version: int
    vector: FloatArray


class Outcome(StrEnum):
    """What became of a conditional vector write."""

    APPLIED = "applied"
    STALE = "stale"
    """The item has been rewritten since; the vector describes something else."""
    GONE = "gone"
    """The item has been deleted; it is not brought back."""


class Guard(StrEnum):
    """What keeps others out between the comparison and the write of a conditional write."""

    STORE = "the store itself"
    """The store compares as it writes; any number of writers, in any process."""
    LOCK = "a lock of the collection"
    """Writers of this package take turns, in any process of the machine."""
    ONE_WRITER = "one process"
    """Writers of one process take turns; a second process must not write."""


@dataclass(frozen=True)
class Capabilities:
    """What a store can do, as data. ``crossfade stores`` and ``docs/stores.md`` print it."""

    scheme: str
    persistent: bool
    """What was written is there when the process has ended."""
    approximate: bool
    """``exact=False`` uses an index after :meth:`Store.build_index`; else it changes nothing."""
    server: bool
    """Another program holds the items; this process only asks it."""
    extra: str | None
    """The extra that installs it, or None."""
    uri: str = ""
    """The form of its URIs, e.g. ``qdrant://PATH``."""
    package: str | None = None
    """The import that the extra brings, or None; it is there if the store is installed."""
    exact_filters: bool = True
    """Filters mean what :func:`crossfade.stores.filters.matches` says, at any selectivity."""
    atomic_batches: bool = False
    """A ``put`` is kept and seen whole or not at all, also by a crash in the middle of it."""
    conditional_write: Guard = Guard.ONE_WRITER
    """What makes a conditional write one step."""
    several_processes: bool = False
    """Several processes may have the collection open at the same time."""
    tested_against: str = ""
    """What the contract was run against."""


class Store(ABC):
    """A collection of items. All methods are safe to call from several threads."""

    capabilities: Capabilities

    @property
    def folder(self) -> Path | None:
        """A folder on this machine that lives and dies with the collection, if there is one.

        A backfill keeps its journal there; without it the journal lives in memory.
        """
        return None

    @abstractmethod
    def spaces(self) -> Mapping[str, Space]:
        """The spaces for which items may hold vectors, by name."""

    @abstractmethod
    def ensure_space(self, space: Space) -> None:
        """Allow vectors of a space. Doing it again is harmless.

        Raises:
            SpaceMismatch: the name is taken by a space of another dimension.
        """

    @abstractmethod
    def drop_space(self, name: str) -> None:
        """Forget a space and all its vectors; items stay. Unknown names are ignored."""

    @abstractmethod
    def put(self, drafts: Sequence[Draft]) -> None:
        """Insert or replace whole items. Vectors that a draft lacks are gone afterwards.

        Each item gets a new version. When it returns, the items are found by any search, and
        they survive the death of the process.

        Raises:
            SpaceMismatch: a vector of an unknown space or another dimension; nothing is written.
            InvalidInput: an id twice, a vector that is not of unit length, or a payload that
                is not JSON; nothing is written.
        """

    @abstractmethod
    def set_vectors(self, space: str, writes: Sequence[VectorWrite]) -> list[Outcome]:
        """Attach vectors to items, each only if the item still has the version given.

        Never creates an item and never changes its version, payload or other vectors. One
        outcome a write, in the order given; if an id comes twice, the last applied stands.

        Raises:
            SpaceMismatch: an unknown space or another dimension; nothing is written.
        """

    def put_if(self, drafts: Sequence[Draft], name: str, expect: str) -> bool:
        """:meth:`put`, if the named text is ``expect``; returns whether it was.

        A store with several writers lets nobody change the text in between. In one that belongs
        to a process, those who put and those who change the text take turns by themselves.

        Raises:
            SpaceMismatch, InvalidInput: as :meth:`put`.
        """
        if self.read_pointer(name) != expect:
            return False
        self.put(drafts)
        return True

    @abstractmethod
    def delete(self, ids: Iterable[Id]) -> int:
        """Delete items; returns how many there were. Unknown ids are ignored."""

    @abstractmethod
    def get(self, ids: Sequence[Id], *, vectors: Sequence[str] = ()) -> list[Item | None]:
        """Read items by id, in the order asked; None where there is none."""

    @abstractmethod
    def search(
        self,
        space: str,
        queries: FloatArray,
        k: int,
        *,
        lacks: str | None = None,
        filter: Filter | None = None,
        exact: bool = True,
    ) -> list[list[Match]]:
        """The k closest items that hold a vector of ``space``, for each query.

        Args:
            queries: ``(q, d)`` unit rows.
            lacks: leave out items that hold a vector of this space too.
            filter: leave out items whose payload does not match.
            exact: compare with every vector instead of an approximate index.

        Returns:
            ``q`` lists, best first, ties by id, also at the cut after k; shorter than k only
            if fewer items qualify.

        Raises:
            SpaceMismatch: an unknown space or queries of another dimension.
            InvalidInput: k below 1, or a filter of another form.
        """

    @abstractmethod
    def scan(
        self,
        *,
        after: Id | None = None,
        n: int,
        lacks: str | None = None,
        vectors: Sequence[str] = (),
        payload: bool = True,
    ) -> list[Item]:
        """Up to n items in the store's own strict order of ids, beginning behind ``after``.

        An item that exists during a whole sequence of scans is seen exactly once, whatever is
        written meanwhile. ``lacks`` leaves out items that hold a vector of that space; a name
        that is no space is lacked by all. ``after`` need not exist any more. Without ``payload``
        items come with an empty one, which is faster.
        """

    @abstractmethod
    def count(self, *, has: str | None = None, lacks: str | None = None) -> int:
        """How many items hold, or lack, a vector of a space; all items without arguments.

        With both arguments: how many hold the one and lack the other.
        """

    @abstractmethod
    def read_pointer(self, name: str) -> str | None:
        """A small named text kept with the collection (its state), or None."""

    @abstractmethod
    def swap_pointer(self, name: str, expect: str | None, value: str | None) -> bool:
        """Set a named text durably if it is ``expect`` now; returns whether it was."""

    @contextmanager
    def reading_one_moment(self) -> Iterator[bool]:
        """Let all that this thread reads in the block be of one moment, if the store can.

        Nothing may be written in the block. Yields whether it can; if not, writes come between.
        """
        yield False

    def build_index(self, space: str, *, lacks: str | None = None) -> None:  # noqa: ARG002
        """Build or rebuild the approximate index of a space; afterwards ``exact=False`` uses it.

        Vectors that are written later are found too. Stores without an index only check the name.

        Args:
            space: the space that is searched.
            lacks: the searches are for items that lack a vector of this space, as the old side
                of a migration is; a store may keep the index small by that.

        Raises:
            SpaceMismatch: an unknown space.
        """
        self._require_space(space)

    def index_settings(self, space: str) -> Mapping[str, object]:
        """Kind and settings of the space's approximate index, ``{}`` if it has none.

        Recall is reported together with them.

        Raises:
            SpaceMismatch: an unknown space.
        """
        self._require_space(space)
        return {}

    def _require_space(self, name: str) -> None:
        if name not in (spaces := self.spaces()):
            raise SpaceMismatch(f"the store has no space {name!r}; it has {sorted(spaces)}")

    @abstractmethod
    def flush(self) -> None:
        """Make everything written so far survive a crash of machine and process."""

    @abstractmethod
    def close(self) -> None:
        """Flush and release the store. Closing again is harmless."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def id_bytes(id: Id) -> bytes:
    """An id as bytes that sort as :func:`id_order` does; different ids have different ones."""
    if isinstance(id, int):
        return b"\0" + (id + 2**63).to_bytes(8, "big")
    return b"\1" + id.encode()


def id_order(id: Id) -> tuple[bool, int, str]:
    """Sort key of ids: integers by value, then strings by code point."""
    return (True, 0, id) if isinstance(id, str) else (False, id, "")
