"""`crossfade stores`: which stores there are, what they can do, and how to get them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from crossfade.cli.output import print_json, print_table
from crossfade.stores.listing import ListedStore, listed_stores

__all__ = ["stores"]


def stores(
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """List the stores: what each can do, and the pip line of those that are not installed.

    Example: crossfade stores --json
    """
    listed = listed_stores()
    if json:
        print_json({"stores": [_as_json(store) for store in listed]})
        return
    print_table(
        "stores",
        ["store", "installed", "kept", "approximate", "conditional write by", "tested against"],
        [_row(store) for store in listed],
    )
    # Below the table, where no column breaks a line that is to be copied.
    for store in listed:
        if not store.installed:
            typer.echo(f"{store.schemes[0]}:// needs: {store.pip_line}")


def _as_json(store: ListedStore) -> dict[str, Any]:
    return {
        "schemes": list(store.schemes),
        "installed": store.installed,
        "install": store.pip_line,
        "capabilities": None if store.capabilities is None else asdict(store.capabilities),
    }


def _row(store: ListedStore) -> list[str]:
    name = "\n".join(f"{scheme}://" for scheme in store.schemes)
    installed = "yes" if store.installed else "no"
    said = store.capabilities
    if said is None:
        return [name, installed, "", "", "", "it does not say"]
    return [
        name,
        installed,
        "yes" if said.persistent else "no",
        "yes" if said.approximate else "no",
        str(said.conditional_write),
        said.tested_against,
    ]
