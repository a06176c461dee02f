"""A world's items in a gallery, and an encoder that knows them by their payloads."""

from __future__ import annotations

from typing import Any

from crossfade.embeddings import FloatArray
from crossfade.gallery import Gallery
from crossfade.stores import Id, Item
from crossfade.testing.encoders import FakeEncoder
from crossfade.testing.reference import Embedded
from crossfade.testing.upgrades import make_upgrade
from crossfade.testing.worlds import World
from crossfade.upgrade import Side, Upgrade

__all__ = ["encoder_of", "fill", "upgrade_of"]


def encoder_of(world: World, **dials: Any) -> FakeEncoder:
    """Knows an item by its payload alone, as a real encoder does."""

    def embed(item: Item) -> FloatArray:
        return world.gallery.new[item.payload["row"]]

    return FakeEncoder(embed, **dials)


def upgrade_of(world: World, side: Side | str = Side.ITEMS, **settings: Any) -> Upgrade:
    """An upgrade of random maps, with sixty of the world's items as its two-encoder sample."""
    return make_upgrade(side, reference_old=world.gallery.old_rows(slice(0, 60)), **settings)


def fill(gallery: Gallery, world: World, moved: int = 0) -> dict[Id, Embedded]:
    """All items with old embeddings, the first ``moved`` with new ones, too.

    Payloads say which row of the world an item is, and its label.

    Returns:
        The same items for the reference.
    """
    pairs, labels = world.gallery, world.gallery.labels
    assert labels is not None
    payload = [{"row": row, "label": int(label)} for row, label in enumerate(labels)]
    gallery.upsert(pairs.ids[moved:], old=pairs.old[moved:], payload=payload[moved:])
    if moved:
        gallery.upsert(
            pairs.ids[:moved], old=pairs.old[:moved], new=pairs.new[:moved], payload=payload[:moved]
        )
    return {
        int(id): Embedded(pairs.old[row], pairs.new[row] if row < moved else None)
        for row, id in enumerate(pairs.ids)
    }
