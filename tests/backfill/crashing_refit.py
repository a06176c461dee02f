"""Run by the tests in a process of its own: a backfill that fits its map again, to be killed.

python crashing_refit.py URI STEP TIMES
"""

import sys

from crossfade.backfill import Backfill
from crossfade.embeddings import FloatArray
from crossfade.fit.kernel import fit_ridge_to_kernel
from crossfade.fit.settings import FitSettings
from crossfade.gallery import open_gallery
from crossfade.stores import Item
from crossfade.testing import FakeEncoder, die_at, make_world
from crossfade.upgrade import Upgrade

ITEMS, FITTED = 2_400, 60
WORLD = make_world(items=ITEMS + FITTED, queries=4)


def upgrade() -> Upgrade:
    return fit_ridge_to_kernel(WORLD.gallery.subset(range(ITEMS, ITEMS + FITTED)), FitSettings())


def embed(item: Item) -> FloatArray:
    return WORLD.gallery.new[item.payload["row"]]


def main(uri: str, step: str, times: str) -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    with open_gallery(uri, upgrade()) as gallery:
        Backfill(gallery, FakeEncoder(embed), observe=die_at(step, int(times))).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
