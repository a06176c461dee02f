"""What a gallery of the world's items answers, to compare before and after a job."""

from typing import Any

import numpy as np

from crossfade.gallery import Gallery
from crossfade.testing import World


def answers(gallery: Gallery, world: World) -> list[list[Any]]:
    found = gallery.search(world.queries.new, 120)
    return [[(hit.id, hit.side) for hit in hits] for hits in found]


def plain_new_answers(gallery: Gallery, world: World) -> list[list[Any]]:
    stored = gallery.upgrade.store_new(world.gallery.new)
    scores = gallery.upgrade.store_new(world.queries.new) @ stored.T
    return [[(row, "new") for row in line] for line in np.argsort(-scores, axis=1, kind="stable")]


def old_answers(gallery: Gallery, world: World) -> list[list[Any]]:
    found = gallery.search(None, 120, query_old=world.queries.old, mode="old")
    return [[(hit.id, hit.score) for hit in hits] for hits in found]
