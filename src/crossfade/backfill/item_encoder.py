"""From stored items to new embeddings: an item source and a content encoder as one encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from crossfade.embeddings import FloatArray
from crossfade.embeddings.encoders import ContentEncoder, Takes, load_encoder
from crossfade.embeddings.sources import Missing, Source, load_source
from crossfade.embeddings.sources.ids import id_source
from crossfade.errors import EncoderError, EncoderMisconfigured, EncoderUnavailable, InvalidInput
from crossfade.gallery.encoding import Encoded
from crossfade.stores import Id, Item

__all__ = ["ItemEncoder", "item_encoder", "load_item_encoder"]


class ItemEncoder:
    """A content encoder that reads what it encodes from a source. See :func:`item_encoder`.

    Attributes:
        name: the model's name and version. dim: d_new, or None if not known beforehand.
    """

    def __init__(self, source: Source | None, encoder: ContentEncoder) -> None:
        self.name = encoder.name
        self.dim = encoder.dim
        self._source = source
        self._encoder = encoder

    def __call__(self, items: Sequence[Item], /) -> Any:
        """Embed items; an item without usable content is a failure with its reason.

        Raises: as :meth:`ContentEncoder.encode` does.
        """
        if self._source is None:
            return self._encoder(items)
        return self._encode(items, self._source)

    def _encode(self, items: Sequence[Item], source: Source) -> Encoded:
        prepared: list[Any] = []
        readable: list[Item] = []
        failures: dict[Id, str] = {}
        for item, content in zip(items, _contents(source, items), strict=True):
            try:
                prepared.append(self._prepared(content))
                readable.append(item)
            except (EncoderUnavailable, EncoderMisconfigured):
                raise
            except EncoderError as error:
                failures[item.id] = str(error)
        if not readable:
            return Encoded({}, failures)
        rows = self._rows(prepared)
        vectors = {item.id: row for item, row in zip(readable, rows, strict=True)}
        return Encoded(vectors, failures)

    def _prepared(self, content: Any) -> Any:
        if isinstance(content, Missing):
            raise EncoderError(content.reason)
        return self._encoder.prepare(content)

    def _rows(self, prepared: Sequence[Any]) -> FloatArray:
        wanted = f"for {len(prepared)} contents, wanted ({len(prepared)}, d): one row each"
        answer = self._encoder.encode(prepared)
        try:
            rows = np.asarray(answer, dtype=np.float32)
        except (TypeError, ValueError) as error:
            raise EncoderMisconfigured(
                f"{self.name} returned {type(answer).__name__} {wanted}: {error}"
            ) from error
        if rows.ndim != 2 or len(rows) != len(prepared):
            raise EncoderMisconfigured(f"{self.name} returned shape {rows.shape} {wanted}")
        return rows


def _contents(source: Source, items: Sequence[Item]) -> Sequence[Any]:
    contents = source([item.id for item in items], [item.payload for item in items])
    if len(contents) != len(items):
        raise EncoderMisconfigured(
            f"the item source gave {len(contents)} contents for {len(items)} items, wanted one each"
        )
    return contents


def item_encoder(source: Source | None, encoder: ContentEncoder) -> ItemEncoder:
    """Compose an encoder of items.

    Args:
        source: gives the items' contents; None for an encoder that takes the ids, or the
            items themselves.

    Raises:
        InvalidInput: the encoder needs a source.
    """
    if source is None and encoder.takes is Takes.IDS:
        source = id_source
    if source is None and encoder.takes is Takes.CONTENTS:
        raise InvalidInput(
            f"{encoder.name} reads contents, and nothing says where they are; give an item "
            "source, e.g. payload:text or folder:images?pattern={id}.png"
        )
    return ItemEncoder(source, encoder)


def load_item_encoder(encoder: str, source: str | None = None) -> ItemEncoder:
    """Compose an encoder of items from two specs.

    Raises: as :func:`load_encoder`, :func:`load_source` and :func:`item_encoder` do.
    """
    return item_encoder(load_source(source) if source else None, load_encoder(encoder))
