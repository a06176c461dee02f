"""How large the demo is."""

from __future__ import annotations

from dataclasses import dataclass, fields

from crossfade.errors import InvalidInput

__all__ = ["DemoPlan"]


@dataclass(frozen=True)
class DemoPlan:
    """Sizes and efforts of the demo.

    Attributes:
        training_images: both models learn from these; the upgrade is fitted on them too.
        gallery_images: items of the gallery.
        query_images: queries of the report; none of them is in the gallery.
        live_queries: how many of them are asked over and over during the backfill.
        old_classes: the old model has seen the first so many of the ten classes.
        old_epochs, new_epochs: passes over the images when training a model.
        fit_epochs: passes over the pairs when fitting the upgrade, at most.
        items_per_second: the pace of the backfill. The demo's model is tiny; at its own pace
            it would be over before anyone has seen it.
    """

    training_images: int = 10_000
    gallery_images: int = 3_000
    query_images: int = 400
    live_queries: int = 100
    old_classes: int = 5
    old_epochs: int = 3
    new_epochs: int = 8
    fit_epochs: int = 12
    items_per_second: float = 120.0

    def __post_init__(self) -> None:
        for field in fields(self):
            if not getattr(self, field.name) > 0:
                raise InvalidInput(
                    f"{field.name} is {getattr(self, field.name)}, wanted more than 0"
                )
        if self.live_queries > self.query_images:
            raise InvalidInput(
                f"live_queries is {self.live_queries}, wanted at most the "
                f"{self.query_images} query_images"
            )
