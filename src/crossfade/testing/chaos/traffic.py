"""Live traffic: a writer of 50 operations a second and readers, who note all that they do."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from crossfade.errors import CrossfadeError, GalleryStateError
from crossfade.gallery import Gallery, Phase
from crossfade.gallery.record import read_log
from crossfade.testing.chaos.content import ABSENT, UPGRADE, Content, new_of, old_of
from crossfade.testing.chaos.ledger import History, Ledger

__all__ = ["IDS", "Traffic"]

IDS = 160
"""Items come and go under so many ids, about three quarters of which are there at a time."""
_K = 4 * IDS
_OPERATIONS_A_SECOND = 50
_READERS = 2
_PAUSE_SECONDS = 0.03
_MOST_BEHIND = 5.0
"""Seconds; who was held up, or dead, makes up for so much."""
_LOOK_SECONDS = 0.3
_NEARLY_DONE = 0.6
_ATTEMPTS = 5


@dataclass
class Traffic:
    """Threads that write to and search a gallery until they are stopped.

    Attributes:
        history: what was written before.
    """

    gallery: Gallery
    ledger: Ledger
    history: History
    seed: int
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        """Begin."""
        writer = _Writer(self.gallery, self.ledger, self.history, random.Random(self.seed))
        readers = [_Reader(self.gallery, self.ledger, self.seed + n) for n in range(_READERS)]
        now = time.monotonic()
        turns = [(writer.turn, 1 / _OPERATIONS_A_SECOND, max(self._due(), now - _MOST_BEHIND))]
        turns += [(reader.turn, _PAUSE_SECONDS, now) for reader in readers]
        for given in turns:
            thread = threading.Thread(target=self._repeat, args=given, daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """End after the operations at hand."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _due(self) -> float:
        """When the next write was due; a writer that was killed makes up for it."""
        begun = [writes[0].begun for writes in self.history.writes.values()]
        done = self.history.acknowledged + self.history.refused
        return min(begun, default=time.monotonic()) + done / _OPERATIONS_A_SECOND

    def _repeat(self, turn: Callable[[], None], pause: float, due: float) -> None:
        while not self._stop.is_set():
            try:
                turn()
            except Exception as error:
                self.ledger.fail(f"{type(error).__name__}: {error}")
            due = max(due + pause, time.monotonic() - _MOST_BEHIND)
            self._stop.wait(max(0.0, due - time.monotonic()))


class _Writer:
    """Inserts, updates and deletes, each as the gallery's phase allows."""

    def __init__(
        self, gallery: Gallery, ledger: Ledger, history: History, moments: random.Random
    ) -> None:
        self._gallery = gallery
        self._ledger = ledger
        self._random = moments
        self._revision = history.last_revision()
        self._live = {id for id, writes in history.writes.items() if writes[-1].content.is_live}
        self._look_at = 0.0
        self._nearly_done = False
        self._may_leave_old_out = False

    def turn(self) -> None:
        """One operation."""
        self._look()
        ids = self._random.sample(range(IDS), self._random.choice([1, 1, 1, 3]))
        if self._random.random() < 0.3 and self._live.issuperset(ids):
            self._write(dict.fromkeys(ids, ABSENT))
        else:
            old, new = self._kind()
            self._revision += len(ids)
            revisions = range(self._revision - len(ids) + 1, self._revision + 1)
            self._write(
                {id: Content(one, old, new) for id, one in zip(ids, revisions, strict=True)}
            )

    def _write(self, writes: dict[int, Content]) -> None:
        mark = self._ledger.intend(writes)
        try:
            self._carry_out(writes)
        except GalleryStateError:
            self._ledger.answer(mark, refused=True)
            return
        self._ledger.answer(mark)
        for id, content in writes.items():
            (self._live.add if content.is_live else self._live.discard)(id)

    def _carry_out(self, writes: dict[int, Content]) -> None:
        ids, contents = list(writes), list(writes.values())
        if not contents[0].is_live:
            self._gallery.delete(ids)
            return
        revisions = [content.revision for content in contents]
        self._gallery.upsert(
            ids,
            old=np.stack([old_of(one) for one in revisions]) if contents[0].old else None,
            new=np.stack([new_of(one) for one in revisions]) if contents[0].new else None,
            payload=[{"revision": one} for one in revisions],
        )

    def _kind(self) -> tuple[bool, bool]:
        """Whether to give the old and the new vector."""
        phase = self._gallery.state.phase
        if phase in (Phase.ROLLING_BACK, Phase.ROLLED_BACK):
            return True, False
        if phase in (Phase.FINISHING, Phase.FINISHED):
            return False, True
        if self._random.random() < (0.03 if self._nearly_done else 0.25):
            return True, False  # of an application that does not know of the new model yet
        return not (self._may_leave_old_out and self._random.random() < 0.5), True

    def _look(self) -> None:
        """Now and then: how far the gallery is."""
        if time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + _LOOK_SECONDS
        self._nearly_done = self._gallery.coverage > _NEARLY_DONE
        # An item without an old vector bars the way back, which each life takes once.
        log = read_log(self._gallery.store.read_pointer)
        self._may_leave_old_out = any('"rolled-back"' in line for line in log)


class _Reader:
    """Searches for everything, exactly."""

    def __init__(self, gallery: Gallery, ledger: Ledger, seed: int) -> None:
        self._gallery = gallery
        self._ledger = ledger
        self._rng = np.random.default_rng(seed)

    def turn(self) -> None:
        """One search, in a mode that the gallery's phase answers."""
        query_new = self._rng.normal(size=(1, UPGRADE.target.dim))
        query_old = self._rng.normal(size=(1, UPGRADE.source.dim))
        modes = ["one-encoder", "old"]
        self._rng.shuffle(modes)
        refusals: list[CrossfadeError] = []
        for mode in modes * _ATTEMPTS:
            begun = time.monotonic()
            try:
                (hits,) = self._gallery.search(query_new, _K, query_old=query_old, mode=mode)
            except GalleryStateError as error:
                refusals.append(error)
                continue
            found = [(int(hit.id), int(hit.payload["revision"])) for hit in hits]
            self._ledger.found(begun, mode, found)
            return
        self._ledger.fail(f"no mode answers: {refusals[-2:]}")
