"""What a gallery remembers of itself, kept with the store's pointer.

    (nothing) -> preparing -> serving -> finishing -> finished
                     |           |
                     +-----------+--> rolling-back -> rolled-back -> preparing ...

``preparing`` lasts only while items lack the vector that an upgrade on the items' side maps.
``finishing`` and ``rolling-back`` are decisions taken: whoever opens the gallery next carries
them out.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from enum import StrEnum

from crossfade.embeddings import Space
from crossfade.errors import GalleryStateError, SpaceMismatch, StoreError
from crossfade.stores import Store
from crossfade.upgrade import Upgrade

__all__ = ["GalleryState", "Phase", "begin", "change_phase", "read_state"]

_POINTER = "crossfade.gallery"
_FORMAT = 1


class Phase(StrEnum):
    """Where a gallery stands."""

    PREPARING = "preparing"
    """Old vectors are still to be mapped; only the old system answers."""
    SERVING = "serving"
    """Both sides answer; the backfill may run."""
    FINISHING = "finishing"
    """The old and mapped vectors are being dropped."""
    FINISHED = "finished"
    """Only the new side is left; there is no way back."""
    ROLLING_BACK = "rolling-back"
    """The new and mapped vectors are being dropped."""
    ROLLED_BACK = "rolled-back"
    """The old system, as it was; opening the gallery starts anew."""


@dataclass(frozen=True)
class GalleryState:
    """The upgrade a gallery goes through, and how far it is."""

    upgrade_id: str
    source: Space
    stored: Space
    mapped: Space | None
    phase: Phase

    @classmethod
    def of(cls, upgrade: Upgrade, phase: Phase) -> GalleryState:
        """The state of a gallery that goes through ``upgrade``."""
        return cls(upgrade.id, upgrade.source, upgrade.stored, upgrade.mapped, phase)

    def dump(self) -> str:
        """As text."""
        return json.dumps({"format": _FORMAT, **asdict(self)}, sort_keys=True)

    @classmethod
    def restore(cls, text: str) -> GalleryState:
        """From :meth:`dump`.

        Raises:
            StoreError: written by another release, or damaged.
        """
        try:
            fields = json.loads(text)
            if (form := fields.pop("format")) != _FORMAT:
                raise StoreError(
                    f"the gallery's state has format {form}, this release reads {_FORMAT}; "
                    "install the release that wrote it"
                )
            mapped = fields.pop("mapped")
            return cls(
                upgrade_id=fields["upgrade_id"],
                source=Space(**fields["source"]),
                stored=Space(**fields["stored"]),
                mapped=Space(**mapped) if mapped else None,
                phase=Phase(fields["phase"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError(f"the gallery's state can't be read: {error!r}") from error


def read_state(store: Store) -> GalleryState | None:
    """The state kept in a store, or None if no gallery was opened on it."""
    text = store.read_pointer(_POINTER)
    return None if text is None else GalleryState.restore(text)


def begin(store: Store, upgrade: Upgrade) -> GalleryState:
    """Take up the gallery's upgrade, or start it.

    Raises:
        SpaceMismatch: the collection holds vectors of other spaces.
        GalleryStateError: another upgrade of the same spaces is under way.
    """
    if upgrade.source.name in (upgrade.stored.name, upgrade.target.name):
        raise SpaceMismatch(
            f"the upgrade leads from {upgrade.source.name!r} to itself; give the two models "
            "different names when you fit it"
        )
    text = store.read_pointer(_POINTER)
    present = None if text is None else GalleryState.restore(text)
    wanted = GalleryState.of(upgrade, Phase.PREPARING)
    if present is not None and present.phase is not Phase.ROLLED_BACK:
        if replace(wanted, phase=present.phase) == present:
            return present
        if present.phase is not Phase.FINISHED or present.stored != upgrade.source:
            raise _another(present, upgrade)
    _refuse_other_spaces(store, upgrade)
    if not store.swap_pointer(_POINTER, text, wanted.dump()):
        raise GalleryStateError("the gallery was changed by somebody else; open it again")
    return wanted


def change_phase(store: Store, present: GalleryState, phase: Phase) -> GalleryState:
    """Go on to another phase, durably.

    Raises:
        GalleryStateError: somebody else has changed it.
    """
    following = replace(present, phase=phase)
    if not store.swap_pointer(_POINTER, present.dump(), following.dump()):
        raise GalleryStateError(
            f"the gallery is no longer {present.phase.value}; somebody else has changed it. "
            "Open it again"
        )
    return following


def _another(present: GalleryState, upgrade: Upgrade) -> Exception:
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
    spaces = store.spaces()
    if upgrade.source.name in spaces:
        upgrade.source.require(spaces[upgrade.source.name])
    elif store.count():
        raise SpaceMismatch(
            f"the collection holds vectors of {sorted(spaces)}, none of the upgrade's old space "
            f"{_name(upgrade.source)}"
        )


def _name(space: Space) -> str:
    return f"{space.name!r} ({space.dim}-d)"
