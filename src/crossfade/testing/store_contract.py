"""The store contract as tests. Subclass it, say how a store is opened, and run pytest:

    class TestMyStore(StoreContract):
        def open_store(self, place: Path) -> Store:
            return open_store(f"mystore://{place}")

``place`` is a path that does not exist yet; opening it again must find the same collection.
Vectors are axes, so that every store computes the same scores to the last bit and ties are true
ties. The tests stand in :mod:`crossfade.testing.contract`, a topic a module. A store that can't
keep a promise sets that test to None in the subclass, with the reason beside it.
"""

from __future__ import annotations

from crossfade.testing.contract.approximate import ApproximateContract
from crossfade.testing.contract.conditional import ConditionalContract
from crossfade.testing.contract.living_on import LivingOnContract
from crossfade.testing.contract.pointers import PointersContract
from crossfade.testing.contract.reading import ReadingContract
from crossfade.testing.contract.scanning import ScanningContract
from crossfade.testing.contract.searching import SearchingContract
from crossfade.testing.contract.spaces import SpacesContract
from crossfade.testing.contract.values import AWKWARD_IDS, NEW, OLD, axis
from crossfade.testing.contract.writing import WritingContract

__all__ = ["AWKWARD_IDS", "NEW", "OLD", "StoreContract", "axis"]


class StoreContract(
    SpacesContract,
    WritingContract,
    ConditionalContract,
    ReadingContract,
    SearchingContract,
    ApproximateContract,
    ScanningContract,
    PointersContract,
    LivingOnContract,
):
    """Everything that :class:`crossfade.stores.Store` promises."""
