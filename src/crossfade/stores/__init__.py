"""Vector stores behind one contract."""

from crossfade.stores.base import (
    Capabilities,
    Draft,
    Id,
    Item,
    Match,
    Outcome,
    Payload,
    Store,
    VectorWrite,
    id_order,
)
from crossfade.stores.filters import Filter
from crossfade.stores.uri import known_schemes, open_store

__all__ = [
    "Capabilities",
    "Draft",
    "Filter",
    "Id",
    "Item",
    "Match",
    "Outcome",
    "Payload",
    "Store",
    "VectorWrite",
    "id_order",
    "known_schemes",
    "open_store",
]
