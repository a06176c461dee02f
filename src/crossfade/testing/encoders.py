"""A fake encoder with dials."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import numpy as np

from crossfade.embeddings import FloatArray
from crossfade.errors import EncoderUnavailable
from crossfade.stores import Id, Item
from crossfade.stores.checks import plain_id

__all__ = ["FakeEncoder", "encoded_ids"]


class FakeEncoder:
    """Looks embeddings up, slowly and unreliably as wanted.

    Args:
        embed: the embedding ``(d_new,)`` of an item.
        latency_seconds: how long a call takes.
        fail_rate: the share of calls that raise EncoderUnavailable, 0 to 1.
        poison: ids of items on which any call fails for good.
        items_a_second: a rate limit: a call before its time is refused, and told when to come
            back, as by HTTP 429 with ``Retry-After``.
        name: the model it says to be, or None to say nothing.
        dim: the width of its answers, whatever ``embed`` gives, by cutting off or adding
            zeros; also what it states. None changes and states nothing.
        log: a file to which the ids are appended that were encoded; it survives SIGKILL.
        seed: of the failures.
    """

    def __init__(
        self,
        embed: Callable[[Item], FloatArray],
        *,
        latency_seconds: float = 0.0,
        fail_rate: float = 0.0,
        poison: Collection[Id] = (),
        items_a_second: float | None = None,
        name: str | None = None,
        dim: int | None = None,
        log: Path | None = None,
        seed: int = 0,
    ) -> None:
        self.encoded: list[Id] = []
        self.calls = 0
        self.refused = 0
        self.name = name
        self.dim = dim
        self._embed = embed
        self._latency_seconds = latency_seconds
        self._fail_rate = fail_rate
        self._poison = frozenset(poison)
        self._items_a_second = items_a_second
        self._free_at = 0.0
        self._log = log
        self._random = random.Random(seed)

    def __call__(self, items: Sequence[Item]) -> FloatArray:
        self.calls += 1
        self._keep_to_the_rate(len(items))
        time.sleep(self._latency_seconds)
        if self._random.random() < self._fail_rate:
            raise EncoderUnavailable("the fake encoder is out for a moment")
        if bad := [item.id for item in items if item.id in self._poison]:
            raise ValueError(f"item {bad[0]!r} is poisoned")
        rows = np.stack([self._row(item) for item in items])
        self._record([item.id for item in items])
        return rows

    def _keep_to_the_rate(self, items: int) -> None:
        if self._items_a_second is None:
            return
        now = time.monotonic()
        if now < self._free_at:
            self.refused += 1
            raise EncoderUnavailable(
                "the fake encoder has a rate limit", retry_after_seconds=self._free_at - now
            )
        self._free_at = now + items / self._items_a_second

    def _row(self, item: Item) -> FloatArray:
        row = np.asarray(self._embed(item))
        return (
            row
            if self.dim is None
            else np.resize(np.append(row, np.zeros(self.dim, np.float32)), self.dim)
        )

    def _record(self, ids: list[Id]) -> None:
        self.encoded += ids
        if self._log is not None:
            text = "".join(f"{id!r}\n" for id in ids)
            with self._log.open("ab", buffering=0) as file:
                os.write(file.fileno(), text.encode())


def encoded_ids(log: Path) -> list[Id]:
    """The ids in a log, in the order of encoding; an id that was cut off by a kill is left out."""
    if not log.exists():
        return []
    lines = log.read_text(encoding="utf-8").split("\n")[:-1]
    return [plain_id(line[1:-1] if line[:1] in "'\"" else int(line)) for line in lines]
