"""Content encoders: a new model, called with contents instead of stored items.

Encoding has two steps, so that the blame falls where it belongs. ``prepare`` reads one
content (decodes an image, looks an id up) and may refuse it; ``encode`` runs the model on a
batch of what was prepared, and its failures are the model's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, final

from crossfade.errors import EncoderError

__all__ = ["ContentEncoder", "Takes", "require_text"]


class Takes(StrEnum):
    """What an encoder is called with."""

    CONTENTS = "contents"
    """What an item source gives."""
    IDS = "ids"
    """The items' ids; no source is needed."""
    ITEMS = "items"
    """The stored items themselves, unless a source is given."""


class ContentEncoder(ABC):
    """A new model.

    Attributes:
        name: which model and version; another name means another embedding space.
        dim: d_new, the width of its embeddings, or None where only a call tells.
        takes: what it is called with.
    """

    name: str
    dim: int | None
    takes: Takes = Takes.CONTENTS

    @abstractmethod
    def prepare(self, content: Any) -> Any:
        """Make one content ready for the model.

        Raises:
            EncoderError: this content is of no use; the message says why.
        """

    @abstractmethod
    def encode(self, prepared: Sequence[Any]) -> Any:
        """Embeddings ``(n, d_new)`` of what :meth:`prepare` gave, a row each.

        Raises:
            EncoderUnavailable: not for now; may be tried again.
            EncoderMisconfigured: not as it is set up, whatever the content.
            EncoderError: not these contents; one at a time may go.
        """

    @final
    def __call__(self, contents: Sequence[Any], /) -> Any:
        """Embeddings ``(n, d_new)`` of contents; one bad content fails the call."""
        return self.encode([self.prepare(content) for content in contents])


def require_text(content: Any) -> str:
    """A content that is text with something in it.

    Raises:
        EncoderError: it is something else.
    """
    if not isinstance(content, str):
        raise EncoderError(
            f"the content is {type(content).__name__}, wanted text: "
            "a source of files needs ?as=text for a text model"
        )
    if not content.strip():
        raise EncoderError("the content is an empty text")
    return content
