"""`attach` and `detach`: an existing collection is named in place, and left as it was found."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from urllib.parse import urlencode

from crossfade.errors import GalleryStateError, InvalidInput, MissingExtra, SpaceMismatch
from crossfade.gallery import GalleryState, State
from crossfade.gallery.audit import Entry
from crossfade.gallery.moves import check_move
from crossfade.gallery.record import append
from crossfade.operations.log import export_log
from crossfade.operations.opening import Collection, open_collection
from crossfade.operations.status import Status, status
from crossfade.stores.uri import redact_uri

__all__ = ["attach", "detach"]

_POSTGRESQL = ("postgresql://", "pgvector://")


def attach(
    uri: str,
    *,
    old_vector: str,
    id: str | None = None,
    space: str | None = None,
    actor: str | None = None,
) -> Status:
    """Take an existing collection with old vectors into use, in place; nothing is copied.

    Args:
        uri: a table of PostgreSQL, or a collection of one of our stores.
        old_vector: the column of old vectors; for our stores, the name of their space.
        id: the column of ids of a table.
        space: the old model's name, if it is not the column's.

    Raises:
        InvalidInput: there is no such collection or column.
        SpaceMismatch: the collection holds no vectors of that name.
        GalleryStateError: it is attached, or an upgrade was started on it.
    """
    with _taken(uri, old_vector, id, space) as collection:
        if collection.state is State.ATTACHED:
            raise GalleryStateError(
                f"{collection.uri} is attached already; next: crossfade start {collection.uri} "
                "--upgrade DIR --encoder SPEC"
            )
        check_move("attach", collection.state, collection.uri)
        details = {"old_vector": old_vector, "items": collection.store.count()}
        _record(collection, "attach", State.ATTACHED, details, actor)
    return status(uri)


def detach(uri: str, *, export: Path | None = None, actor: str | None = None) -> None:
    """Leave a collection as it was found: what was added to it goes.

    From a table of the user's own the audit log goes as well.

    Args:
        export: a file to which the audit log is written before.

    Raises:
        GalleryStateError: an upgrade is under way; roll it back first.
    """
    with open_collection(uri) as collection:
        check_move("detach", collection.state, collection.uri)
        _record(collection, "detach", State.NOT_STARTED, {}, actor)
    if export is not None:
        export_log(uri, export)
    if uri.startswith(_POSTGRESQL):
        _tables().detach(uri)


@contextmanager
def _taken(uri: str, old_vector: str, id: str | None, space: str | None) -> Iterator[Collection]:
    """The collection; a table is made one."""
    if uri.startswith(_POSTGRESQL):
        _attach_table(uri, old_vector, id, space)
    elif space not in (None, old_vector):
        raise InvalidInput("--space is for tables; a space of this store keeps its name")
    with open_collection(uri) as collection:
        held = collection.store.spaces()
        if (space or old_vector) not in held:
            raise SpaceMismatch(
                f"{collection.uri} holds vectors of {sorted(held)}, none of {old_vector!r}; "
                "--old-vector names the space of the old model"
            )
        yield collection


def _attach_table(uri: str, old_vector: str, id: str | None, space: str | None) -> None:
    if id is None:
        raise InvalidInput(f"{redact_uri(uri)} is a table: name its column of ids, --id COLUMN")
    named = uri if space is None else f"{uri}&{urlencode({'space': space})}"
    _tables().attach(named, id=id, old_vector=old_vector).close()


def _tables() -> ModuleType:
    try:
        return import_module("crossfade.stores.pgvector.attach")
    except ModuleNotFoundError as error:
        raise MissingExtra("the postgresql:// store", "pgvector") from error


def _record(
    collection: Collection, move: str, after: State, details: dict[str, object], actor: str | None
) -> None:
    nothing: GalleryState | None = None
    entry = Entry(move, collection.state, after, actor, details)
    if append(collection.store, collection.record, nothing, entry) is None:
        raise GalleryStateError(f"{collection.uri} was changed by somebody else; try again")
