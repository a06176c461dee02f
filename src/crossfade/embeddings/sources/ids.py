"""``id``: the content is the id itself, for encoders that look new embeddings up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["id_source"]


def id_source(
    ids: Sequence[int | str], payloads: Sequence[Mapping[str, Any]], /
) -> list[int | str]:
    """The ids."""
    del payloads
    return list(ids)
