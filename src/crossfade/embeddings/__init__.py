"""Embeddings: spaces, pairs of old and new vectors, and their files."""

from crossfade.embeddings.ignored import IgnoredItems
from crossfade.embeddings.pairs import Pairs
from crossfade.embeddings.qrels import Qrels
from crossfade.embeddings.queries import QueryLog
from crossfade.embeddings.recorder import QueryRecorder
from crossfade.embeddings.space import Space
from crossfade.embeddings.stand_ins import stand_in_queries
from crossfade.embeddings.vectors import FloatArray, Ids, as_ids, normalise, unit_rows

__all__ = [
    "FloatArray",
    "Ids",
    "IgnoredItems",
    "Pairs",
    "Qrels",
    "QueryLog",
    "QueryRecorder",
    "Space",
    "as_ids",
    "normalise",
    "stand_in_queries",
    "unit_rows",
]
