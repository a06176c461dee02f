"""Opening a store by URI. Stores are entry points of the group ``crossfade.stores``."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from crossfade.errors import InvalidInput, StoreError
from crossfade.stores.base import Store

__all__ = ["known_schemes", "open_store"]

_GROUP = "crossfade.stores"


def open_store(uri: str) -> Store:
    """Open ``SCHEME://LOCATION``.

    A scheme is the name of an entry point in the group ``crossfade.stores``: a function that
    takes the location, the text behind ``://``, and returns a :class:`Store`.

    Raises:
        InvalidInput: not of that form, or no such scheme.
        MissingExtra: the scheme's package is not installed; the message has the pip line.
        StoreError: the store can't be opened.
    """
    scheme, separator, location = str(uri).partition("://")
    if not separator:
        raise InvalidInput(
            f"{uri!r} is no store URI, wanted SCHEME://LOCATION, e.g. qdrant://gallery; "
            f"known schemes: {', '.join(known_schemes())}"
        )
    entry = _entry(scheme)
    if entry is None:
        raise InvalidInput(
            f"no store is installed for {scheme!r} (in {uri!r}); "
            f"known schemes: {', '.join(known_schemes())}"
        )
    store = entry.load()(location)
    if not isinstance(store, Store):
        raise StoreError(f"entry point {entry.value} for {scheme}:// returned no Store: {store!r}")
    return store


def known_schemes() -> list[str]:
    """The schemes that :func:`open_store` understands here."""
    return sorted({entry.name for entry in entry_points(group=_GROUP)})


def _entry(scheme: str) -> EntryPoint | None:
    return next(iter(entry_points(group=_GROUP, name=scheme)), None)
