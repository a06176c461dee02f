"""Where an upgrade stands, read from the store and the journal; no upgrade needs to be at hand."""

from __future__ import annotations

from crossfade.backfill.journal import Journal, QueueCounts
from crossfade.backfill.membership import is_at_work
from crossfade.backfill.status import JobStatus
from crossfade.gallery import GalleryState, Phase, State
from crossfade.gallery.coverage import share_moved
from crossfade.stores import Store
from crossfade.upgrade import milestones_after

__all__ = ["at_rest", "last_refit_seconds", "read_status", "refits_left", "standing"]


def standing(store: Store, gallery: GalleryState, journal: Journal) -> State:
    """The state that a user sees."""
    if gallery.phase is not Phase.SERVING:
        return gallery.phase.state
    job = journal.job()
    if job is None or job.upgrade_id != gallery.upgrade_id:
        return State.STARTED
    if job.state is State.RUNNING and not is_at_work(store, journal):
        return State.INTERRUPTED
    return job.state


def at_rest(store: Store, gallery: GalleryState, journal: Journal) -> State:
    """The state, for whoever has the job alone: what says that it runs has died."""
    state = standing(store, gallery, journal)
    return State.INTERRUPTED if state is State.RUNNING else state


def read_status(store: Store, gallery: GalleryState, journal: Journal) -> JobStatus:
    """One look at the job."""
    job = journal.job()
    if job is not None and job.upgrade_id == gallery.upgrade_id:
        counts, rate = journal.counts(), journal.rate()
    else:  # of an upgrade that was begun before this one
        counts, rate, job = QueueCounts(0, 0, 0, 0), None, None
    items, left = store.count(), store.count(lacks=gallery.stored.name)
    waiting = counts.pending + counts.leased
    coverage = share_moved(items, left)
    return JobStatus(
        state=standing(store, gallery, journal),
        coverage=coverage,
        items=items,
        done=counts.done,
        pending=waiting,
        parked=counts.parked,
        rate=rate,
        seconds_left=waiting / rate if rate else None,
        last_error=job.last_error if job else None,
        order=job.order if job else "",
        seed=job.seed if job else 0,
        workers=len(journal.workers()),
        generation=gallery.fitted.number if gallery.fitted else 0,
        refits=refits_left(gallery, coverage),
        refit_seconds=last_refit_seconds(gallery),
        queries=gallery.fitted.queries if gallery.fitted else 0,
    )


def last_refit_seconds(gallery: GalleryState) -> float | None:
    """How long the last refit took, all items mapped anew; None while they are."""
    fitted = gallery.fitted
    return gallery.refit_seconds or None if fitted is not None and fitted.rewritten else None


def refits_left(gallery: GalleryState, coverage: float) -> int:
    """How often the map may be fitted again still."""
    under_way = gallery.phase in (Phase.PREPARING, Phase.SERVING)
    return len(milestones_after(coverage)) if gallery.refits and under_way else 0
