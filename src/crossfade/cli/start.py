"""`crossfade start`: the dry run, the question, the start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from crossfade.cli.confirm import confirm
from crossfade.cli.lifecycle import AsJson, Uri, Yes, duration, print_status, status_fields
from crossfade.cli.output import message, print_json
from crossfade.operations import StartPlan, StartRequest, plan_start
from crossfade.operations import start as start_upgrade

__all__ = ["start"]


def start(
    uri: Uri,
    upgrade: Annotated[Path, typer.Option(help="The upgrade folder.")],
    encoder: Annotated[str, typer.Option(help="The new model: module:function or KIND:WHAT.")],
    source: Annotated[
        str | None, typer.Option(help="Where items' contents are, e.g. payload:text.")
    ] = None,
    order: Annotated[
        str, typer.Option(help="Order of backfilling: random, auto (chosen in fitting), ...")
    ] = "random",
    seed: Annotated[int, typer.Option(help="Seed of the order.")] = 0,
    queries: Annotated[
        Path | None,
        typer.Option(
            help="Where the service records what it is asked: .npz, or a folder of such. The "
            "backfill learns from it."
        ),
    ] = None,
    price_per_1000: Annotated[
        float | None, typer.Option(help="Price of encoding 1,000 items.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be done, and do nothing.")
    ] = False,
    yes: Yes = False,
    json: AsJson = False,
) -> None:
    """Start an upgrade of a collection. A dry run is shown first; then it asks.

    Exit codes: 0 started, or the dry run is over; 1 you said no; 2 refused, nothing was changed.

    Example: crossfade start qdrant://gallery --upgrade upgrade/ --encoder my_models:embed
    """
    request = StartRequest(uri, upgrade, encoder, source, order, seed, queries)
    plan = plan_start(request, price_per_1000)
    if dry_run:
        if json:
            print_json({"plan": asdict(plan)})
        else:
            _print_plan(plan, typer.echo)
        return
    _print_plan(plan, message)
    confirm(f"Start the upgrade of {plan.uri}?", yes=yes)
    status = start_upgrade(request)
    if json:
        print_json({"plan": asdict(plan), "status": status_fields(status)})
    else:
        print_status(status, json=False)


def _print_plan(plan: StartPlan, say: Callable[[str], None]) -> None:
    sample = plan.sample
    say(f"{plan.uri}: {plan.state.value}, {plan.items:,} items")
    say(f"  upgrade {plan.upgrade[:12]} ({plan.method}): {plan.old_model} -> {plan.new_model}")
    for created in plan.creates:
        say(f"  creates: {created}")
    say(
        f"  measured: {sample.items} items encoded, {sample.items_per_second:,.1f} items/s"
        + (f"; {sample.failed} failed, e.g.: {sample.reason}" if sample.failed else "")
    )
    if plan.map_seconds:
        say(f"  mapping old vectors: {duration(plan.map_seconds)}")
    say(f"  encoding: {duration(plan.encode_seconds)} by one worker, until {plan.ends_at}")
    if plan.refits_at:
        at = ", ".join(f"{coverage:.0%}" for coverage in plan.refits_at)
        say(
            f"  refits, not in these times: at {at} coverage the map may be fitted again and all "
            "items that wait be mapped anew (backfill --no-refit leaves it out)"
        )
    if plan.queries is not None:
        say(f"  learns from the queries recorded in {plan.queries}, once there are 200")
    say(
        f"  vectors: {_size(plan.new_bytes)} more until finish, then {_size(plan.freed_bytes)} "
        "less; the store's index of them comes on top"
    )
    if plan.price is not None:
        say(f"  price of encoding: {plan.price:,.2f}")


def _size(size: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:,.0f} {unit}" if unit == "bytes" else f"{size:,.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"
