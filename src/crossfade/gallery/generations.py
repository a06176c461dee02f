"""Generations of a gallery's forward map: where they are kept, and which one is in use.

The map that an upgrade brings is generation 0. A later one is kept with the collection, in parts
small enough for any store, under names made of its hash; the gallery's state says which is in use.
Where queries have taught the gallery, its offsets of items are kept with the map. Its parts are
written before the state names it, and those of the one before it are kept for searches that have
just read the state; so a state names nothing that is not there.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Collection, Iterator

import numpy as np
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from crossfade.errors import StoreError
from crossfade.gallery.state import GalleryState, MapGeneration, Phase
from crossfade.stores import Store
from crossfade.upgrade import Affine, ItemOffset, Transform, Upgrade

__all__ = ["Generations", "forget_maps", "keep_map", "kept_maps", "read_map"]

_PART = "crossfade.map.{}.{}"
_KEPT = "crossfade.maps"
"""A pointer: which maps are kept, or begun to be, by hash with their number of parts."""
_DESCRIPTION, _OFFSET = "description", "offset"
_PART_CHARACTERS = 256 * 1024
_SHARE_OF_TIME = 20
"""Counting items takes at most one part in so many of the time."""
_DIGITS = 2
"""Of the share that the map repeats: a finer one would be another upgrade with every write."""
_MAPPING = (Phase.PREPARING, Phase.SERVING, Phase.FINISHING)
"""Phases in which items may still be searched by their mapped vectors."""


class Generations:
    """The upgrade as a gallery's state wants it applied. May be used by several threads."""

    def __init__(self, store: Store, upgrade: Upgrade) -> None:
        self._store = store
        self._upgrade = upgrade
        self._lock = threading.Lock()
        self._items, self._counted_until = 0, 0.0
        self._loaded: tuple[tuple[str, float], Upgrade] | None = None

    def at(self, state: GalleryState) -> Upgrade:
        """The upgrade with the forward map, and offsets of items, that are in use.

        Spaces and the id are the original's: ask that one for them.

        Raises:
            StoreError: the map is not there any more: another has taken its place since the
                state was read, or it was damaged.
        """
        fitted = state.fitted
        if state.phase not in _MAPPING or (fitted is None and not state.known):
            return self._upgrade
        known = self.known_share(state)
        key = ("" if fitted is None else fitted.sha256, known)
        with self._lock:
            if self._loaded is None or self._loaded[0] != key:
                upgrade = self._upgrade.with_known(known)
                if fitted is not None:
                    forward, offset = read_map(self._store, fitted)
                    if offset is not None:
                        upgrade = upgrade.with_offset(offset)
                    upgrade = upgrade.with_map(forward, fitted.pairs)
                self._loaded = (key, upgrade)
            return self._loaded[1]

    def known_share(self, state: GalleryState) -> float:
        """The share of the items that the map repeats, by how many there are by now."""
        if not state.known:
            return 0.0
        with self._lock:
            now = time.monotonic()
            if now >= self._counted_until:
                self._items = self._store.count()
                self._counted_until = now + _SHARE_OF_TIME * (time.monotonic() - now)
            return round(min(1.0, state.known / max(1, self._items)), _DIGITS)


def keep_map(
    store: Store,
    forward: Transform,
    number: int,
    pairs: int,
    offset: ItemOffset | None = None,
    queries: int = 0,
) -> MapGeneration:
    """Write a map durably beside the collection; no state names it yet.

    Args:
        number: of the generation. pairs: how many it was fitted on.
        offset: of items, where it is not the upgrade's own. queries: that it is told by.
    """
    description, tensors = dict(forward.describe()), forward.tensors()
    if offset is not None:
        description[_OFFSET] = offset.describe()
        tensors |= {f"{_OFFSET}.{name}": value for name, value in offset.tensors().items()}
    described = np.frombuffer(json.dumps(description).encode(), dtype=np.uint8)
    content = save_tensors({**tensors, _DESCRIPTION: described})
    sha256 = hashlib.sha256(content).hexdigest()
    parts = list(_parts(base64.b64encode(content).decode("ascii")))
    _note(store, sha256, len(parts))
    for index, part in enumerate(parts):
        _set(store, _PART.format(sha256, index), part)
    return MapGeneration(number, pairs, sha256, len(parts), queries=queries)


def kept_maps(store: Store) -> frozenset[str]:
    """Hashes of all maps that are kept, or that somebody has begun to write."""
    return frozenset(_noted(store))


def forget_maps(store: Store, hashes: Collection[str]) -> None:
    """Forget maps that no state will name again."""
    noted = _noted(store)
    for sha256 in hashes:
        for index in range(noted.get(sha256, 0)):
            _set(store, _PART.format(sha256, index), None)
        _note(store, sha256, None)


def read_map(store: Store, fitted: MapGeneration) -> tuple[Transform, ItemOffset | None]:
    """What :func:`keep_map` has written.

    Raises:
        StoreError: it is not there any more, or was damaged.
    """
    parts = [store.read_pointer(_PART.format(fitted.sha256, i)) for i in range(fitted.parts)]
    content = base64.b64decode("".join(part or "" for part in parts))
    if hashlib.sha256(content).hexdigest() != fitted.sha256:
        raise StoreError(
            f"generation {fitted.number} of the forward map is not there any more, or damaged; "
            "try again, and if it stays so roll back and start anew"
        )
    tensors = load_tensors(content)
    if _DESCRIPTION not in tensors:  # kept when all maps were affine
        return Transform(Affine(tensors["weight"], tensors["bias"])), None
    described = json.loads(tensors.pop(_DESCRIPTION).tobytes())
    if _OFFSET not in described:
        return Transform.restore(described, tensors), None
    prefix = f"{_OFFSET}."
    of_offset = {name: tensors.pop(name) for name in list(tensors) if name.startswith(prefix)}
    offset = ItemOffset.restore(
        described.pop(_OFFSET),
        {name.removeprefix(prefix): value for name, value in of_offset.items()},
    )
    return Transform.restore(described, tensors), offset


def _parts(text: str) -> Iterator[str]:
    for start in range(0, len(text), _PART_CHARACTERS):
        yield text[start : start + _PART_CHARACTERS]


def _noted(store: Store) -> dict[str, int]:
    return _parsed(store.read_pointer(_KEPT))


def _parsed(text: str | None) -> dict[str, int]:
    noted: dict[str, int] = {} if text is None else json.loads(text)
    return noted


def _note(store: Store, sha256: str, parts: int | None) -> None:
    while True:
        text = store.read_pointer(_KEPT)
        noted = _parsed(text)
        if parts is None:
            noted.pop(sha256, None)
        else:
            noted[sha256] = parts
        following = json.dumps(noted, sort_keys=True) if noted else None
        if following == text or store.swap_pointer(_KEPT, text, following):
            return


def _set(store: Store, name: str, value: str | None) -> None:
    while (present := store.read_pointer(name)) != value:
        store.swap_pointer(name, present, value)
