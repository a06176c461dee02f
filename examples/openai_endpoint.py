"""A backfill by an OpenAI-compatible endpoint that is busy now and then; a toy server plays it.

python examples/openai_endpoint.py
"""

from __future__ import annotations

import os
import zlib

import numpy as np

import crossfade as cf
from crossfade.backfill import load_item_encoder
from crossfade.testing.embedding_server import EmbeddingServer, Refusal

COLOURS = ("red", "green", "blue", "black", "white", "amber", "teal", "plum")
THINGS = ("chair", "lamp", "table", "shelf", "sofa", "desk", "stool", "bench", "clock", "vase")


def embed(text: str, width: int) -> list[float]:
    """A toy model: each word has a direction; a narrow model tells fewer words apart."""
    seeds = [zlib.crc32(f"{width} {word}".encode()) for word in text.split()]
    rows = [np.random.default_rng(seed).normal(size=width) for seed in seeds]
    return [float(value) for value in np.sum(rows, axis=0)]


texts = [f"{colour} {thing} {n}" for colour in COLOURS for thing in THINGS for n in range(5)]
old = np.array([embed(text, 8) for text in texts])
new = np.array([embed(text, 64) for text in texts])
upgrade = cf.fit(cf.Pairs.of(range(len(texts)), old, new), "forward_ridge")

os.environ["TOY_API_KEY"] = "sk-toy"
with (
    EmbeddingServer(lambda text: embed(text, 64), key="sk-toy") as server,
    cf.open_gallery("memory://", upgrade) as gallery,
):
    gallery.upsert(range(len(texts)), old=old, payload=[{"text": text} for text in texts])
    gallery.upsert([9_999], old=old[:1], payload=[{"title": "no text"}])
    server.refusals.append(Refusal(429, "slow down", {"Retry-After": "0.2"}))
    server.refusals.append(Refusal(500, "oops"))

    encoder = load_item_encoder(f"openai:toy@{server.url}?key_env=TOY_API_KEY", "payload:text")
    job = cf.Backfill(gallery, encoder=encoder)
    status = job.run()
    print(f"{status.state}: {status.done} done in {len(server.requests)} requests")
    print(*(f"parked: {item.id}, {item.reason}" for item in job.parked_items()), sep="\n")

    query = np.array([embed("teal sofa", 64)])
    print("teal sofa:", ", ".join(texts[int(hit.id)] for hit in gallery.search(query, k=3)[0]))
