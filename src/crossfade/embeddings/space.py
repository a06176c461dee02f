"""The name of an embedding space: one version of one model."""

from __future__ import annotations

from dataclasses import dataclass

from crossfade.errors import InvalidInput, SpaceMismatch

__all__ = ["Space"]


@dataclass(frozen=True, slots=True)
class Space:
    """An embedding model's version. Vectors of two spaces never meet.

    Args:
        name: the model's name and version, e.g. ``"clip-vit-b32@2024-01"``.
        dim: the width of its embeddings.
    """

    name: str
    dim: int

    def __post_init__(self) -> None:
        if not self.name:
            raise InvalidInput("a space needs a name, got an empty one")
        if self.dim < 1:
            raise InvalidInput(f"space {self.name!r} has dim {self.dim}, wanted at least 1")

    def require(self, other: Space) -> None:
        """Raise SpaceMismatch unless ``other`` is this very space."""
        if self != other:
            raise SpaceMismatch(
                f"vectors of space {other.name!r} ({other.dim}-d) were given where "
                f"{self.name!r} ({self.dim}-d) is wanted; re-embed them with {self.name!r}"
            )
