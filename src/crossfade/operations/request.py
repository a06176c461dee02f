"""What is asked for by `start`, and the encoder that it names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from crossfade.backfill.item_encoder import ItemEncoder, load_item_encoder
from crossfade.errors import InvalidInput, SpaceMismatch
from crossfade.stores.uri import holds_credentials
from crossfade.upgrade import Upgrade

__all__ = ["StartRequest", "load_encoder_of"]


@dataclass(frozen=True)
class StartRequest:
    """What a user asks for.

    Attributes:
        upgrade: the upgrade's folder. encoder, source: specs; see ``docs/encoders.md``.
        order, seed: in which order items are moved.
        queries: where the service records what it is asked, to learn from it.
    """

    uri: str
    upgrade: Path
    encoder: str
    source: str | None = None
    order: str = "random"
    seed: int = 0
    queries: Path | None = None


def load_encoder_of(request: StartRequest, upgrade: Upgrade) -> ItemEncoder:
    """The encoder that is asked for.

    Raises:
        InvalidInput: a spec that can't be used, or that holds a password or key.
        SpaceMismatch: its width is not that of the upgrade's new model.
    """
    for name, spec in (("--encoder", request.encoder), ("--source", request.source or "")):
        if holds_credentials(spec):
            raise InvalidInput(
                f"{name} holds a password or key, and it would be kept with the collection; "
                "put it into the environment or a password file instead"
            )
    encoder = load_item_encoder(request.encoder, request.source)
    if encoder.dim is not None and encoder.dim != upgrade.target.dim:
        raise SpaceMismatch(
            f"the encoder {encoder.name!r} gives {encoder.dim}-d embeddings, the upgrade was "
            f"fitted on {upgrade.target.name!r} ({upgrade.target.dim}-d); use that model"
        )
    return encoder
