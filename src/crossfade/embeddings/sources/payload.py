"""``payload:FIELD``: the content is in the item's payload, or the payload says where."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from crossfade.embeddings.sources.base import Missing
from crossfade.embeddings.sources.files import inside
from crossfade.embeddings.spec import Spec
from crossfade.errors import InvalidInput

__all__ = ["PayloadSource", "payload_source"]

_FORMS = ("text", "base64", "file")


class PayloadSource:
    """A field of the payload.

    Args:
        field: its name; ``a.b`` also looks for ``b`` in an object ``a``.
        form: what the field holds: ``text``; ``base64``, bytes in that code, also as a
            ``data:`` URI; ``file``, a path below ``folder``.
        folder: where the files are; no path leads out of it.
    """

    def __init__(self, field: str, form: str = "text", folder: Path | None = None) -> None:
        if (folder is None) == (form == "file"):
            raise InvalidInput("payload: as=file and folder=DIR go together")
        self._field = field
        self._form = form
        self._folder = folder

    def __call__(
        self, ids: Sequence[int | str], payloads: Sequence[Mapping[str, Any]], /
    ) -> list[Any]:
        del ids
        return [self._content(payload) for payload in payloads]

    def _content(self, payload: Mapping[str, Any]) -> Any:
        value = _look_up(payload, self._field)
        if not isinstance(value, str):
            what = "has no" if value is None else f"holds {type(value).__name__}, not text, as"
            return Missing(f"the payload {what} {self._field!r}")
        if self._form == "base64":
            return _decoded(value, self._field)
        return value if self._folder is None else inside(self._folder, value)


def payload_source(spec: Spec) -> PayloadSource:
    """``payload:FIELD?as=text|base64|file&folder=DIR``."""
    spec.allow("as", "folder")
    if not spec.target:
        raise InvalidInput("payload: names no field, wanted e.g. payload:text")
    folder = spec.options.get("folder")
    form = spec.choice("as", _FORMS, "text")
    return PayloadSource(spec.target, form, Path(folder) if folder else None)


def _look_up(payload: Mapping[str, Any], field: str) -> Any:
    if field in payload:
        return payload[field]
    first, _, rest = field.partition(".")
    inner = payload.get(first)
    return _look_up(inner, rest) if rest and isinstance(inner, Mapping) else None


def _decoded(text: str, field: str) -> Any:
    code = text.partition(",")[2] if text.startswith("data:") else text
    try:
        return base64.b64decode(code, validate=True)
    except binascii.Error as error:
        return Missing(f"the payload's {field!r} is no base64: {error}")
