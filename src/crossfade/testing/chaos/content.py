"""What an item holds: all of it follows from the number of its revision."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossfade.embeddings import FloatArray, normalise
from crossfade.testing.upgrades import make_upgrade
from crossfade.upgrade import Side

__all__ = ["ABSENT", "UPGRADE", "Content", "new_of", "old_of"]

UPGRADE = make_upgrade(Side.ITEMS)
"""On the items' side, so that a life has a phase of preparing, and three vectors an item."""


@dataclass(frozen=True)
class Content:
    """What was written for an id.

    Attributes:
        revision: unlike that of any other write of the life; 0 if the item is not there.
        old, new: whether its old and its new vector were given.
    """

    revision: int
    old: bool
    new: bool

    @property
    def is_live(self) -> bool:
        """Whether there is an item."""
        return self.revision > 0


ABSENT = Content(0, False, False)


def old_of(revision: int) -> FloatArray:
    """The old model's embedding of a revision, ``(d_old,)``."""
    return _embedding(revision, 0, UPGRADE.source.dim)


def new_of(revision: int) -> FloatArray:
    """The new model's embedding of a revision, ``(d_new,)``."""
    return _embedding(revision, 1, UPGRADE.target.dim)


def _embedding(revision: int, model: int, dim: int) -> FloatArray:
    rng = np.random.default_rng([revision, model])
    row: FloatArray = normalise(rng.normal(size=(1, dim)).astype(np.float32))[0]
    return row
