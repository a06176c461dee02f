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
        log: Path | None = None,
        seed: int = 0,
    ) -> None:
        self.encoded: list[Id] = []
        self.calls = 0
        self._embed = embed
        self._latency_seconds = latency_seconds
        self._fail_rate = fail_rate
        self._poison = frozenset(poison)
        self._log = log
        self._random = random.Random(seed)

    def __call__(self, items: Sequence[Item]) -> FloatArray:
        self.calls += 1
        time.sleep(self._latency_seconds)
        if self._random.random() < self._fail_rate:
            raise EncoderUnavailable("the fake encoder is out for a moment")
        if bad := [item.id for item in items if item.id in self._poison]:
            raise ValueError(f"item {bad[0]!r} is poisoned")
        rows = np.stack([self._embed(item) for item in items])
        self._record([item.id for item in items])
        return rows

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
