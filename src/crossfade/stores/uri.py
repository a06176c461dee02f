"""Opening a store by URI, and saying a URI without its credentials.

Stores are entry points of the group ``crossfade.stores``.
"""

from __future__ import annotations

import re
from importlib.metadata import EntryPoint, entry_points
from urllib.parse import unquote_plus

from crossfade.errors import InvalidInput, StoreError
from crossfade.stores.base import Store

__all__ = ["known_schemes", "open_store", "redact_text", "redact_uri"]

GROUP = "crossfade.stores"
_HIDDEN = "***"
_SECRET = re.compile(
    r"pass|pwd|secret|token|key|auth|cred|sig|session|cookie|bearer|jwt", re.IGNORECASE
)
_USER = re.compile(r"^(?:[a-z_-]*user(?:name|info)?|login|uid)$", re.IGNORECASE)
_SETTING = re.compile(r"""([\w%.+-]+)(\s*=\s*)('(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|[^\s&;#'"]*)""")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/{2,}\S*")


def redact_uri(uri: str) -> str:
    """A URI, or a driver's ``key=value`` line, without anything that may be a credential.

    Rather too much is hidden than too little: all between ``://`` and the last ``@``, since a
    password may hold any character; the values of all parameters whose names sound secret,
    however they are encoded. A path that begins with ``/`` may hold an ``@``.
    """
    scheme, separator, rest = uri.partition("://")
    if not separator:
        scheme, rest = "", uri
    user_info, at, behind = rest.rpartition("@")
    if at and (not user_info.startswith("/") or ":" in user_info):
        rest = f"{_HIDDEN}@{behind}"
    return f"{scheme}{separator}{_SETTING.sub(_hide_setting, rest)}"


def redact_text(text: str) -> str:
    """A text, e.g. a driver's error message, whose URIs and settings are redacted."""
    return _SETTING.sub(_hide_setting, _URI.sub(lambda found: redact_uri(found.group()), text))


def _hide_setting(found: re.Match[str]) -> str:
    name, equals, value = found.groups()
    decoded = unquote_plus(unquote_plus(name))
    if value and (_SECRET.search(decoded) or _USER.match(decoded)):
        return f"{name}{equals}{_HIDDEN}"
    return found.group()


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
            f"{redact_uri(str(uri))!r} is no store URI, wanted SCHEME://LOCATION, "
            f"e.g. qdrant://gallery; known schemes: {', '.join(known_schemes())}"
        )
    entry = _entry(scheme)
    if entry is None:
        raise InvalidInput(
            f"no store is installed for {scheme!r} (in {redact_uri(str(uri))!r}); "
            f"known schemes: {', '.join(known_schemes())}"
        )
    store = entry.load()(location)
    if not isinstance(store, Store):
        raise StoreError(f"entry point {entry.value} for {scheme}:// returned no Store: {store!r}")
    return store


def known_schemes() -> list[str]:
    """The schemes that :func:`open_store` understands here."""
    return sorted({entry.name for entry in entry_points(group=GROUP)})


def _entry(scheme: str) -> EntryPoint | None:
    return next(iter(entry_points(group=GROUP, name=scheme)), None)
