"""``folder:DIR``: a file an item, named by a pattern."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from crossfade.embeddings.sources.base import Missing
from crossfade.embeddings.sources.files import inside
from crossfade.embeddings.spec import Spec
from crossfade.errors import InvalidInput

__all__ = ["FolderSource", "folder_source"]

_PLACE = re.compile(r"\{([^{}]*)\}")


class FolderSource:
    """Files of a folder.

    Args:
        folder: must exist.
        pattern: their names; ``{id}`` stands for the item's id, ``{FIELD}`` for a field of
            its payload. Links below the folder are followed, ``..`` leads nowhere.
        text: give what the files hold, as UTF-8 text, instead of their paths.
    """

    def __init__(self, folder: Path, pattern: str = "{id}", *, text: bool = False) -> None:
        if not folder.is_dir():
            raise InvalidInput(f"folder: {folder} is no folder")
        if not _PLACE.search(pattern):
            raise InvalidInput(f"folder: pattern {pattern!r} has no {{id}}: all items are one file")
        self._folder = folder
        self._pattern = pattern
        self._text = text

    def __call__(
        self, ids: Sequence[int | str], payloads: Sequence[Mapping[str, Any]], /
    ) -> list[Any]:
        return [self._content(id, one) for id, one in zip(ids, payloads, strict=True)]

    def _content(self, id: int | str, payload: Mapping[str, Any]) -> Any:
        values = {**payload, "id": id}
        for name in _PLACE.findall(self._pattern):
            if not isinstance(values.get(name), (str, int)):
                return Missing(f"the payload has no text or number {name!r} for the file name")
        file = inside(self._folder, _PLACE.sub(lambda place: str(values[place[1]]), self._pattern))
        return file if isinstance(file, Missing) or not self._text else _read_text(file)


def folder_source(spec: Spec) -> FolderSource:
    """``folder:DIR?pattern={id}.png&as=path|text``."""
    spec.allow("pattern", "as")
    text = spec.choice("as", ("path", "text"), "path") == "text"
    return FolderSource(Path(spec.target), spec.text("pattern", "{id}"), text=text)


def _read_text(file: Path) -> str | Missing:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return Missing(f"{file} can't be read as UTF-8 text: {error}")
