"""Sort keys that put items in a random order, the same in every store, for ever.

By a hash of seed and id alone, which some databases compute themselves, without sending an id.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from crossfade.stores import Id, id_bytes

__all__ = ["RANDOM_KEY_SQL", "random_keys", "seed_bytes"]

# Of the first seven bytes, as many bits as a float takes exactly.
_BYTES, _SPARE_BITS = 7, 3
RANDOM_KEY_SQL = (
    f"(('x' || encode(substr(sha256(%s::bytea || {{item}}), 1, {_BYTES}), 'hex'))::bit(56)::bigint"
    f" >> {_SPARE_BITS})::float8 / {2**53}"
)
"""The key of an item in PostgreSQL; the parameter is :func:`seed_bytes`."""


def seed_bytes(seed: int) -> bytes:
    """What a seed adds to a hash."""
    return f"{seed}:".encode()


def random_keys(seed: int) -> Callable[[Id], float]:
    """From an id to its key, 0 to 1."""
    start = hashlib.sha256(seed_bytes(seed))

    def key(id: Id) -> float:
        digest = start.copy()
        digest.update(id_bytes(id))
        return float((int.from_bytes(digest.digest()[:_BYTES], "big") >> _SPARE_BITS) / 2**53)

    return key
