"""Run by the crash tests in a process of its own: a backfill that is going to be killed.

python crashing_job.py URI LOG [STEP TIMES [WORKERS [LEASE_SECONDS]]]
"""

import sys
from pathlib import Path

from crossfade.backfill import Backfill
from crossfade.embeddings import FloatArray
from crossfade.gallery import open_gallery
from crossfade.stores import Item
from crossfade.testing import FakeEncoder, die_at, make_upgrade, make_world
from crossfade.upgrade import Side

ITEMS = 160


def main(
    uri: str,
    log: str,
    step: str = "never",
    times: str = "1",
    workers: str = "1",
    lease_seconds: str = "30",
) -> None:
    world = make_world(items=ITEMS, queries=4)

    def embed(item: Item) -> FloatArray:
        return world.gallery.new[item.payload["row"]]

    encoder = FakeEncoder(embed, latency_seconds=0.002, log=Path(log))
    upgrade = make_upgrade(Side.ITEMS)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    with open_gallery(uri, upgrade) as gallery:
        is_random = step == "never"
        job = Backfill(
            gallery,
            encoder,
            batch_size=4,
            flush_seconds=0.03 if is_random else 0.0,
            lease_seconds=float(lease_seconds),
            observe=die_at(step, int(times)),
        )
        job.run(workers=int(workers))


if __name__ == "__main__":
    main(*sys.argv[1:])
