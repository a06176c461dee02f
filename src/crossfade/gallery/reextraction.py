"""Re-extraction on demand: moving the very items that a query asks for.

The order of effects is that of the backfill job, and so are its promises: an item is read with
its version, embedded, and its vector is written only if the item still has that version. A
user's write that comes between wins; a deleted item stays deleted.

All of it runs on one thread beside the searches. A search waits for its own items, as long as
it may; what is not ready by then is moved all the same, for the searches that come after.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, wait
from functools import partial

from crossfade.errors import EncoderUnavailable, StoreError
from crossfade.gallery.background import Background
from crossfade.gallery.encoding import Encoder, Encoding, Retry
from crossfade.gallery.fairness import FairLock
from crossfade.gallery.model import require_model, require_width
from crossfade.gallery.record import read_state
from crossfade.gallery.state import Phase
from crossfade.gallery.write_back import write_back
from crossfade.stores import Id, Item, Outcome, Store
from crossfade.upgrade import Upgrade

__all__ = ["Reextraction"]

_log = logging.getLogger(__name__)

_BATCH_ITEMS = 8
"""Small, so that the best candidates are ready when the time is over."""
_LARGE_BATCH_ITEMS = 64
"""Where nobody looks at the clock, encoders are faster with more at once."""
_MOST_WAITING = 1024
"""Items that wait for the encoder; when searches ask for more, theirs keep their estimates."""
_MOST_REMEMBERED = 10_000
"""Items that the encoder failed on; they are not tried again until they are rewritten."""
_PAUSE_SECONDS = 5.0
"""How long an encoder that can't be reached is left alone."""
_CLOSING_SECONDS = 5.0
"""How long closing waits for a batch that is in the encoder."""
_NO_RETRY = Retry(attempts=1, asked_cap_seconds=0.0)
"""A query can't wait for an encoder to come back."""


class Reextraction:
    """Moves items when searches ask for it.

    Args:
        encoder: the new model; called by one thread at a time.
        write_lock: the gallery's.

    Raises:
        SpaceMismatch: the encoder is of another width than the new space.
    """

    def __init__(
        self, store: Store, upgrade: Upgrade, encoder: Encoder, write_lock: FairLock
    ) -> None:
        require_width(upgrade, encoder)
        self.encoder = encoder
        self._store = store
        self._upgrade = upgrade
        self._write_lock = write_lock
        self._closing = threading.Event()
        self._encoding = Encoding(encoder, upgrade.target.dim, _NO_RETRY, self._closing.wait)
        self._background = Background("re-extraction")
        self._lock = threading.RLock()
        self._under_way: dict[Id, Future[None]] = {}
        self._failed: OrderedDict[Id, int] = OrderedDict()
        self._paused_until = 0.0

    def move(self, ids: Sequence[Id], seconds: float | None = None) -> None:
        """Embed items and move them to the new side; wait for it, or at most so long.

        The encoder's failures are logged, never raised: the items stay where they are.

        Args:
            ids: the most wanted first.

        Raises:
            SpaceMismatch, EncoderMisconfigured: the encoder is another model than the one that
                the gallery's new vectors are of.
        """
        if not ids:
            return
        require_model(self._store, self._upgrade, self.encoder)
        batch_items = _LARGE_BATCH_ITEMS if seconds is None else _BATCH_ITEMS
        wait(self._submit(ids, batch_items), seconds)

    def drain(self, timeout_seconds: float | None = None) -> bool:
        """Wait for all that was asked for so far; returns whether it is done."""
        return self._background.drain(timeout_seconds)

    def close(self) -> None:
        """Give up what waits. Nothing is written after it."""
        self._closing.set()
        self._background.close(_CLOSING_SECONDS)
        with self._write_lock:
            pass  # a write that has begun ends

    def _submit(self, ids: Sequence[Id], batch_items: int) -> set[Future[None]]:
        """What to wait for; an item that another search waits for already is not asked twice."""
        with self._lock:
            for batch in self._batches(ids, batch_items):
                future = self._background.submit(partial(self._move, batch))
                self._under_way.update(dict.fromkeys(batch, future))
                # Called at once, by this thread, if it is done already.
                future.add_done_callback(partial(self._forget, batch))
            return {self._under_way[id] for id in ids if id in self._under_way}

    def _batches(self, ids: Sequence[Id], batch_items: int) -> Iterator[Sequence[Id]]:
        fresh = [id for id in ids if id not in self._under_way]
        room = max(0, _MOST_WAITING - len(self._under_way))
        if len(fresh) > room:
            _log.warning(
                "re-extraction: %d items wait for the encoder; %d more keep their estimates",
                len(self._under_way),
                len(fresh) - room,
            )
        for start in range(0, min(room, len(fresh)), batch_items):
            yield fresh[start : min(start + batch_items, room)]

    def _forget(self, batch: Sequence[Id], _: Future[None]) -> None:
        with self._lock:
            for id in batch:
                self._under_way.pop(id, None)

    def _move(self, ids: Sequence[Id]) -> None:
        if self._closing.is_set() or time.monotonic() < self._paused_until:
            return
        try:
            self._encode_and_write(self._waiting(ids))
        except EncoderUnavailable as error:
            pause = max(_PAUSE_SECONDS, error.retry_after_seconds or 0.0)
            self._paused_until = time.monotonic() + pause
            _log.warning(
                "re-extraction: %d items keep their estimates, and the encoder is left alone for "
                "%.0f s: %s",
                len(ids),
                pause,
                error,
            )
        except Exception:
            # Searches go on without it, whatever it is; whoever mends it wants to see where.
            _log.warning("re-extraction: %d items keep their estimates", len(ids), exc_info=True)

    def _waiting(self, ids: Sequence[Id]) -> list[Item]:
        """The items that are still to be moved, as they are now."""
        space = self._upgrade.stored.name
        return [
            item
            for item in self._store.get(ids, vectors=[space])
            if item is not None
            and space not in item.vectors
            and self._failed.get(item.id) != item.version
        ]

    def _encode_and_write(self, items: Sequence[Item]) -> None:
        encoded = self._encoding.encode(items)
        self._remember_failures(items, encoded.failures)
        with self._write_lock:
            # A rollback or finish takes the same lock, and may have been decided meanwhile.
            if self._closing.is_set() or not self._is_serving():
                return
            outcomes = write_back(self._store, self._upgrade, items, encoded)
        lost = [id for id, outcome in outcomes.items() if outcome is not Outcome.APPLIED]
        if lost:
            _log.info("re-extraction: %d items were rewritten or deleted meanwhile", len(lost))

    def _is_serving(self) -> bool:
        state = read_state(self._store)
        if state is None or state.upgrade_id != self._upgrade.id:
            raise StoreError("another upgrade has been started on the gallery since")
        return state.phase is Phase.SERVING

    def _remember_failures(self, items: Sequence[Item], failures: dict[Id, str]) -> None:
        for item in items:
            if item.id in failures:
                self._failed[item.id] = item.version
                _log.warning(
                    "re-extraction: item %r keeps its estimate: %s", item.id, failures[item.id]
                )
        while len(self._failed) > _MOST_REMEMBERED:
            self._failed.popitem(last=False)
