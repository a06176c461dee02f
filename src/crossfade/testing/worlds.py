"""Generated items seen through two embedding models, with known answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossfade.embeddings import FloatArray, Ids, Pairs, normalise

__all__ = ["World", "make_world"]


@dataclass(frozen=True, eq=False)
class World:
    """Items of known classes, embedded by an old and a new model.

    Attributes:
        gallery, queries: items with ``ids``, ``old``, ``new`` and ``labels``.
    """

    gallery: Pairs
    queries: Pairs

    def new_of(self, ids: Ids) -> FloatArray:
        """The new model's embeddings of gallery items, ``(n, d_new)``; ids are 0 to n - 1."""
        return self.gallery.new_rows(np.asarray(ids))


def make_world(
    *,
    items: int = 300,
    queries: int = 40,
    classes: int = 10,
    dim_old: int = 12,
    dim_new: int = 20,
    dim_latent: int = 8,
    spread: float = 0.3,
    noise_old: float = 0.3,
    noise_new: float = 0.05,
    seed: int = 0,
) -> World:
    """Clusters in a latent space, seen through two random linear maps and noise.

    Two items are relevant to each other if they are of one class. The old model is the one
    with more noise.

    Args:
        spread: deviation of items around their class's centre, in units of the centres' own.
        noise_old, noise_new: deviation of what each model adds to its view, in units of the
            view's own.
    """
    rng = np.random.default_rng(seed)
    n = items + queries
    centres = rng.normal(size=(classes, dim_latent))
    labels = rng.permutation(np.arange(n) % classes)
    latent = centres[labels] + spread * rng.normal(size=(n, dim_latent))
    old = _view(latent, dim_old, noise_old, rng)
    new = _view(latent, dim_new, noise_new, rng)
    everything = Pairs.of(np.arange(n), old, new, labels)
    return World(everything.subset(range(items)), everything.subset(range(items, n)))


def _view(latent: FloatArray, dim: int, noise: float, rng: np.random.Generator) -> FloatArray:
    seen = latent @ rng.normal(size=(latent.shape[1], dim)) / np.sqrt(latent.shape[1])
    return normalise(seen + noise * rng.normal(size=seen.shape))
