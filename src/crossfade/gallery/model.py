"""One model a gallery: an encoder's name and width are checked before anything is written.

The name of the encoder that the backfill began with is kept with the store. Another one is
refused while the gallery holds vectors of the first: two models of one width would mix unseen.
"""

from __future__ import annotations

import json
from typing import Any

from crossfade.errors import EncoderMisconfigured, SpaceMismatch
from crossfade.stores import Store
from crossfade.upgrade import Upgrade

__all__ = ["require_model", "require_width"]

_POINTER = "crossfade.encoder"


def require_model(store: Store, upgrade: Upgrade, encoder: Any) -> None:
    """Refuse an encoder of another model than the gallery's upgrade and job have.

    Judged by the attributes ``dim`` and ``name``; an encoder without them, a plain function,
    can't be judged by name, and its width shows in its first answer.

    Raises:
        SpaceMismatch: its width is not the new space's.
        EncoderMisconfigured: its name is not the one that the job began with.
    """
    require_width(upgrade, encoder)
    name = getattr(encoder, "name", None)
    if isinstance(name, str) and name:
        _bind(store, upgrade, name)


def require_width(upgrade: Upgrade, encoder: Any) -> None:
    """Refuse an encoder that says to be of another width than the upgrade's new space.

    Raises:
        SpaceMismatch: it does.
    """
    wanted, dim = upgrade.target, getattr(encoder, "dim", None)
    name = getattr(encoder, "name", None)
    if dim is not None and dim != wanted.dim:
        raise SpaceMismatch(
            f"the encoder {name or ''!r} gives {dim}-d embeddings, the upgrade was fitted on "
            f"{wanted.name!r} ({wanted.dim}-d); use that model"
        )


def _bind(store: Store, upgrade: Upgrade, name: str) -> None:
    while True:
        bound = store.read_pointer(_POINTER)
        models = _models(bound)
        first = models.get(upgrade.id)
        if first == name:
            return
        if first is not None and store.count(has=upgrade.stored.name) > 0:
            raise EncoderMisconfigured(
                f"the job began with the model {first}, this encoder is {name}; two models must "
                "not mix. Go on with the first, or roll back; if they are one model, say so by "
                "the option name"
            )
        wanted = json.dumps({"models": {**models, upgrade.id: name}}, sort_keys=True)
        store.swap_pointer(_POINTER, bound, wanted)


def _models(bound: str | None) -> dict[str, str]:
    """The models' names by upgrade: a gallery may return to the one before."""
    found: dict[str, Any] = {} if bound is None else json.loads(bound)
    if "upgrade" in found:  # as an earlier release wrote it, which kept one
        return {found["upgrade"]: found["model"]}
    models: dict[str, str] = found.get("models", {})
    return models
