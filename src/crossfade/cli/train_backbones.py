"""`crossfade bench train-backbones`: an old and a new ResNet on a data set that you have."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from crossfade.bench.backbones.pair import BackbonePlan, train_pair
from crossfade.bench.layouts import read_photos
from crossfade.cli.output import message, print_json

__all__ = ["train_backbones"]


class Architecture(StrEnum):
    """The networks that there are."""

    RESNET18 = "resnet18"
    RESNET50 = "resnet50"


class Share(StrEnum):
    """What the old model saw a share of."""

    DATA = "data"
    CLASSES = "classes"


def train_backbones(
    data: Annotated[
        Path,
        typer.Argument(help="CIFAR-100, ImageNet, Places-365 or Market-1501, as distributed."),
    ],
    out: Annotated[Path, typer.Option(help="Folder to write; a killed run goes on in it.")],
    arch: Annotated[
        Architecture, typer.Option(help="Architecture of the new model.")
    ] = Architecture.RESNET18,
    old_arch: Annotated[
        Architecture | None, typer.Option(help="Architecture of the old one; default: the same.")
    ] = None,
    old_share: Annotated[
        float, typer.Option(help="Share that the old model is trained on, e.g. 0.3 or 0.5.")
    ] = 0.5,
    by: Annotated[
        Share, typer.Option(help="A share of the data or of the classes.")
    ] = Share.CLASSES,
    epochs: Annotated[int, typer.Option(help="Passes over the photos.", min=1)] = 100,
    batch_size: Annotated[int, typer.Option(help="Photos in a batch.", min=2)] = 256,
    dim: Annotated[int, typer.Option(help="Width of both embeddings.", min=1)] = 128,
    seed: Annotated[int, typer.Option(help="Seed of everything.", min=0)] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Train an old and a new model, and embed the data set: `crossfade bench OUT` measures it.

    Example: crossfade bench train-backbones cifar-100-python/ --old-share 0.5 --out pair/
    """
    plan = BackbonePlan(
        architecture=arch.value,
        old_architecture=(old_arch or arch).value,
        old_share=old_share,
        by=by.value,
        dim=dim,
        old_dim=dim,
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
    )
    made = train_pair(read_photos(data), plan, out, message)
    message(f"{out}: {len(made.fit):,} pairs to fit on; crossfade bench {out}")
    if json:
        print_json(
            {
                "folder": str(out),
                "pairs": len(made.fit),
                "gallery": len(made.gallery),
                "queries": None if made.queries is None else len(made.queries),
            }
        )
