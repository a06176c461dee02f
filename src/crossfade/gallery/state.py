"""What a gallery remembers of itself: which upgrade it goes through, and how far.

    (nothing) -> preparing -> serving -> finishing -> finished
                     |           |
                     +-----------+--> rolling-back -> rolled-back -> preparing ...

``preparing`` lasts only while items lack the vector that an upgrade on the items' side maps.
``finishing`` and ``rolling-back`` are decisions taken: whoever opens the gallery next carries
them out. What a user sees is finer, see :class:`crossfade.gallery.moves.State`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from crossfade.embeddings import Space
from crossfade.gallery.moves import State
from crossfade.upgrade import Upgrade

__all__ = ["GalleryState", "JobSettings", "MapGeneration", "Phase"]


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
    """The old system, as it was; an upgrade begins anew only when it is started."""

    @property
    def state(self) -> State:
        """What a user sees of a gallery in this phase whose backfill has not begun."""
        return State.STARTED if self is Phase.SERVING else State(self.value)


@dataclass(frozen=True)
class JobSettings:
    """What later commands need to know of a start. Never holds credentials.

    Attributes:
        upgrade_folder: where the upgrade is kept.
        encoder: the new model, as ``start`` was told. source: where items' contents are.
        model: the new model's name.
        order, seed: in which order items are moved.
        queries: where the service records what it is asked, if the gallery is to learn from it.
    """

    upgrade_folder: str
    encoder: str
    source: str | None
    model: str
    order: str
    seed: int
    queries: str | None = None


@dataclass(frozen=True)
class MapGeneration:
    """The forward map in use, once it was fitted again; see :mod:`.generations`.

    Attributes:
        number: from 1.
        pairs: how many it was fitted on, backfilled items among them.
        sha256, parts: of its content, and in how many pointers that is kept.
        rewritten: whether every item not yet backfilled has its mapped vector by it; until
            then some have theirs by an earlier one.
        queries: how many of the service's own queries its offsets of items are told by; 0 where
            they are the upgrade's own.
    """

    number: int
    pairs: int
    sha256: str
    parts: int
    rewritten: bool = False
    queries: int = 0


@dataclass(frozen=True)
class GalleryState:
    """The upgrade a gallery goes through, and how far it is.

    ``fitted`` is None while the forward map is the upgrade's own. ``earlier`` is the state that
    another upgrade was in when this one was begun in its middle, or None. ``known`` is how many of
    the items the map repeats, counted when the upgrade was begun. ``refits`` is whether the upgrade
    has what it takes to fit its map again on the way, and ``refit_seconds`` how long that took the
    last time, mapping all items that wait included.
    """

    upgrade_id: str
    source: Space
    stored: Space
    mapped: Space | None
    phase: Phase
    settings: JobSettings | None = None
    fitted: MapGeneration | None = None
    earlier: GalleryState | None = None
    known: int = 0
    refits: bool = False
    refit_seconds: float = 0.0

    @classmethod
    def of(
        cls, upgrade: Upgrade, phase: Phase, settings: JobSettings | None = None
    ) -> GalleryState:
        """The state of a gallery that goes through ``upgrade``."""
        return cls(
            upgrade_id=upgrade.id,
            source=upgrade.source,
            stored=upgrade.stored,
            mapped=upgrade.mapped,
            phase=phase,
            settings=settings,
            refits=upgrade.refit is not None,
        )

    def is_of(self, upgrade: Upgrade) -> bool:
        """Whether ``upgrade`` is the one that the gallery goes through."""
        of_it = GalleryState.of(upgrade, self.phase, self.settings)
        # What earlier releases did not write says nothing of the upgrade.
        return self == replace(
            of_it,
            fitted=self.fitted,
            earlier=self.earlier,
            known=self.known,
            refits=self.refits,
            refit_seconds=self.refit_seconds,
        )

    def to_fields(self) -> dict[str, Any]:
        """As JSON values."""
        fields = asdict(self)
        # As releases wrote it that knew nothing of them.
        if self.fitted is None:
            del fields["fitted"]
        elif not self.fitted.queries:
            del fields["fitted"]["queries"]
        if self.settings is not None and self.settings.queries is None:
            del fields["settings"]["queries"]
        for name in ("known", "refits", "refit_seconds"):
            if not fields[name]:
                del fields[name]
        if self.earlier is None:
            del fields["earlier"]
        else:
            fields["earlier"] = self.earlier.to_fields()
        return fields

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> GalleryState:
        """From :meth:`to_fields`; KeyError, TypeError or ValueError if they are no state."""
        mapped, settings, fitted = fields["mapped"], fields["settings"], fields.get("fitted")
        earlier = fields.get("earlier")
        return cls(
            upgrade_id=fields["upgrade_id"],
            source=Space(**fields["source"]),
            stored=Space(**fields["stored"]),
            mapped=Space(**mapped) if mapped else None,
            phase=Phase(fields["phase"]),
            settings=JobSettings(**settings) if settings else None,
            fitted=MapGeneration(**fitted) if fitted else None,
            earlier=cls.from_fields(earlier) if earlier else None,
            known=int(fields.get("known", 0)),
            refits=bool(fields.get("refits", False)),
            refit_seconds=float(fields.get("refit_seconds", 0.0)),
        )
