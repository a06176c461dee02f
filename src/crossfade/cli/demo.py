"""`crossfade demo`: the whole idea on real images, in three minutes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crossfade.cli.output import message, print_json
from crossfade.demo import run_demo

__all__ = ["demo"]


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the gallery and the report.")] = Path(
        "crossfade-demo"
    ),
    seed: Annotated[int, typer.Option(help="Seed of everything that is drawn.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Upgrade a live gallery of real images from an old model to a new one.

    Example: crossfade demo --out crossfade-demo
    """
    result = run_demo(out, seed=seed)
    if json:
        print_json(result.to_json())
    else:
        message(f"open {result.page}")
