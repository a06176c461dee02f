"""Run by the tests of signals in a process of its own: a backfill that is told to stop.

python stopped_job.py FOLDER WHAT      where WHAT keeps it: encode, hang, retry or throttle
"""

import sys
import time
from collections.abc import Sequence
from typing import Any

from crossfade.backfill import Backfill, Retry, Throttle, stopping_on_signals
from crossfade.gallery import open_gallery
from crossfade.stores import Item
from crossfade.testing import make_upgrade, make_world


def main(folder: str, what: str) -> None:
    world = make_world(items=120, queries=4)
    calls = iter(range(10**9))

    def encode(items: Sequence[Item]) -> Any:
        if next(calls) == 2:
            sys.stdout.write("ready\n")
            sys.stdout.flush()
            if what == "hang":
                time.sleep(3600)
        if what == "retry" and next(calls) > 2:
            raise ConnectionError("away")
        time.sleep(0.2)
        return world.gallery.new[[item.payload["row"] for item in items]]

    with open_gallery(f"qdrant://{folder}", make_upgrade()) as gallery:
        rows = [{"row": row} for row in range(120)]
        gallery.upsert(world.gallery.ids, old=world.gallery.old, payload=rows)
        job = Backfill(
            gallery,
            encode,
            batch_size=4,
            flush_seconds=0.0,
            retry=Retry(first_seconds=3600.0, cap_seconds=3600.0),
            throttle=Throttle(max_rate=3.0) if what == "throttle" else None,
        )
        with stopping_on_signals(job):
            status = job.run()
    sys.stdout.write(f"{status.state} {status.done} {status.pending}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
