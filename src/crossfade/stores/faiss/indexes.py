"""The indexes of a collection's spaces: read or built when first searched, kept in files.

    PATH/space-NUMBER-TOKEN.faiss   an approximate index, readable by FAISS
    PATH/space-NUMBER-TOKEN.npz     the item and change of each of its vectors

The ledger names the file in use. A file may be of any age, damaged or gone: what the ledger has
and the file has not is added, the rest built again. Exact indexes have no file.
"""

from __future__ import annotations

import secrets
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import faiss
import numpy as np

from crossfade.durable import replace_file
from crossfade.stores.faiss.index import VectorIndex
from crossfade.stores.faiss.ledger import Ledger
from crossfade.stores.faiss.vectors import StoredSpace, VectorRows

__all__ = ["Indexes"]


class Indexes:
    """By the number of a space. Who changes them must hold the store's lock alone."""

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        self._folder, self._ledger = folder, ledger
        self._loaded: dict[int, VectorIndex] = {}
        self._unsaved: set[int] = set()

    def are_loaded(self, wanted: Iterable[StoredSpace]) -> bool:
        """Whether all these can be searched."""
        return all(stored.number in self._loaded for stored in wanted)

    def loaded(self, stored: StoredSpace) -> VectorIndex:
        """The index of a space, once it is loaded."""
        return self._loaded[stored.number]

    def load(self, spaces: Mapping[str, StoredSpace], wanted: Iterable[StoredSpace]) -> None:
        """Load the indexes of spaces that are still there."""
        for stored in wanted:
            if spaces.get(stored.space.name) == stored and stored.number not in self._loaded:
                index = self._read(stored)
                if index is None:
                    rows = self._ledger.all_vectors(stored)
                    index = VectorIndex(stored.kind, stored.space.dim, rows)
                self._loaded[stored.number] = index

    def follow(self, stored: StoredSpace, gone: Iterable[int], rows: VectorRows | None) -> None:
        """Do what has been done in the ledger, if the index is loaded."""
        index = self._loaded.get(stored.number)
        if index is not None:  # an empty one has a length of 0
            index.remove(np.array([*gone], dtype=np.int64))
            if rows is not None:
                index.add(rows)
            self._unsaved.add(stored.number)

    def replace(self, stored: StoredSpace, built: VectorIndex) -> None:
        """Take a new index into use and into a file."""
        self._catch_up(built, stored)
        self._loaded[stored.number] = built
        self._write(stored, built)

    def drop(self, stored: StoredSpace) -> None:
        """Forget a space's index and its files."""
        self._loaded.pop(stored.number, None)
        self._unsaved.discard(stored.number)
        self._delete_files(stored, keep=None)

    def discard(self) -> None:
        """Forget all indexes, but not their files."""
        self._loaded.clear()
        self._unsaved.clear()

    def save(self) -> None:
        """Write the approximate indexes that have changed to their files."""
        for stored in self._ledger.spaces().values():
            if stored.number in self._unsaved and stored.kind is not None:
                self._write(stored, self._loaded[stored.number])

    def _catch_up(self, index: VectorIndex, stored: StoredSpace) -> None:
        missing = index.keep_current(self._ledger.changes(stored))
        if len(missing):
            index.add(self._ledger.vectors(stored, missing.tolist()))

    def _write(self, stored: StoredSpace, index: VectorIndex) -> None:
        if index.kind is None:
            return
        token = secrets.token_hex(4)
        items, changes = index.positions
        with (
            replace_file(self._path(stored, token, "npz")) as temporary,
            temporary.open("wb") as to,
        ):
            np.savez(to, items=items, changes=changes)
        with replace_file(self._path(stored, token, "faiss")) as temporary:
            faiss.write_index(index.raw, str(temporary))
        self._ledger.set_index(stored, index.kind, token)
        self._unsaved.discard(stored.number)
        self._delete_files(stored, keep=token)

    def _read(self, stored: StoredSpace) -> VectorIndex | None:
        """The index in the file, brought up to date; None if it can't be used."""
        if stored.kind is None or stored.file is None:
            return None
        try:
            with np.load(self._path(stored, stored.file, "npz")) as arrays:
                items, changes = arrays["items"], arrays["changes"]
            raw = faiss.read_index(str(self._path(stored, stored.file, "faiss")))
        except (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile):
            return None
        if raw.ntotal != len(items) or raw.d != stored.space.dim:
            return None
        index = VectorIndex.restored(stored.kind, raw, items, changes)
        self._catch_up(index, stored)
        return index

    def _path(self, stored: StoredSpace, token: str, ending: str) -> Path:
        return self._folder / f"space-{stored.number}-{token}.{ending}"

    def _delete_files(self, stored: StoredSpace, keep: str | None) -> None:
        for file in self._folder.glob(f"space-{stored.number}-*"):
            if keep is None or file.stem != f"space-{stored.number}-{keep}":
                file.unlink(missing_ok=True)
