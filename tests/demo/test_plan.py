"""The demo's sizes."""

import pytest

from crossfade.demo import DemoPlan
from crossfade.errors import InvalidInput


@pytest.mark.parametrize("field", ["training_images", "items_per_second", "fit_epochs"])
def test_nothing_may_be_zero(field: str) -> None:
    with pytest.raises(InvalidInput, match=field):
        DemoPlan(**{field: 0})


def test_there_must_be_a_query_for_each_live_query() -> None:
    with pytest.raises(InvalidInput, match="live_queries is 11"):
        DemoPlan(query_images=10, live_queries=11)
