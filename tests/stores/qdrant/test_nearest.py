"""Cutting a list after k, whatever happens between counting and searching."""

from collections.abc import Sequence

import numpy as np

from crossfade.embeddings import FloatArray
from crossfade.stores import Match
from crossfade.stores.qdrant.nearest import nearest


def test_items_inserted_after_the_count_push_none_out_of_the_list() -> None:
    points = [Match(id, 1, 1.0 - id / 100) for id in range(9)]

    def fetch(
        queries: Sequence[FloatArray] | FloatArray, limit: int, exact: bool
    ) -> list[list[Match]]:
        return [points[:limit] for _ in queries]

    queries = np.ones((2, 1), np.float32)
    assert nearest(fetch, queries, 100, points=5, exact=True) == [points, points]
    assert nearest(fetch, queries, 7, points=2, exact=True) == [points[:7], points[:7]]
