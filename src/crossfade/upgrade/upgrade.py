"""An upgrade: everything that fitting hands on to serving."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.embeddings import FloatArray, Space, unit_rows
from crossfade.errors import InvalidInput
from crossfade.upgrade.calibration import Calibration
from crossfade.upgrade.chain import Earlier
from crossfade.upgrade.interpolation import Interpolation
from crossfade.upgrade.item_offset import ItemOffset
from crossfade.upgrade.modes import Mode, Side
from crossfade.upgrade.old_side import OldSide
from crossfade.upgrade.ordering import Ordering
from crossfade.upgrade.refit import Fresh, Refit
from crossfade.upgrade.shares import new_side_share, old_share, share_to_make_up
from crossfade.upgrade.transform import Transform
from crossfade.upgrade.two_encoder import TwoEncoder

__all__ = ["Upgrade"]

_LEAST_KNOWN = 0.02
"""A share of the gallery below which it makes no difference."""


@dataclass(frozen=True, eq=False)
class Upgrade:
    """A fitted upgrade from one embedding space to another.

    Attributes:
        method: the fitting method's name.
        source: the old space. target: the new model's space.
        side: on which side the map works.
        psi: reverse query transform, new -> old (side ``query``).
        forward: forward map, old -> new (side ``items``); onto rho's space if there is a rho.
        rho: new-space head, new -> new'; applied to what is backfilled and to queries.
        calibration: old-side scores onto the new side's scale.
        two_encoder: how to use the old query too, or None if the method can't.
        interpolation: the old query and psi(new) as one query (side ``query``), or None;
            such an upgrade always needs the old model's embedding of the query.
        uncertainty: old -> one number, how unsure ``forward`` is of an item, or None; read it
            with :meth:`Transform.raw`.
        ordering: what orders of backfilling go by, or None.
        refit: what it takes to fit ``forward`` again on backfilled items, or None.
        offset: what mapped scores are raised or lowered by, item by item, or None.
        earlier: the upgrade that was under way when this one was begun, or None; see
            :func:`crossfade.upgrade.chained`.
        report: what fitting measured: data hash, settings, held-out curve, seconds.
        known: share of the gallery's items that the map repeats; of a gallery, not of the
            artifact, see :meth:`with_known`.
    """

    method: str
    source: Space
    target: Space
    side: Side
    psi: Transform | None = None
    forward: Transform | None = None
    rho: Transform | None = None
    calibration: Calibration = field(default_factory=Calibration)
    two_encoder: TwoEncoder | None = None
    interpolation: Interpolation | None = None
    uncertainty: Transform | None = None
    ordering: Ordering | None = None
    refit: Refit | None = None
    offset: ItemOffset | None = None
    earlier: Earlier | None = None
    report: Mapping[str, Any] = field(default_factory=dict)
    known: float = 0.0

    def __post_init__(self) -> None:
        given = {
            "psi": self.psi,
            "forward": self.forward,
            "rho": self.rho,
            "uncertainty": self.uncertainty,
        }
        wanted = {Side.QUERY: "psi", Side.ITEMS: "forward", Side.NONE: None}[self.side]
        for name in ("psi", "forward"):
            if (given[name] is not None) != (name == wanted):
                raise InvalidInput(
                    f"an upgrade of side {self.side.value!r} takes {wanted or 'no map'}, "
                    f"{name} is {'given' if given[name] else 'missing'}"
                )
        widths = {
            "psi": (self.target.dim, self.source.dim),
            "forward": (self.source.dim, self.target.dim),
            "rho": (self.target.dim, self.target.dim),
            "uncertainty": (self.source.dim, 1),
        }
        for name, transform in given.items():
            if transform and (transform.dim_in, transform.dim_out) != widths[name]:
                raise InvalidInput(
                    f"{name} maps {transform.dim_in} to {transform.dim_out} dimensions, "
                    f"wanted {widths[name][0]} to {widths[name][1]}"
                )
        if self.interpolation and self.psi is None:
            raise InvalidInput("an interpolated query needs psi: it lies between old and psi(new)")
        if self.ordering is not None:
            self.ordering.check(
                self.source.dim, self.target.dim, has_forward=self.forward is not None
            )
        self._check_sample()
        if self.refit is not None:
            self.refit.check(self.forward, self.source.dim, self.target.dim, rho=bool(self.rho))
        self._check_offset()
        if self.earlier is not None:
            self.earlier.check(self)

    def _check_sample(self) -> None:
        two = self.two_encoder
        if two is None:
            return
        for rows, space in ((two.reference_old, self.source), (two.reference_new, self.target)):
            if rows.shape[1:] != (space.dim,):
                raise InvalidInput(
                    f"two-encoder sample has shape {rows.shape}, wanted (m, {space.dim})"
                )

    def _check_offset(self) -> None:
        if self.offset is None:
            return
        if self.forward is None or self.rho is not None or self.earlier is not None:
            raise InvalidInput("offsets of items are for a forward map alone, without rho or chain")
        if self.offset.mean.shape != (self.target.dim,):
            raise InvalidInput(
                f"an item offset's mean has shape {self.offset.mean.shape}, "
                f"wanted ({self.target.dim},)"
            )
        if self.offset.old_bank.shape[1] != self.source.dim:
            raise InvalidInput(
                f"an item offset's old bank has shape {self.offset.old_bank.shape}, "
                f"wanted (m, {self.source.dim})"
            )

    @cached_property
    def id(self) -> str:
        """Hash of everything that decides answers; two upgrades with one id are the same."""
        from crossfade.upgrade.artifact import upgrade_id

        return upgrade_id(self)

    @property
    def can_use_two_encoders(self) -> bool:
        """Whether two-encoder mode is more than an error."""
        return self.two_encoder is not None or self.needs_old_query

    @property
    def needs_old_query(self) -> bool:
        """Whether every search takes the old model's embedding of the query, in any mode."""
        return self.side is Side.NONE or self.interpolation is not None

    @property
    def has_kernel(self) -> bool:
        """Whether its map is a kernel map, or becomes one when it is fitted again.

        How long its images are then says how sure it is of them. A network that is corrected by a
        kernel map is none.
        """
        if self.forward is None or self.forward.layers:
            return False
        return self.forward.kernel is not None or (
            self.refit is not None and self.refit.sample is not None
        )

    @property
    def stored(self) -> Space:
        """The space of backfilled vectors: the target's, or rho's image of it."""
        if self.rho is None:
            return self.target
        return Space(f"{self.target.name}+rho:{self.rho.fingerprint}", self.target.dim)

    @property
    def mapped(self) -> Space | None:
        """The space of forward-mapped old vectors, or None where the map works on queries."""
        if self.forward is None:
            return None
        name = f"{self.stored.name}~{self.source.name}:{self.forward.fingerprint}"
        if self.earlier is not None:
            name += f"~{self.earlier.upgrade.source.name}:{self.earlier.direct.fingerprint}"
        if self.offset is None:
            return Space(name, self.target.dim)
        name += f"+{self.offset.fingerprint}"
        return Space(name, self.target.dim + self.offset.extra_dimensions)

    def store_new(self, new: Any) -> FloatArray:
        """What is stored for new embeddings, and what a query is on the new side: rho(new).

        Args:
            new: ``(n, d_new)`` embeddings of the target space.
        """
        rows = unit_rows(new, dim=self.target.dim, name=f"{self.target.name} embeddings")
        return rows if self.rho is None else self.rho(rows)

    def map_items(self, old: Any) -> FloatArray | None:
        """Forward-mapped old embeddings; None where the map works on queries.

        They are of the width of :attr:`mapped`: ``(n, d_new)``, and wider with offsets of items.
        """
        if self.forward is None:
            return None
        rows = unit_rows(old, dim=self.source.dim, name="old embeddings")
        raw = self.forward.raw(rows)
        mapped = self.forward.scaled(raw)
        if self.offset is None:
            return mapped
        vectors = self.offset.vectors(rows, mapped, self._telling_lengths(rows, raw))
        if self.refit is not None and self.has_kernel:
            # Of what it was fitted on, a kernel map is surer than all that can say, and what its
            # images of those look like says nothing of others.
            seen = ~self.refit.fresh(rows)
            vectors[seen] = self.offset.repeated_vectors(mapped[seen])
        return vectors

    def _telling_lengths(self, rows: FloatArray, raw: FloatArray) -> FloatArray:
        """Images whose lengths say how sure a kernel map is; of a corrected one those do not."""
        if self.refit is None or not self.refit.landmarks:
            return raw
        assert self.forward is not None
        own = self.refit.uncorrected(self.forward)
        return raw if own is self.forward else own.raw(rows)

    @cached_property
    def sample_images(self) -> tuple[FloatArray, FloatArray]:
        """The two-encoder sample as the two sides' indexes would hold it, ``(m, d)`` each."""
        assert self.two_encoder is not None
        searched = self.two_encoder.reference_old
        if self.forward is not None:
            # The map was fitted on these items. It must not repeat them more than the gallery's,
            # or their scores reach far above those; nor be any surer of them.
            as_gallery = self.forward.with_nugget_share(self.known)
            searched = as_gallery(unit_rows(searched, dim=self.source.dim, name="sample"))
        if self.offset is not None:
            searched = self.offset.typical_vectors(searched, self.known)
        return searched, self.store_new(self.two_encoder.reference_new)

    def refitted(self, extra: Fresh) -> Upgrade | None:
        """This upgrade with its forward map fitted on its pairs and on backfilled items.

        It maps items and reads scores; what it is, its spaces and its id, stays with the
        original. None if the items show nothing that the map lacks.

        Args:
            extra: what :meth:`Refit.gather` has made of the items.

        Raises:
            InvalidInput: it carries nothing to fit again.
        """
        if self.refit is None or self.forward is None:
            raise InvalidInput(f"method {self.method!r} carries nothing to fit its map again")
        forward = self.refit.forward(extra, self.forward)
        return None if forward is None else self.with_map(forward, self.refit.moments.n + extra.n)

    def without_refits(self) -> Upgrade:
        """This upgrade where its map is never fitted again; what it maps and scores is the same."""
        return replace(self, refit=None)

    def with_map(self, forward: Transform, pairs: int) -> Upgrade:
        """This upgrade with another forward map, fitted on so many pairs."""
        rule, refit = self.two_encoder, self.refit
        if rule is not None and refit is not None and refit.shares_follow:
            per_dimension = pairs / max(self.source.dim, self.target.dim)
            offsets = self.offset is not None and not self.offset.is_blank
            weight = old_share(per_dimension, offsets=offsets)
            rule = replace(rule, weight=weight, new_weight=new_side_share(weight))
        fitted = replace(self, forward=forward, two_encoder=rule)
        # A map of more pairs than it keeps gives none of them back.
        repeats = forward.kernel is not None and forward.kernel.nugget > 0
        return fitted if repeats or not self.known else fitted.with_known(0.0)

    def with_offset(self, offset: ItemOffset) -> Upgrade:
        """This upgrade with offsets of items, and the old model's share as it is beside them."""
        assert self.forward is not None
        beside = replace(self, offset=offset)
        if self.refit is None:
            return beside
        return beside.with_map(self.forward, self.refit.moments.n)

    def repeats(self, old: FloatArray) -> NDArray[np.bool_]:
        """Of which items ``(n, d_old)`` the map gives back the very vectors it was fitted on."""
        if not self.repeats_pairs:
            return np.zeros(len(old), dtype=np.bool_)
        assert self.refit is not None
        return ~self.refit.fresh(old)

    def may_know(self, items: int) -> bool:
        """Whether it may repeat so many of a gallery's items that it is worth counting them."""
        if not items or not self.repeats_pairs:
            return False
        assert self.refit is not None
        return self.refit.moments.n >= _LEAST_KNOWN * items

    @property
    def repeats_pairs(self) -> bool:
        """Whether the map gives back the vectors of all pairs that it was fitted on."""
        kernel = None if self.forward is None else self.forward.kernel
        if kernel is None or self.refit is None:
            return False
        return kernel.nugget > 0 and len(kernel.landmarks) == self.refit.moments.n

    def with_known(self, share: float) -> Upgrade:
        """This upgrade for a gallery of which the map repeats a share (:meth:`repeats`).

        For those items there is nothing to make up for; see :func:`.shares.share_to_make_up`.

        Raises:
            InvalidInput: it is not from 0 to 1.
        """
        if not 0.0 <= share <= 1.0:
            raise InvalidInput(f"the share of known items is {share}, wanted 0 to 1")
        return replace(self, known=share)

    def old_side(
        self, query_new: Any, query_old: Any | None = None, mode: Mode | str = Mode.ONE_ENCODER
    ) -> OldSide:
        """Prepare queries for the items that are not yet backfilled.

        Args:
            query_new: ``(q, d_new)``; query_old: ``(q, d_old)``, needed in two-encoder mode
                and by upgrades without a map or with an interpolated query; checked if given.

        Raises:
            InvalidInput: the mode needs ``query_old`` and there is none, the upgrade has no
                rule for two encoders, or the mode is ``old``, which has no sides.
        """
        mode = Mode(mode)
        self._require_old_side(mode)
        needs_old = mode is Mode.TWO_ENCODER or self.needs_old_query
        if needs_old and query_old is None:
            raise InvalidInput(
                f"method {self.method!r} in {mode.value} mode needs the old model's embedding of "
                "the query as well: give query_old"
            )
        old = None
        if query_old is not None:
            old = unit_rows(query_old, dim=self.source.dim, name="query_old")
        new = unit_rows(query_new, dim=self.target.dim, name="query_new")
        if old is not None and len(old) != len(new):
            raise InvalidInput(f"query_old has {len(old)} rows, query_new {len(new)}")
        stored_query = self.store_new(new)
        mapped_query = self.psi(new) if self.psi else stored_query if self.forward else old
        assert mapped_query is not None
        if self.interpolation is not None:
            assert old is not None
            mapped_query = self.interpolation(old, mapped_query)
        two = self.two_encoder if mode is Mode.TWO_ENCODER else None
        weights = None
        if self.offset is not None:
            of_mode = self.offset.weights(two_encoders=two is not None)
            weights = of_mode.times(share_to_make_up(self.known))
            mapped_query = self.offset.queries(mapped_query, weights)
        return OldSide(self, mapped_query, stored_query, old if two else None, two, weights)

    def _require_old_side(self, mode: Mode) -> None:
        if mode is Mode.OLD:
            raise InvalidInput("mode 'old' knows no sides: search old vectors with query_old")
        if mode is Mode.TWO_ENCODER and not self.can_use_two_encoders:
            raise InvalidInput(
                f"method {self.method!r} has no rule for two encoders; use mode='one-encoder'"
            )

    def save(self, path: str | Path) -> None:
        """Write the artifact folder ``upgrade.json`` + ``weights.safetensors`` atomically.

        Raises:
            OutputError: the folder is somebody else's or can't be written.
        """
        from crossfade.upgrade.artifact import save

        save(self, Path(path))

    @classmethod
    def load(cls, path: str | Path) -> Upgrade:
        """Read an artifact folder.

        Raises:
            ArtifactError: missing, truncated, edited, or of a newer version.
        """
        from crossfade.upgrade.artifact import load

        return load(Path(path))
