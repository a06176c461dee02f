"""The dry run of `start`: what would be created, how long it would take, what it would cost.

Times are measured: a sample of the gallery's own items is really encoded, and thrown away.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from crossfade.backfill import Encoder
from crossfade.backfill.recorded import RecordedQueries
from crossfade.errors import EncoderError, InvalidInput
from crossfade.gallery.encoding import Encoding, Retry
from crossfade.gallery.moves import State, check_move
from crossfade.gallery.starting import check_start
from crossfade.operations.opening import open_collection
from crossfade.operations.request import StartRequest, load_encoder_of
from crossfade.orders import open_order
from crossfade.stores import Item, Store
from crossfade.upgrade import MILESTONES, Upgrade

__all__ = ["Sample", "StartPlan", "plan_start"]

_SCANNED = 1024
_SAMPLED = 64
_BATCH = 16
_MOST_SECONDS = 10.0
_RETRY = Retry(attempts=2, first_seconds=0.2)


@dataclass(frozen=True)
class Sample:
    """What was measured.

    Attributes:
        items: how many were encoded, out of the first ``scanned`` of the gallery.
        failed: how many the encoder failed on, and reason: why it failed on the first.
        items_per_second: without the first batch, in which models warm up, if there were more.
        map_items_per_second: of mapping old vectors; None if the upgrade maps none.
    """

    scanned: int
    items: int
    failed: int
    reason: str | None
    items_per_second: float
    map_items_per_second: float | None


@dataclass(frozen=True)
class StartPlan:
    """What a start would do.

    Attributes:
        creates: in words. items: to be encoded.
        encode_seconds, map_seconds: at the sample's rates, by one worker.
        new_bytes: of new and mapped vectors, on top of what is there; the store's own index
            of them is not counted. freed_bytes: of the vectors that ``finish`` drops.
        price: of encoding, or None if no price was given.
        ends_at: when the backfill would be over if it began now, local time, ISO 8601; refits come
            on top.
        refits_at: coverages at which the map may be fitted again, and mapped vectors be written
            anew; how long that takes can't be measured before there are items to fit on.
        queries: what the gallery is to learn from on its way.
    """

    uri: str
    state: State
    upgrade: str
    method: str
    old_model: str
    new_model: str
    encoder: str
    source: str | None
    order: str
    seed: int
    creates: list[str]
    items: int
    sample: Sample
    encode_seconds: float
    map_seconds: float
    new_bytes: int
    freed_bytes: int
    price: float | None
    ends_at: str
    refits_at: tuple[float, ...] = ()
    queries: str | None = None


def plan_start(request: StartRequest, price_per_1000: float | None = None) -> StartPlan:
    """Look at everything that `start` would do, and do nothing.

    Raises:
        InvalidInput: there is no such collection, it is empty, or a setting can't be used.
        SpaceMismatch, GalleryStateError: the upgrade can't be started on it.
        EncoderError: the encoder fails on the whole sample.
    """
    if price_per_1000 is not None and not 0 <= price_per_1000 < float("inf"):
        raise InvalidInput(f"the price is {price_per_1000}, wanted a number of at least 0")
    upgrade = Upgrade.load(request.upgrade)
    encoder = load_encoder_of(request, upgrade)
    RecordedQueries(request.queries, upgrade)  # refuses what the backfill could not use
    with open_collection(request.uri) as collection:
        check_start(collection.store, upgrade, collection.uri, present=collection.state)
        if upgrade.earlier is None:
            check_move("start", collection.state, collection.uri)
        open_order(request.order, upgrade, request.seed)
        items = collection.store.count()
        if not items:
            raise InvalidInput(f"{collection.uri} holds no items; there is nothing to upgrade")
        sample = _measure(collection.store, upgrade, encoder)
        folder = collection.store.folder
        state = collection.state
        shown = collection.uri
    encode_seconds = items / sample.items_per_second
    map_seconds = items / sample.map_items_per_second if sample.map_items_per_second else 0.0
    mapped = upgrade.mapped.dim if upgrade.mapped else 0
    ends = datetime.now().astimezone() + timedelta(seconds=encode_seconds + map_seconds)
    return StartPlan(
        uri=shown,
        state=state,
        upgrade=upgrade.id,
        method=upgrade.method,
        old_model=upgrade.source.name,
        new_model=encoder.name,
        encoder=request.encoder,
        source=request.source,
        order=request.order,
        seed=request.seed,
        creates=_creates(upgrade, items, "in the store" if folder is None else str(folder)),
        items=items,
        sample=sample,
        encode_seconds=encode_seconds,
        map_seconds=map_seconds,
        new_bytes=4 * items * (upgrade.stored.dim + mapped),
        freed_bytes=4 * items * (_old_width(upgrade) + mapped),
        price=None if price_per_1000 is None else items / 1000 * price_per_1000,
        ends_at=ends.isoformat(timespec="seconds"),
        refits_at=() if upgrade.refit is None else MILESTONES,
        queries=None if request.queries is None else str(request.queries),
    )


def _old_width(upgrade: Upgrade) -> int:
    """Numbers an item that finish drops, the mapped ones left out; of a chain, at most."""
    if upgrade.earlier is None:
        return upgrade.source.dim
    first = upgrade.earlier.upgrade
    return upgrade.source.dim + first.source.dim + (first.mapped.dim if first.mapped else 0)


def _creates(upgrade: Upgrade, items: int, place: str) -> list[str]:
    created = [
        f"space {upgrade.stored.name!r} ({upgrade.stored.dim}-d): "
        f"{items} new vectors, one by one as they are encoded"
    ]
    if upgrade.mapped is not None:
        created.append(
            f"space {upgrade.mapped.name!r} ({upgrade.mapped.dim}-d): "
            f"{items} mapped old vectors, before the first item is encoded"
        )
    return [*created, f"the job's journal, {place}", "two lines of the audit log"]


def _measure(store: Store, upgrade: Upgrade, encoder: Encoder) -> Sample:
    names = [upgrade.source.name]
    if upgrade.earlier is not None:
        names.append(upgrade.earlier.upgrade.source.name)
    scanned = store.scan(n=_SCANNED, vectors=names)
    chosen = scanned[:: max(1, len(scanned) // _SAMPLED)][:_SAMPLED]
    encoding = Encoding(encoder, upgrade.target.dim, _RETRY, _wait)
    timed: list[tuple[int, float]] = []
    failures: list[str] = []
    began = time.perf_counter()
    for start in range(0, len(chosen), _BATCH):
        batch = chosen[start : start + _BATCH]
        started = time.perf_counter()
        failures += encoding.encode(batch).failures.values()
        timed.append((len(batch), time.perf_counter() - started))
        if time.perf_counter() - began > _MOST_SECONDS:
            break
    encoded = sum(items for items, _ in timed)
    if len(failures) == encoded:
        raise EncoderError(
            f"the encoder failed on all of {encoded} sampled items: {failures[0]}. "
            "Nothing was started; mend the encoder or the item source"
        )
    return Sample(
        scanned=len(scanned),
        items=encoded,
        failed=len(failures),
        reason=failures[0] if failures else None,
        items_per_second=_rate(timed[1:] or timed),
        map_items_per_second=_map_rate(upgrade, scanned),
    )


def _map_rate(upgrade: Upgrade, items: Sequence[Item]) -> float | None:
    name = upgrade.source.name
    old = [item.vectors[name] for item in items if name in item.vectors]
    older = [row for item in items if name not in item.vectors for row in item.vectors.values()]
    if upgrade.mapped is None or not old + older:
        return None
    started = time.perf_counter()
    if old:
        upgrade.map_items(np.stack(old))
    if older and upgrade.earlier is not None:
        upgrade.earlier.map_items(np.stack(older))
    return _rate([(len(old + older), time.perf_counter() - started)])


def _rate(timed: Sequence[tuple[int, float]]) -> float:
    seconds = max(sum(seconds for _, seconds in timed), 1e-9)
    return sum(items for items, _ in timed) / seconds


def _wait(seconds: float) -> bool:
    time.sleep(seconds)
    return False
