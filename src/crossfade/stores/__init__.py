"""Vector stores behind one contract."""

from crossfade.stores.base import (
    Capabilities,
    Draft,
    Guard,
    Id,
    Item,
    Match,
    Outcome,
    Payload,
    Store,
    VectorWrite,
    id_bytes,
    id_order,
)
from crossfade.stores.filters import Filter
from crossfade.stores.recall import Recall, measure_recall
from crossfade.stores.uri import known_schemes, open_store

__all__ = [
    "Capabilities",
    "Draft",
    "Filter",
    "Guard",
    "Id",
    "Item",
    "Match",
    "Outcome",
    "Payload",
    "Recall",
    "Store",
    "VectorWrite",
    "id_bytes",
    "id_order",
    "known_schemes",
    "measure_recall",
    "open_store",
]
