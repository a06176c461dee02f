"""Paths made of what items say, which must not lead out of their folder."""

from __future__ import annotations

import os
from pathlib import Path

from crossfade.embeddings.sources.base import Missing

__all__ = ["inside"]


def inside(folder: Path, name: str) -> Path | Missing:
    """The file ``name`` below ``folder``.

    Links are followed: data sets are made of them. Only the name may not climb.
    """
    base = os.path.normpath(folder)
    try:
        path = Path(os.path.normpath(Path(base) / name))
        if not path.is_relative_to(base) or path == Path(base):
            return Missing(f"{name!r} leads out of the folder {base}")
        return path if path.is_file() else Missing(f"there is no file {path}")
    except (ValueError, OSError) as error:  # a NUL in the name, a name too long
        return Missing(f"{name!r} is no file name: {error}")
