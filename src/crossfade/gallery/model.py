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
    wanted = json.dumps({"upgrade": upgrade.id, "model": name}, sort_keys=True)
    while (bound := store.read_pointer(_POINTER)) != wanted:
        first = json.loads(bound) if bound is not None else {}
        begun = store.count(has=upgrade.stored.name) > 0
        if begun and first.get("upgrade") == upgrade.id:
            raise EncoderMisconfigured(
                f"the job began with the model {first['model']}, this encoder is {name}; two "
                "models must not mix. Go on with the first, or roll back; if they are one model, "
                "say so by the option name"
            )
        store.swap_pointer(_POINTER, bound, wanted)
