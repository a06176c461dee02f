"""A space's name and width keep two models' vectors apart."""

from __future__ import annotations

import pytest

from crossfade import Space
from crossfade.errors import InvalidInput, SpaceMismatch


@pytest.mark.parametrize(("name", "dim"), [("", 8), ("clip", 0), ("clip", -1)])
def test_a_space_needs_a_name_and_a_width(name: str, dim: int) -> None:
    with pytest.raises(InvalidInput):
        Space(name, dim)


def test_a_space_takes_vectors_of_itself_alone() -> None:
    clip = Space("clip@1", 8)
    clip.require(Space("clip@1", 8))
    for other in (Space("clip@2", 8), Space("clip@1", 9)):
        with pytest.raises(SpaceMismatch, match="clip@1"):
            clip.require(other)
