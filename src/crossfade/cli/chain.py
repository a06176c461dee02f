"""`crossfade chain`: an upgrade that can be started in the middle of another one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crossfade.cli.output import print_json
from crossfade.upgrade import Upgrade, chained

__all__ = ["chain"]


def chain(
    under_way: Annotated[Path, typer.Argument(help="The upgrade that is under way: v1 -> v2.")],
    following: Annotated[Path, typer.Argument(help="The next one: v2 -> v3, a forward map.")],
    direct: Annotated[Path, typer.Argument(help="Straight: v1 -> v3, a forward map.")],
    out: Annotated[Path, typer.Option(help="Folder for the chained upgrade.")],
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Join upgrades so that the next begins before the one under way is over.

    Items that have reached v2 are mapped from there, the others straight from v1; every query is
    embedded once, with v3. Start it as any other: `crossfade start URI --upgrade OUT ...`; a
    rollback returns to the middle of the first.

    Exit codes: 0 written; 2 the upgrades don't fit together.

    Example: crossfade chain v1-v2/ v2-v3/ v1-v3/ --out chained/
    """
    upgrade = chained(Upgrade.load(under_way), Upgrade.load(following), Upgrade.load(direct))
    upgrade.save(out)
    assert upgrade.earlier is not None
    first = upgrade.earlier.upgrade
    if json:
        models = [first.source.name, upgrade.source.name, upgrade.target.name]
        print_json({"upgrade": upgrade.id, "models": models, "folder": str(out)})
        return
    typer.echo(
        f"{out}: {first.source.name} -> {upgrade.source.name} -> {upgrade.target.name}, "
        f"upgrade {upgrade.id[:12]}"
    )
