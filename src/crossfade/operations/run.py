"""`backfill` and `resume`: the job, run or gone on with."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from crossfade.backfill import Backfill, JobStatus, Throttle, stopping_on_signals
from crossfade.backfill.item_encoder import ItemEncoder, load_item_encoder
from crossfade.backfill.journal import open_journal
from crossfade.backfill.standing import standing
from crossfade.errors import EncoderMisconfigured, GalleryStateError
from crossfade.gallery import JobSettings
from crossfade.gallery.moves import check_move
from crossfade.operations.opening import open_upgraded

__all__ = ["Pace", "backfill"]


@dataclass(frozen=True)
class Pace:
    """How a run works.

    Attributes:
        max_items: stop after so many. batch_size: items given to the encoder at once.
        workers: threads that call the encoder side by side.
        throttle: how far it is held back.
        refit: fit the forward map again as items are moved, if the upgrade can.
        queries: a file or folder of queries that the service records, to learn from; None for
            what `start` was told.
    """

    max_items: int | None = None
    batch_size: int = 64
    workers: int = 1
    throttle: Throttle = field(default_factory=Throttle)
    refit: bool = True
    queries: Path | None = None


def backfill(
    uri: str,
    pace: Pace | None = None,
    *,
    move: str = "backfill",
    progress: Callable[[JobStatus], None] | None = None,
    encoder: str | None = None,
    source: str | None = None,
    upgrade: Path | None = None,
    actor: str | None = None,
) -> JobStatus:
    """Run the job or go on with it, until all is moved or it is told to stop.

    SIGTERM and SIGINT let it stop after its batch, if this is the main thread.

    Args:
        move: ``backfill``, or ``resume`` to refuse a job that was not begun.
        encoder, source, upgrade: in place of what `start` was told.

    Raises: as :meth:`Backfill.run`; and
        GalleryStateError: nothing was started, or what it needs to know is not known.
        EncoderMisconfigured: the encoder is another model than `start` was told.
    """
    pace = pace or Pace()
    with open_upgraded(uri, upgrade) as gallery:
        state = gallery.state
        check_move(move, standing(gallery.store, state, open_journal(gallery.store)), gallery.uri)
        settings = state.settings
        job = Backfill(
            gallery,
            _encoder(settings, encoder, source),
            order=settings.order if settings else None,
            seed=settings.seed if settings else None,
            batch_size=pace.batch_size,
            throttle=pace.throttle,
            refit=pace.refit,
            queries=_queries(pace, settings),
            actor=actor,
        )
        with _stoppable(job):
            return job.run(max_items=pace.max_items, progress=progress, workers=pace.workers)


def _queries(pace: Pace, settings: JobSettings | None) -> Path | None:
    if pace.queries is not None or settings is None or settings.queries is None:
        return pace.queries
    return Path(settings.queries) if pace.refit else None


def _encoder(settings: JobSettings | None, encoder: str | None, source: str | None) -> ItemEncoder:
    named = encoder or (settings.encoder if settings else None)
    if named is None:
        raise GalleryStateError(
            "the upgrade was started by a program, which did not say which encoder; "
            "say it: --encoder SPEC"
        )
    loaded = load_item_encoder(named, source or (settings.source if settings else None))
    if settings is not None and loaded.name != settings.model:
        raise EncoderMisconfigured(
            f"the upgrade was started with the model {settings.model}, this encoder is "
            f"{loaded.name}; two models must not mix. If they are one, give it that name, by "
            f"the option name={quote(settings.model, safe=':/@')}"
        )
    return loaded


@contextmanager
def _stoppable(job: Backfill) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with stopping_on_signals(job):
        yield
