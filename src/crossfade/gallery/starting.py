"""Starting an upgrade on a collection: what it is refused by, and the record that it begins with.

Starting is an act of its own, and one durable change: after it everybody writes by the new state.
An upgrade that is chained to the one under way begins in the middle of that.
"""

from __future__ import annotations

from dataclasses import replace

from crossfade.embeddings import Space
from crossfade.errors import GalleryStateError, SpaceMismatch
from crossfade.gallery.audit import Entry
from crossfade.gallery.moves import State, check_move, next_command
from crossfade.gallery.prepare import known_items
from crossfade.gallery.record import Record, append, read_record
from crossfade.gallery.state import GalleryState, JobSettings, Phase
from crossfade.stores import Store
from crossfade.upgrade import Upgrade

__all__ = ["another_upgrade", "begin", "check_start"]


def begin(
    store: Store,
    upgrade: Upgrade,
    *,
    settings: JobSettings | None = None,
    present: State | None = None,
    actor: str | None = None,
    uri: str = "URI",
) -> None:
    """Record that the gallery goes through an upgrade; ``settle`` does the rest.

    Raises:
        SpaceMismatch: the collection holds vectors of other spaces.
        GalleryStateError: an upgrade is under way.
    """
    record = read_record(store.read_pointer)
    _check_start(store, record, upgrade, present, uri)
    # Before the phase changes: from then on, writers elsewhere give these vectors.
    for space in (upgrade.source, upgrade.stored, upgrade.mapped):
        if space is not None:
            store.ensure_space(space)
    details = {
        "upgrade": upgrade.id,
        "old_model": upgrade.source.name,
        "new_model": upgrade.target.name,
    }
    if settings is not None:
        details |= {"encoder": settings.encoder, "order": settings.order}
    before = record.shown if record else State.NOT_STARTED
    move = "start" if upgrade.earlier is None else "supersede"
    entry = Entry(move, before, State.PREPARING, actor, details)
    state = GalleryState.of(upgrade, Phase.PREPARING, settings)
    state = replace(state, known=known_items(store, upgrade))
    if upgrade.earlier is not None and record is not None:
        state = replace(state, earlier=record.state)
    if append(store, record, state, entry) is None:
        raise GalleryStateError("the gallery was changed by somebody else; open it again")


def check_start(
    store: Store, upgrade: Upgrade, uri: str = "URI", *, present: State | None = None
) -> None:
    """Refuse to start an upgrade that can't be; changes nothing.

    Args:
        present: the state as the user sees it, where it is known.

    Raises:
        SpaceMismatch, GalleryStateError: as :func:`begin`.
    """
    _check_start(store, read_record(store.read_pointer), upgrade, present, uri)


def _check_start(
    store: Store, record: Record | None, upgrade: Upgrade, present: State | None, uri: str
) -> None:
    if upgrade.source.name in (upgrade.stored.name, upgrade.target.name):
        raise SpaceMismatch(
            f"the upgrade leads from {upgrade.source.name!r} to itself; give the two models "
            "different names when you fit it"
        )
    state = record.state if record else None
    if upgrade.earlier is not None:
        _check_chain(record, upgrade, present, uri)
    elif state is not None and state.phase is not Phase.ROLLED_BACK:
        follows = state.phase is Phase.FINISHED and state.stored == upgrade.source
        if not follows and not state.is_of(upgrade):
            raise another_upgrade(state, upgrade)
        check_move("start", present or (record.shown if record else state.phase.state), uri)
        if not follows:
            raise GalleryStateError(
                "the gallery is finished: it has gone through this very upgrade. Fit the next "
                "one, from its new model on"
            )
    _refuse_other_spaces(store, upgrade)


def _check_chain(record: Record | None, upgrade: Upgrade, present: State | None, uri: str) -> None:
    """Refuse to begin a chained upgrade but in the middle of the one it is chained to."""
    assert upgrade.earlier is not None
    first, state = upgrade.earlier.upgrade, record.state if record else None
    if record is not None and state is not None and state.is_of(upgrade):
        check_move("start", present or record.shown, uri)
    if record is None or state is None or not state.is_of(first):
        raise GalleryStateError(
            f"the upgrade is chained to {first.id[:12]}, which is not under way here; start that "
            "one, or fit one from what the gallery holds"
        )
    if state.phase is not Phase.SERVING:
        raise GalleryStateError(
            f"the gallery is {state.phase.value}; a chained upgrade begins once it serves. Next: "
            f"{next_command(state.phase.state, uri)}"
        )
    # Without the job at hand it can't be known whether it still runs: its writes do no harm.
    shown = State.INTERRUPTED if record.shown is State.RUNNING else record.shown
    if (seen := present or shown) is State.RUNNING:
        raise GalleryStateError(
            "the backfill of the upgrade under way is at work; pause it first: "
            f"crossfade pause {uri}"
        )
    check_move("supersede", seen, uri)


def another_upgrade(present: GalleryState, upgrade: Upgrade) -> Exception:
    if (present.source, present.stored) != (upgrade.source, upgrade.stored):
        return SpaceMismatch(
            f"the gallery goes from {_name(present.source)} to {_name(present.stored)}, the "
            f"upgrade from {_name(upgrade.source)} to {_name(upgrade.stored)}; open it with the "
            "upgrade it was started with, or finish or roll back that one first"
        )
    return GalleryStateError(
        f"the gallery goes through upgrade {present.upgrade_id[:12]} ({present.phase.value}), "
        f"not {upgrade.id[:12]}; open it with that one, or finish it or roll it back first"
    )


def _refuse_other_spaces(store: Store, upgrade: Upgrade) -> None:
    spaces, old = store.spaces(), upgrade.source
    if old.name in spaces and spaces[old.name] != old:
        raise SpaceMismatch(
            f"the collection's vectors of {old.name!r} have {spaces[old.name].dim} dimensions, the "
            f"upgrade was fitted on pairs whose old vectors have {old.dim}: of another model. Fit "
            "on pairs of the collection's"
        )
    if old.name not in spaces and store.count():
        alike = [name for name, space in sorted(spaces.items()) if space.dim == old.dim]
        hint = f"; if that is {alike[0]!r}, fit with its name: --old-name" if alike else ""
        raise SpaceMismatch(
            f"the collection holds vectors of {sorted(spaces)}, none of the upgrade's old space "
            f"{_name(old)}{hint}"
        )


def _name(space: Space) -> str:
    return f"{space.name!r} ({space.dim}-d)"
