"""`crossfade search`: queries from a file against a live gallery."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crossfade.cli.lifecycle import AsJson, Uri
from crossfade.cli.output import print_json
from crossfade.operations import search as search_gallery
from crossfade.upgrade import Mode

__all__ = ["search"]


def search(
    uri: Uri,
    queries: Annotated[Path, typer.Option(help=".npz: new (q, d_new), old (q, d_old), ids.")],
    k: Annotated[int, typer.Option("--k", "-k", min=1, help="Results a query.")] = 10,
    mode: Annotated[
        Mode, typer.Option(help="How queries search.", case_sensitive=False)
    ] = Mode.ONE_ENCODER,
    upgrade: Annotated[
        Path | None, typer.Option(help="The upgrade folder, if it was moved.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Search a live gallery, at any coverage.

    Prints a line for each hit: query, rank, id, score, side. Exit codes: 0; 2 bad input.

    Example: crossfade search qdrant://gallery --queries q.npz -k 10
    """
    found = search_gallery(uri, queries, k, mode=mode, upgrade=upgrade)
    if json:
        print_json(
            {
                query: [
                    {"id": hit.id, "score": hit.score, "side": hit.side, "payload": hit.payload}
                    for hit in hits
                ]
                for query, hits in found.items()
            }
        )
        return
    for query, hits in found.items():
        for rank, hit in enumerate(hits, start=1):
            typer.echo(f"{query}\t{rank}\t{hit.id}\t{hit.score:.6f}\t{hit.side}")
