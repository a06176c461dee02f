"""Run by the tests in a process of its own: a backfill that learns from queries, to be killed.

python crashing_learning.py URI QUERIES STEP
"""

import sys

from crossfade.backfill import Backfill
from crossfade.embeddings import FloatArray
from crossfade.fit.api import fit
from crossfade.gallery import open_gallery
from crossfade.stores import Item
from crossfade.testing import FakeEncoder, ShiftedWorld, die_at
from crossfade.upgrade import Upgrade

WORLD = ShiftedWorld(0)


def upgrade() -> Upgrade:
    return fit(WORLD.fit, "refitted_kernel")


def embed(item: Item) -> FloatArray:
    return WORLD.gallery.new_rows(slice(item.payload["row"], item.payload["row"] + 1))[0]


def main(uri: str, queries: str, step: str) -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    with open_gallery(uri, upgrade()) as gallery:
        job = Backfill(
            gallery, FakeEncoder(embed), order="gallery", queries=queries, observe=die_at(step, 1)
        )
        job.run(max_items=3)


if __name__ == "__main__":
    main(*sys.argv[1:])
