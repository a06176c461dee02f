"""Opening collections that are there already: an operation never creates one."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from crossfade.backfill.journal import Journal, open_journal
from crossfade.backfill.standing import standing
from crossfade.errors import ArtifactError, GalleryStateError, InvalidInput, StoreError
from crossfade.gallery import Gallery, GalleryState, State
from crossfade.gallery.moves import check_move, next_command
from crossfade.gallery.opening import open_gallery
from crossfade.gallery.record import Record, read_record
from crossfade.stores import Store, open_store
from crossfade.stores.ownership import Owned
from crossfade.stores.peek import Held, held_elsewhere
from crossfade.stores.uri import redact_uri
from crossfade.upgrade import Upgrade

__all__ = ["Collection", "look", "open_collection", "open_existing", "open_upgraded"]

PATIENCE_SECONDS = 5.0
_LOOK_SECONDS = 0.1
_Answer = TypeVar("_Answer")


@dataclass(frozen=True, eq=False)
class Collection:
    """An open collection and where its upgrade stands.

    Attributes:
        uri: without credentials. record: None if nothing was ever done with it.
    """

    uri: str
    store: Store
    record: Record | None

    @property
    def journal(self) -> Journal:
        """The job's journal."""
        return open_journal(self.store)

    @property
    def state(self) -> State:
        """Where it stands."""
        if self.record is None or self.record.state is None:
            return self.record.shown if self.record else State.NOT_STARTED
        return standing(self.store, self.record.state, self.journal)

    def check(self, move: str) -> GalleryState:
        """The gallery's state, if the move is allowed.

        Raises:
            GalleryStateError: it is not.
        """
        check_move(move, self.state, self.uri)
        if self.record is None or self.record.state is None:
            raise _not_started(self)
        return self.record.state


@contextmanager
def open_collection(uri: str, *, wait_seconds: float = PATIENCE_SECONDS) -> Iterator[Collection]:
    """Open a collection that is there.

    Args:
        wait_seconds: how long to wait for another process that has it, such as a command that
            looks at it.

    Raises:
        InvalidInput: there is none.
        StoreError: it can't be opened, or another process has it.
    """
    with open_existing(uri, wait_seconds) as store:
        yield Collection(redact_uri(uri), store, read_record(store.read_pointer))


def look(
    uri: str, inside: Callable[[Collection], _Answer], outside: Callable[[Held], _Answer]
) -> _Answer:
    """Look at a collection, from outside if another process has it.

    Raises: as :func:`open_collection` does.
    """
    while True:
        try:
            with open_collection(uri, wait_seconds=0.0) as collection:
                return inside(collection)
        except StoreError as error:
            if not isinstance(error.__cause__, Owned):
                raise
        if (held := held_elsewhere(uri)) is not None:
            return outside(held)


@contextmanager
def open_upgraded(uri: str, upgrade: str | Path | None) -> Iterator[Gallery]:
    """Open the gallery with the upgrade that it was started with.

    Args:
        upgrade: its folder, if it is not where it was.

    Raises:
        GalleryStateError: nothing was started, or by a program, and the folder is not known.
        ArtifactError: the upgrade can't be read.
    """
    with open_collection(uri) as collection:
        record = collection.record
        if record is None or record.state is None:
            raise _not_started(collection)
        settings = record.state.settings
        folder = upgrade or (settings.upgrade_folder if settings else None)
        if folder is None:
            raise GalleryStateError(
                "the upgrade was started by a program, which did not say where it is kept, nor "
                "which encoder it takes; say it: --upgrade DIR, and of a backfill --encoder SPEC"
            )
        try:
            loaded = Upgrade.load(folder)
        except ArtifactError as error:
            if upgrade is None and not Path(folder).exists():
                raise ArtifactError(f"{error}; if it was moved: --upgrade DIR") from error
            raise
        if loaded.id != record.state.upgrade_id:
            raise GalleryStateError(
                f"{folder} holds upgrade {loaded.id[:12]}, the gallery goes through "
                f"{record.state.upgrade_id[:12]}: it was fitted anew. Give the one that the "
                "gallery was started with, --upgrade DIR, or roll back first"
            )
        gallery = open_gallery(collection.store, loaded)
        gallery.uri = collection.uri
        yield gallery


def _not_started(collection: Collection) -> GalleryStateError:
    return GalleryStateError(
        f"no upgrade was started on {collection.uri}; "
        f"next: {next_command(collection.state, collection.uri)}"
    )


@contextmanager
def open_existing(uri: str, wait_seconds: float = PATIENCE_SECONDS) -> Iterator[Store]:
    """A store whose collection was there before; nothing is left behind where it was not."""
    location = Path(uri.partition("://")[2])
    missing = [folder for folder in (location, *location.parents) if not folder.exists()]
    with _opened(uri, wait_seconds) as store:
        if store.folder is not None and location in missing:
            store.close()
            shutil.rmtree(location, ignore_errors=True)
            with suppress(OSError):
                for folder in missing[1:]:
                    folder.rmdir()
            raise InvalidInput(
                f"there is no collection at {redact_uri(uri)}; is the path right? A new one "
                "is made, and old vectors put into it, by crossfade.stores.open_store "
                "(docs/lifecycle.md)"
            )
        yield store


def _opened(uri: str, wait_seconds: float) -> Store:
    until = time.monotonic() + wait_seconds
    while True:
        try:
            return open_store(uri, create=False)
        except StoreError as error:
            if not isinstance(error.__cause__, Owned):
                raise
            if time.monotonic() >= until:
                shown = redact_uri(uri)
                raise StoreError(
                    f"{shown} is open in {error.__cause__.owner}; one process has a folder. "
                    f"If it is a backfill: crossfade pause {shown}. Else wait, and try again"
                ) from error.__cause__
        time.sleep(_LOOK_SECONDS)
