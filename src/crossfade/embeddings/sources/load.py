"""Item sources by spec; the table of what there is."""

from __future__ import annotations

from collections.abc import Callable

from crossfade.embeddings.sources.base import Source
from crossfade.embeddings.sources.folder import folder_source
from crossfade.embeddings.sources.ids import id_source
from crossfade.embeddings.sources.parquet import parquet_source
from crossfade.embeddings.sources.payload import payload_source
from crossfade.embeddings.sources.sql import split_query, sql_source
from crossfade.embeddings.spec import Spec, parse_spec
from crossfade.errors import InvalidInput

__all__ = ["SOURCES", "load_source"]


def _ids(spec: Spec) -> Source:
    spec.allow()
    return id_source


SOURCES: dict[str, Callable[[Spec], Source]] = {
    "payload": payload_source,
    "folder": folder_source,
    "parquet": parquet_source,
    "sql": sql_source,
    "id": _ids,
}
"""What makes a source, by the kind of its spec."""


def load_source(text: str) -> Source:
    """Make the item source that a spec names; ``docs/encoders.md`` has them all.

    Raises:
        InvalidInput: no such kind, an option wrong, a file that is not there.
        MissingExtra: an optional package is absent; the message has the pip line.
    """
    # A query holds the signs that options are made of.
    spec = split_query(text) if text.startswith("sql:") else parse_spec(text)
    if spec.kind not in SOURCES:
        raise InvalidInput(
            f"there is no item source of kind {spec.kind!r}; wanted KIND:WHERE with one of "
            f"{', '.join(SOURCES)}"
        )
    return SOURCES[spec.kind](spec)
