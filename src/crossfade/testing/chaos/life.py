"""A gallery's whole life, as a process that may be killed at any moment and started again."""

from __future__ import annotations

import random
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

from crossfade.backfill import Backfill, JobState
from crossfade.errors import GalleryStateError, JobLocked
from crossfade.gallery import Gallery, Phase, open_gallery, start_gallery
from crossfade.gallery.ends import settle
from crossfade.gallery.record import read_log, read_state
from crossfade.gallery.starting import begin
from crossfade.stores import Item, Store, open_store
from crossfade.testing.chaos.content import UPGRADE, new_of
from crossfade.testing.chaos.ledger import Ledger, read_ledger
from crossfade.testing.chaos.traffic import IDS, Traffic
from crossfade.testing.crash import die_at
from crossfade.testing.encoders import FakeEncoder

__all__ = ["Part", "live", "write_and_search"]

_Result = TypeVar("_Result")
_LEASE_SECONDS = 0.6
_BATCH_SIZE = 4
_ENCODER_SECONDS = 0.02
_FLUSH_SECONDS = 0.1
"""Short times, so that the job is in every one of its steps when it is killed."""
_STORE_STEPS = {
    "pointer-swapped": "swap_pointer",
    "space-added": "ensure_space",
    "space-dropped": "drop_space",
}


@dataclass(frozen=True)
class Part:
    """What a process does.

    Attributes:
        uri: where the gallery is.
        ledger: where all is noted.
        step: after which to die, the n-th ``times``; empty for never.
    """

    uri: str
    ledger: Path
    seed: int
    step: str = ""
    times: int = 1


def live(part: Part, ready: Connection, *, with_traffic: bool) -> None:
    """Go through the lifecycle, and write and search meanwhile, for a store with one owner."""
    with _noting_errors(part), open_store(part.uri) as store:
        ready.send(True)
        observe = die_at(part.step, part.times) if part.step else _ignore
        _observe_store(store, observe)
        opened = start_gallery if read_state(store) is None else open_gallery
        gallery = opened(store, UPGRADE)
        traffic = _traffic(gallery, part) if with_traffic else None
        _Life(gallery, random.Random(part.seed), observe).live()
        if traffic is not None:
            traffic.stop()


def write_and_search(part: Part, over: Connection) -> None:
    """Traffic alone, beside the process that goes through the lifecycle, until told to end."""
    with _noting_errors(part), open_store(part.uri) as store:
        over.send(True)
        while read_state(store) is None:
            if over.poll(0.05):
                return
        traffic = _traffic(Gallery(store, UPGRADE), part)
        over.recv()
        traffic.stop()


class _Life:
    """Goes on from wherever the gallery is, to the end."""

    def __init__(
        self, gallery: Gallery, moments: random.Random, observe: Callable[[str], None]
    ) -> None:
        self._gallery = gallery
        self._random = moments
        encoder = FakeEncoder(_embed, latency_seconds=_ENCODER_SECONDS)
        self._job = Backfill(
            gallery,
            encoder,
            batch_size=_BATCH_SIZE,
            flush_seconds=_FLUSH_SECONDS,
            lease_seconds=_LEASE_SECONDS,
            observe=observe,
        )

    def live(self) -> None:
        """Half of a backfill and back; then all of one, with pauses, and the end."""
        while (phase := self._gallery.state.phase) is not Phase.FINISHED:
            if phase is Phase.ROLLED_BACK:
                begin(self._gallery.store, UPGRADE)
                settle(self._gallery.store)
            elif not self._was_rolled_back():
                self._backfill(IDS // 2)
                if self._gallery.coverage > 0.4:
                    _when_free(self._job.rollback)
            else:
                with self._pausing():
                    state = self._backfill(None)
                if state in (JobState.COMPLETE, JobState.BEHIND):
                    self._finish()

    def _backfill(self, most: int | None) -> JobState:
        return _when_free(lambda: self._job.run(max_items=most).state)

    def _finish(self) -> None:
        try:
            _when_free(self._job.finish)
        except GalleryStateError as refusal:
            if "the old side" not in str(refusal) and "not allowed now" not in str(refusal):
                raise

    def _was_rolled_back(self) -> bool:
        return any('"rolled-back"' in line for line in read_log(self._gallery.store.read_pointer))

    @contextmanager
    def _pausing(self) -> Iterator[None]:
        timer = threading.Timer(self._random.uniform(0.1, 1.0), self._job.pause)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()


def _traffic(gallery: Gallery, part: Part) -> Traffic:
    traffic = Traffic(gallery, Ledger(part.ledger), read_ledger(part.ledger), part.seed)
    traffic.start()
    return traffic


@contextmanager
def _noting_errors(part: Part) -> Iterator[None]:
    try:
        yield
    except BaseException:
        Ledger(part.ledger).fail(traceback.format_exc())
        raise


def _when_free(act: Callable[[], _Result]) -> _Result:
    """Do it as soon as the lease of one who was killed has run out."""
    while True:
        try:
            return act()
        except JobLocked:
            time.sleep(_LEASE_SECONDS / 4)


def _observe_store(store: Store, observe: Callable[[str], None]) -> None:
    """Let a store tell when it has done what decides on a gallery's phase."""
    for step, name in _STORE_STEPS.items():
        setattr(store, name, _told(getattr(store, name), step, observe))


def _told(method: Callable[..., Any], step: str, observe: Callable[[str], None]) -> Any:
    @wraps(method)
    def call(*given: Any, **named: Any) -> Any:
        result = method(*given, **named)
        observe(step)
        return result

    return call


def _embed(item: Item) -> Any:
    return new_of(item.payload["revision"])


def _ignore(step: str) -> None:
    """Nobody dies."""
