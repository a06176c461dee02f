"""A chain of upgrades: the next one, begun while one is under way.

Items of three models are alive then. Each that is not yet backfilled is mapped straight from the
newest vector it holds, never by way of another map: one error instead of two, and one scale.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from crossfade.embeddings import FloatArray, unit_rows
from crossfade.errors import InvalidInput, SpaceMismatch
from crossfade.upgrade.transform import Transform

if TYPE_CHECKING:
    from crossfade.upgrade.upgrade import Upgrade

__all__ = ["Earlier", "chained"]


@dataclass(frozen=True, eq=False)
class Earlier:
    """What an upgrade v2 -> v3 knows of the one that was under way when it was begun.

    Attributes:
        upgrade: that one, v1 -> v2.
        direct: forward map v1 -> v3, for items that hold no v2 vector.
    """

    upgrade: Upgrade
    direct: Transform

    def map_items(self, old: Any) -> FloatArray:
        """Forward-mapped v1 embeddings ``(n, d_v3)``."""
        source = self.upgrade.source
        return self.direct(unit_rows(old, dim=source.dim, name=f"{source.name} embeddings"))

    def check(self, following: Upgrade) -> None:
        """Refuse an upgrade that this one can't be followed by.

        Raises:
            SpaceMismatch: it does not begin where this one ends.
            InvalidInput: its items would not be on one scale.
        """
        first = self.upgrade
        # Before what is said of spaces: no upgrade that begins in a head's space helps.
        if first.rho is not None or first.needs_old_query:
            raise InvalidInput(
                f"the upgrade under way, by {first.method!r}, "
                + (
                    "has a new-space head"
                    if first.rho is not None
                    else "takes two embeddings of each query"
                )
                + ": its system can't answer by the one embedding that a chain leaves it. Finish "
                "or roll back first"
            )
        if first.stored != following.source:
            raise SpaceMismatch(
                f"the upgrade under way ends in {first.stored.name!r} ({first.stored.dim}-d), the "
                f"next one begins in {following.source.name!r} ({following.source.dim}-d); fit it "
                "on pairs of that space, under that name"
            )
        if following.stored.name in (first.source.name, first.stored.name):
            raise SpaceMismatch(
                f"the next upgrade ends in {following.stored.name!r}, a space that the one under "
                "way has already; give the three models different names when you fit"
            )
        if first.earlier is not None:
            raise InvalidInput(
                "the upgrade under way was itself begun while another was; backfill or finish "
                "first: three models may be alive, not four"
            )
        if following.forward is None:
            raise InvalidInput(
                f"method {following.method!r} maps queries; a chain takes a forward map, which "
                "brings items of both older models into the new space (forward_mlp, forward_ridge)"
            )
        widths = (self.direct.dim_in, self.direct.dim_out)
        if widths != (first.source.dim, following.target.dim):
            raise InvalidInput(
                f"the direct map goes from {widths[0]} to {widths[1]} dimensions, wanted "
                f"{first.source.dim} to {following.target.dim}"
            )
        if not following.calibration.is_identity:
            raise InvalidInput(
                f"method {following.method!r} changes scores after the search; in a chain both "
                "maps must give scores of one scale (forward_mlp, forward_ridge)"
            )
        if following.two_encoder is not None or following.refit is not None:
            raise InvalidInput(
                "a chain has one encoder and one fit of its maps; make it by chained(...)"
            )


def chained(under_way: Upgrade, following: Upgrade, direct: Upgrade) -> Upgrade:
    """The upgrade to start on a gallery that is in the middle of another one.

    Args:
        under_way: v1 -> v2, the upgrade that the gallery goes through.
        following: v2 -> v3, with a forward map. direct: v1 -> v3, likewise.

    Returns:
        An upgrade v2 -> v3 that maps items without a v2 vector straight from v1. It answers with
        one encoder, and its maps are neither fitted again nor offset: that is left for after it.

    Raises:
        SpaceMismatch: the three don't fit together. InvalidInput: the maps can't be used so.
    """
    if direct.source != under_way.source:
        raise SpaceMismatch(
            f"the direct upgrade begins in {direct.source.name!r} ({direct.source.dim}-d), the one "
            f"under way in {under_way.source.name!r} ({under_way.source.dim}-d)"
        )
    if direct.forward is None or not direct.calibration.is_identity:
        raise InvalidInput(
            f"the direct upgrade's method {direct.method!r} gives no plain forward map; fit it "
            "with forward_mlp or forward_ridge"
        )
    if direct.stored != following.stored:
        raise SpaceMismatch(
            f"the direct upgrade ends in {direct.stored.name!r}, the next one in "
            f"{following.stored.name!r}; both must end in the space that is backfilled"
        )
    kept = replace(following, two_encoder=None, refit=None, uncertainty=None, offset=None)
    return replace(kept, earlier=Earlier(under_way, direct.forward))
