"""`crossfade bench`: our tables again, or the same for your own data."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from crossfade.bench import (
    ALL,
    ALL_LOCAL,
    BenchPlan,
    BuildPlan,
    Ledger,
    run_suites,
    suites_named,
    write_bench_report,
)
from crossfade.bench.dataset import FILES
from crossfade.bench.measure import EVERY_METHOD, check_method
from crossfade.bench.packages import require
from crossfade.bench.report import RESULTS, other_data
from crossfade.bench.suites import one_file
from crossfade.bench.summary import Group, groups_of
from crossfade.cli.output import fit_progress, message, print_json, print_table, query_progress
from crossfade.cli.train_backbones import train_backbones
from crossfade.durable import check_folder
from crossfade.errors import InvalidInput
from crossfade.evaluation import check_order
from crossfade.evaluation.report.drawing import require_plots
from crossfade.evaluation.report.summary import NAMES
from crossfade.fit.settings import FitProgress
from crossfade.orders import RANDOM
from crossfade.upgrade import Mode

__all__ = ["bench"]

_ALL_METHODS = "all"
_SEEDS, _QUICK_SEEDS = 3, 1


class _SuiteFirst(TyperGroup):
    """A group whose first word may be a suite: ``crossfade bench emoji`` runs it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        known = {*self.commands, "--help"}
        return super().parse_args(ctx, ["run", *args] if args and args[0] not in known else args)


def _layout(title: str, parts: Mapping[str, str]) -> str:
    # The mark keeps the lines of a paragraph apart.
    lines = [line for name, what in parts.items() for line in (f"  {name}", f"    {what}")]
    return "\n".join(["\b", title, *lines])


_HELP = "\n\n".join(
    [
        "Measure methods on real model pairs, or on your own data.",
        "\b\n"
        "crossfade bench SUITE... --out DIR    a name or a family, of `bench list`\n"
        f"crossfade bench {ALL_LOCAL} --out DIR   all that need no data of yours\n"
        "crossfade bench FOLDER --out DIR      your own data, in a folder\n"
        "crossfade bench FILE.npz --out DIR    your own data, in one file\n"
        "crossfade bench run --help            all options",
        _layout("FOLDER (pairs may be .parquet or folders of .npy as well):", FILES),
        _layout("FILE.npz, of which each seed draws what is fitted on:", one_file.ARRAYS),
    ]
)
bench = typer.Typer(
    cls=_SuiteFirst,
    no_args_is_help=True,
    help=_HELP,
)


@bench.command()
def run(
    suites: Annotated[
        list[str],
        typer.Argument(
            metavar="SUITE...",
            help="Names, families, all-local, folders, .npz files; `crossfade bench --help` "
            "shows how your own are laid out.",
        ),
    ],
    methods: Annotated[
        list[str] | None,
        typer.Option(
            help="Methods, auto, auto+labels, auto+queries, auto+stand-ins, auto+recorded, "
            "METHOD+MERGE (e.g. rank_merge+rrf), or all."
        ),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(help="How many seeds: 3, or 1 with --quick.", min=1)
    ] = None,
    modes: Annotated[
        list[Mode] | None,
        typer.Option(help="one-encoder, two-encoder; by default two for auto only."),
    ] = None,
    orders: Annotated[
        list[str] | None, typer.Option(help="Orders of backfilling, e.g. random, auto, oracle.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for results; an earlier run goes on.")] = Path(
        "crossfade-bench"
    ),
    quick: Annotated[bool, typer.Option("--quick", help="Small sets, for a look.")] = False,
    data: Annotated[
        Path | None, typer.Option(help="The data set, for suites that read one that you have.")
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="The metric of tables, instead of each suite's own.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Repeat what is there already.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the tables as JSON.")] = False,
) -> None:
    """Run suites, resumable: results as JSON lines, Markdown tables, and plots.

    Example: crossfade bench all-local --seeds 3 --out bench/
    """
    plan = BenchPlan(
        suites=suites_named(suites, metric),
        seeds=range(seeds or (_QUICK_SEEDS if quick else _SEEDS)),
        methods=_methods(methods),
        modes=[mode.value for mode in modes] if modes else None,
        orders=_orders(orders),
        quick=quick,
        data=data,
        again=again,
    )
    # Found out before hours of work, not after.
    _require_data(plan)
    require(package for suite in plan.suites for package in suite.needs)
    require_plots()
    ledger = Ledger(out / RESULTS)
    message(f"{len(plan.all_steps())} runs, results in {out}; stop it and start it as you like")
    try:
        run_suites(plan, ledger, _Narrator())
    finally:
        if ledger.runs:
            message(f"tables and plots: {write_bench_report(ledger)}")
    names = [suite.name for suite in plan.suites]
    for name in names:
        if others := ledger.left_out[name, quick]:
            message(
                f"note: {name}: {other_data(others)}; give your data another name, or another "
                "--out, to have tables of both"
            )
    groups = [
        group
        for group in groups_of(ledger.present)
        if group.suite in names and group.quick == quick
    ]
    if json:
        print_json([group.to_json() for group in groups])
    else:
        _print_groups(groups)


@bench.command("list")
def list_suites(
    json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """List the suites.

    Example: crossfade bench list
    """
    if json:
        print_json(
            [
                {
                    "name": suite.name,
                    "family": suite.family,
                    "setting": suite.setting.value,
                    "metric": suite.metric,
                    "reads_data": suite.reads_data,
                    "summary": suite.summary,
                }
                for suite in ALL
            ]
        )
        return
    for suite in ALL:
        source = ", with --data" if suite.reads_data else ""
        typer.echo(f"{suite.name} ({suite.setting.value}, {suite.metric}{source})")
        typer.echo(f"    {suite.summary}")
    typer.echo(f"{ALL_LOCAL}: all that need no --data. Families: {', '.join(_families())}")


@bench.command()
def export(
    suite: Annotated[str, typer.Argument(help="The suite's name.")],
    out: Annotated[Path, typer.Option(help="The folder to write.")],
    seed: Annotated[int, typer.Option(help="Of the draw.", min=0)] = 0,
    quick: Annotated[bool, typer.Option("--quick", help="The small form.")] = False,
    data: Annotated[Path | None, typer.Option(help="The data set, if it reads yours.")] = None,
) -> None:
    """Write a suite's data set as files, for `fit`, `evaluate`, and other programs.

    Example: crossfade bench export emoji-vendors --out emoji/
    """
    check_folder(out, marker="fit.npz")
    chosen = suites_named([suite])
    if len(chosen) != 1:
        raise InvalidInput(
            f"{suite!r} names several suites; give one of {', '.join(one.name for one in chosen)}"
        )
    require(chosen[0].needs)
    chosen[0].build(BuildPlan(seed, quick, message, data)).save(out)
    message(f"{out}: {chosen[0].summary}")


bench.command("train-backbones")(train_backbones)


class _Narrator:
    """Tells on stderr what is going on."""

    def say(self, text: str, /) -> None:
        message(text)

    def fitting(self) -> AbstractContextManager[Callable[[FitProgress], None]]:
        return fit_progress()

    def measuring(self, name: str, /) -> AbstractContextManager[Callable[[int, int], None]]:
        return query_progress(f"evaluating {name}")


def _families() -> list[str]:
    return list(dict.fromkeys(suite.family for suite in ALL))


def _methods(names: list[str] | None) -> list[str] | None:
    if not names:
        return None
    if _ALL_METHODS in names:
        return list(EVERY_METHOD)
    return [check_method(name) for name in dict.fromkeys(names)]


def _require_data(plan: BenchPlan) -> None:
    wanting = [suite.name for suite in plan.suites if suite.reads_data]
    if wanting and (plan.data is None or not plan.data.is_dir()):
        raise InvalidInput(
            f"{wanting[0]} reads a data set that you have; give --data and its folder"
            + ("" if plan.data is None else f" ({plan.data} is none)")
        )


def _orders(names: list[str] | None) -> list[str]:
    return [check_order(name) for name in dict.fromkeys(names or [RANDOM])]


def _print_groups(groups: list[Group]) -> None:
    for suite, own in groupby(groups, key=lambda group: group.suite):
        rows = list(own)
        old, new = (rows[0].figure(name).mean() for name in ("old_old", "new_new"))
        verdict = "" if rows[0].is_upgrade else ": no upgrade, the new model is worse"
        print_table(
            f"{suite}, {NAMES[rows[0].metric]} {old:.3f} -> {new:.3f}{verdict}",
            ["method", "seeds", "gain share", "worst", "drop", "end"],
            [_cells(group) for group in rows],
        )


def _cells(group: Group) -> list[str]:
    share, spread = group.shown_gain_share
    return [
        group.name,
        str(len(group.runs)),
        "-" if math.isnan(share) else f"{share:.1%} ± {100 * spread:.1f}",
        f"{group.figure('worst_point').min():+.3f}",
        f"{group.figure('drop').max():.3f}",
        f"{group.figure('end_point').mean():+.3f}",
    ]
