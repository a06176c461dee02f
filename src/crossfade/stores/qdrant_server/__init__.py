"""``qdrant+http://HOST:PORT/COLLECTION`` and ``qdrant+https://...``: a server of Qdrant.

The semantics are those of the embedded store, ``qdrant://PATH``. An API key comes from the
environment variable ``CROSSFADE_QDRANT_API_KEY``, never from the URI. Servers from 1.16 on are
taken; they must be able to add a vector name to a collection that is there.

The contract runs on the client's local mode. It was not run against a server here: name one in
``CROSSFADE_QDRANT_URL``, e.g. ``http://localhost:6333``, and the tests do. A conditional write
names the version of each of its points in the server's own ``update_filter``, so any number of
processes may write; a ``put`` goes in several requests and may be cut off between two of them.
Pointers are points of their own in the collection. The server builds its index by itself;
``build_index`` waits for it.
"""

from __future__ import annotations

import os
import re
from urllib.parse import urlsplit

from crossfade.errors import InvalidInput, MissingExtra
from crossfade.stores.base import Capabilities, Guard, Store

__all__ = ["API_KEY", "CAPABILITIES", "open_http", "open_https"]

API_KEY = "CROSSFADE_QDRANT_API_KEY"
"""The environment variable with the key."""

CAPABILITIES = Capabilities(
    scheme="qdrant+http",
    persistent=True,
    approximate=True,
    server=True,
    extra="qdrant-server",
    uri="qdrant+http://HOST:PORT/COLLECTION",
    package="qdrant_client",
    conditional_write=Guard.STORE,
    several_processes=True,
    tested_against="qdrant-client 1.20, local mode; no server",
)
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def open_http(location: str, *, create: bool = True) -> Store:
    """Open or create a collection of a server that is reached without encryption.

    Args:
        location: ``HOST:PORT/COLLECTION``.
        create: create the collection if it is not there.

    Raises:
        MissingExtra: the client is not installed.
        InvalidInput: another form, credentials in the URI, or a key that would be sent in the
            clear to another machine.
        StoreUnavailable: the server can't be reached for now.
        StoreError: the server refuses, or is too old.
    """
    return _open("http", location, create)


def open_https(location: str, *, create: bool = True) -> Store:
    """The same over TLS."""
    return _open("https", location, create)


def _open(protocol: str, location: str, create: bool) -> Store:
    parts = urlsplit(f"//{location}")
    collection = parts.path.removeprefix("/")
    wanted = f"wanted qdrant+{protocol}://HOST:PORT/COLLECTION"
    if "@" in parts.netloc:
        raise InvalidInput(f"no credentials in a URI: put the key into {API_KEY}; {wanted}")
    try:
        host, port = parts.hostname, parts.port or 6333
    except ValueError as error:
        raise InvalidInput(f"the port of {parts.netloc!r} is no number; {wanted}") from error
    if not host or not re.fullmatch(r"[A-Za-z0-9._-]{1,200}", collection) or parts.query:
        raise InvalidInput(f"got {location!r}; {wanted}")
    key = os.environ.get(API_KEY)
    if key and protocol == "http" and host not in _LOOPBACK:
        raise InvalidInput(
            f"{API_KEY} is set, and qdrant+http:// would send it in the clear; use qdrant+https://"
        )
    try:
        from crossfade.stores.qdrant_server.connect import connect
    except ModuleNotFoundError as error:
        if error.name != "qdrant_client":
            raise
        raise MissingExtra(f"the qdrant+{protocol}:// store", "qdrant-server") from error
    return connect(protocol, host, port, collection, key, create=create)
