"""Embeddings computed once: cached by the model and by what was embedded.

Items are embedded in parts, each a file of its own, so that a killed run goes on where it was.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from crossfade.bench.packages import cache_folder
from crossfade.bench.suite import Say
from crossfade.durable import replace_file
from crossfade.embeddings import FloatArray

__all__ = ["content_hash", "embed_cached"]

_PART_ITEMS = 2_000
_SAY_EVERY_SECONDS = 10.0

Item = TypeVar("Item")


def embed_cached(
    model: str,
    items: Sequence[Item],
    embed: Callable[[Sequence[Item]], NDArray[Any]],
    content: Callable[[Item], bytes],
    say: Say,
) -> FloatArray:
    """Embeddings ``(n, d)`` of the items, from the cache as far as they are in it.

    Args:
        model: names the model with everything that changes its output.
        embed: makes ``(m, d)`` of some items; may load its model when it is first called.
        content: the bytes that stand for an item.
    """
    folder = cache_folder() / "embeddings" / model
    started = told = 0.0
    computed = 0
    rows: list[NDArray[Any]] = []
    for start in range(0, len(items), _PART_ITEMS):
        part = items[start : start + _PART_ITEMS]
        path = folder / f"{content_hash(content(item) for item in part)}.npy"
        if not path.exists():
            if computed == 0:
                say(f"embedding {len(items) - start:,} items with {model}")
                started = told = time.monotonic()
            _save(path, np.asarray(embed(part), np.float16))
            computed += len(part)
            now = time.monotonic()
            if now - told > _SAY_EVERY_SECONDS:
                told = now
                left = (now - started) / computed * (len(items) - start - len(part))
                say(f"{model}: {start + len(part):,} of {len(items):,}, {left:.0f} s left")
        rows.append(np.load(path))
    return np.concatenate(rows).astype(np.float32)


def content_hash(parts: Iterable[bytes]) -> str:
    """A short hash of some pieces, each with its length, so that borders count."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()[:32]


def _save(path: Path, rows: NDArray[Any]) -> None:
    with replace_file(path) as temporary, temporary.open("wb") as file:
        np.save(file, rows)
