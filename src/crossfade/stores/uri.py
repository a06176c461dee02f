"""Opening a store by URI, and saying a URI without its credentials.

Stores are entry points of the group ``crossfade.stores``.
"""

from __future__ import annotations

import inspect
import re
from importlib.metadata import EntryPoint, entry_points
from urllib.parse import unquote_plus

from crossfade.errors import InvalidInput, StoreError
from crossfade.stores.base import Store

__all__ = ["holds_credentials", "known_schemes", "open_store", "redact_text", "redact_uri"]

GROUP = "crossfade.stores"
_HIDDEN = "***"
_SECRET = re.compile(
    r"pass|pwd|secret|token(?!iz)|key(?!_env$)|auth|cred|sig|session|cookie|bearer|jwt",
    re.IGNORECASE,
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


def holds_credentials(spec: str) -> bool:
    """Whether a spec that is to be kept, ``kind:target?option=value``, holds a password or key.

    A user's name alone is none, and neither is the name of an environment variable.
    """
    target, _, options = spec.partition("?")
    user_info, at, _ = target.partition("://")[2].rpartition("@")
    names = [option.partition("=")[0] for option in re.split("[&;]", options)]
    return bool(at and ":" in user_info) or any(
        _SECRET.search(unquote_plus(unquote_plus(name))) for name in names
    )


def _hide_setting(found: re.Match[str]) -> str:
    name, equals, value = found.groups()
    decoded = unquote_plus(unquote_plus(name))
    if value and (_SECRET.search(decoded) or _USER.match(decoded)):
        return f"{name}{equals}{_HIDDEN}"
    return found.group()


def open_store(uri: str, *, create: bool = True) -> Store:
    """Open ``SCHEME://LOCATION``.

    A scheme is the name of an entry point in the group ``crossfade.stores``: a function that
    takes the location, the text behind ``://``, and returns a :class:`Store`. A store that is
    not in a folder should also take ``create``: False opens what is there and creates nothing.

    Raises:
        InvalidInput: not of that form, no such scheme, or nothing there that may be opened.
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
    function = entry.load()
    takes_create = "create" in inspect.signature(function).parameters
    store = function(location, create=create) if takes_create else function(location)
    if not isinstance(store, Store):
        raise StoreError(f"entry point {entry.value} for {scheme}:// returned no Store: {store!r}")
    return store


def known_schemes() -> list[str]:
    """The schemes that :func:`open_store` understands here."""
    return sorted({entry.name for entry in entry_points(group=GROUP)})


def _entry(scheme: str) -> EntryPoint | None:
    return next(iter(entry_points(group=GROUP, name=scheme)), None)
