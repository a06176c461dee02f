"""The whole path in one file, on a small made-up world: fit, open, backfill, search, measure.

python examples/quickstart.py
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import crossfade as cf
from crossfade.stores import Item

rng = np.random.default_rng(0)
topics = rng.normal(size=(40, 16))
old_model, new_model = rng.normal(size=(16, 24)), rng.normal(size=(16, 48))


def world(first_id: int, n: int) -> cf.Pairs:
    """Items of 40 topics; the old model sees them blurred."""
    labels = rng.integers(0, 40, n)
    items = topics[labels] + 0.6 * rng.normal(size=(n, 16))
    blurred = items + 1.2 * rng.normal(size=(n, 16))
    ids = np.arange(first_id, first_id + n)
    return cf.Pairs.of(ids, blurred @ old_model, items @ new_model, labels)


gallery_set, query_set = world(0, 2_000), world(10_000, 200)
upgrade = cf.fit(world(50_000, 3_000).without_labels(), "forward_ridge")
new_of = dict(zip(gallery_set.ids.tolist(), gallery_set.new, strict=True))


def encode(items: Sequence[Item]) -> np.ndarray:
    """Stands for the new model: real encoders read the item's payload."""
    return np.stack([new_of[item.id] for item in items])


with (
    tempfile.TemporaryDirectory() as folder,
    cf.open_gallery(f"qdrant://{Path(folder) / 'gallery'}", upgrade) as gallery,
):
    gallery.upsert(gallery_set.ids.tolist(), old=gallery_set.old)
    job = cf.Backfill(gallery, encoder=encode, order="random", seed=0)
    for items in (1, 999, 1_000):
        job.run(max_items=items)
        hits = gallery.search(query_set.new[:3], k=3)
        print(f"coverage {gallery.coverage:.0%}: {[[hit.id for hit in row] for row in hits]}")

result = cf.evaluate(upgrade, gallery_set, query_set)
print(f"gain share {result.gain_share['map']:.0%}, worst point {result.worst_point['map']:+.3f}")
