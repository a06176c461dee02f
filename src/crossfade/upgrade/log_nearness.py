"""Whether a log of queries asks for anything like the items that it is to teach a map about.

Queries of another gallery, or embedded by another model, find nothing near. What they teach is
wrong for the queries that come, and no held-out query of theirs can tell (``docs/experiments.md``,
"Texts in place of a log").
"""

from __future__ import annotations

import numpy as np

from crossfade.embeddings import FloatArray, QueryLog

__all__ = ["NEARNESS_ITEMS", "UnlikeQueriesWarning", "log_nearness", "why_unlike"]

NEARNESS_ITEMS, _MOST_QUERIES = 4_000, 500
_UNLIKE = 0.6
"""Logs of one's own have .85 and more, another domain's sentences .5, another space's .2 to .45."""


class UnlikeQueriesWarning(UserWarning):
    """The log's queries find nothing near."""


def log_nearness(log: QueryLog, items: FloatArray) -> float:
    """How near queries are to items, where items are to one another is 1.

    Of a query, or an item, what counts is how much nearer the nearest (other) item is than items
    are on average, in the new space.

    Args:
        items: ``(n, d_new)``, of more than 4,000 a sample will do.
    """
    rng = np.random.default_rng(0)
    asked = log.sample(_MOST_QUERIES).new @ items.T
    probes = rng.permutation(len(items))[:_MOST_QUERIES]
    among = items[probes] @ items.T
    among[np.arange(len(probes)), probes] = -np.inf
    best = among.max(axis=1)
    among[np.arange(len(probes)), probes] = 0.0
    near = float(best.mean() - among.sum() / (among.size - len(probes)))
    return round(float(asked.max(axis=1).mean() - asked.mean()) / max(near, 1e-9), 3)


def why_unlike(nearness: float) -> str | None:
    """What to tell of a log that finds nothing near; None of one that does."""
    if nearness >= _UNLIKE:
        return None
    return (
        f"the queries of the log are {nearness:.2f} times as near to items as items are to one "
        f"another, wanted at least {_UNLIKE}: unless queries are of another kind than items, as "
        "texts that ask for images, they are of another gallery or by another model, and what "
        "they teach harms; leave them out"
    )
