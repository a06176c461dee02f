"""`crossfade fit`: pairs in, upgrade folder out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from crossfade.cli.output import fit_progress, message, print_json
from crossfade.durable import check_folder
from crossfade.embeddings import Pairs, QueryLog
from crossfade.errors import InvalidInput
from crossfade.evaluation.figures import has_gain
from crossfade.fit.api import fit as fit_pairs
from crossfade.fit.methods import METHODS, method_named
from crossfade.upgrade import Upgrade
from crossfade.upgrade.artifact import MANIFEST, OTHERS

__all__ = ["fit"]

_METHOD_HELP = "auto, or one of: " + ", ".join(METHODS)


def fit(
    pairs: Annotated[
        Path, typer.Argument(help="Pairs: .npz, .parquet, or a folder of .npy (ids, old, new).")
    ],
    out: Annotated[Path, typer.Option(help="The upgrade folder to write.")],
    method: Annotated[str, typer.Option(help=_METHOD_HELP)] = "auto",
    labels: Annotated[
        bool, typer.Option("--labels", help="Let auto use the labels in the pairs.")
    ] = False,
    queries: Annotated[
        Path | None,
        typer.Option(
            help=".npz or folder of them: new (q, d_new), old if you have it: real queries."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of splits, weights and batches.")] = 0,
    old_name: Annotated[str, typer.Option(help="What to call the old model's space.")] = "old",
    new_name: Annotated[
        str, typer.Option(help="What to call the new one's; the next upgrade begins there.")
    ] = "new",
    epochs: Annotated[int | None, typer.Option(help="Passes over the pairs, at most.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the fit report as JSON.")] = False,
) -> None:
    """Fit an upgrade on pairs of old and new embeddings.

    A gallery knows its vectors by the spaces' names: name them as the collection does, and the
    next upgrade's old model as the last one's new. Real queries, if you have a log of them, make
    the map's scores better wherever queries are not like items; nothing need be known of what they
    find.

    Example: crossfade fit pairs.npz --out upgrade/ --queries log.npz
    """
    # Found out before minutes of fitting, not after.
    check_folder(out, marker=MANIFEST, others=OTHERS)
    named = Pairs.load(pairs).named(old_name, new_name)
    loaded = _with_or_without_labels(named, method, labels)
    settings: dict[str, Any] = (
        {"seed": seed} if epochs is None else {"seed": seed, "epochs": epochs}
    )
    asked = None if queries is None else QueryLog.load(queries)
    with fit_progress() as progress:
        upgrade = fit_pairs(
            loaded, method, queries=asked, progress=progress, pairs_file=pairs, **settings
        )
    upgrade.save(out)
    if json:
        print_json({"upgrade": str(out), "id": upgrade.id, **_summary(upgrade)})
    else:
        _print_summary(upgrade, out)


def _with_or_without_labels(pairs: Pairs, method: str, labels: bool) -> Pairs:
    wanted = labels or (method != "auto" and method_named(method).needs_labels)
    if labels and pairs.labels is None:
        raise InvalidInput("--labels was given, but the pairs hold no array 'labels'")
    if labels and pairs.labels is not None and len(set(pairs.labels.tolist())) < 2:
        raise InvalidInput(
            "--labels was given, but the labels name one class only; leave it out to fit without"
        )
    if pairs.labels is not None and not wanted:
        message(
            "note: the pairs hold labels, which are not used; pass --labels to use them, if the "
            "gallery has no classes but these"
        )
        return pairs.without_labels()
    return pairs


def _summary(upgrade: Upgrade) -> dict[str, Any]:
    return {
        "method": upgrade.method,
        "side": upgrade.side.value,
        "source": {"name": upgrade.source.name, "dim": upgrade.source.dim},
        "target": {"name": upgrade.target.name, "dim": upgrade.target.dim},
        "report": dict(upgrade.report),
    }


def _print_summary(upgrade: Upgrade, out: Path) -> None:
    report = upgrade.report
    typer.echo(
        f"{out}: {upgrade.method}, {upgrade.source.dim}-d -> {upgrade.target.dim}-d, "
        f"fitted on {report['pairs']} pairs in {report['seconds']:.0f} s"
    )
    if report["queries_used"]:
        assert upgrade.offset is not None
        taught = (
            "nothing more that holds for queries left out"
            if upgrade.offset.distilled is None
            else f"{report['queries_used']:,} teach the map to rank as the new model does"
        )
        hubs = f"{len(upgrade.offset.bank):,} queries of the log tell which items are hubs"
        typer.echo(f"{hubs}, and {taught}")
    shown = report.get("held_out") or []
    for curve in shown:
        ends = {name: curve[name] for name in ("old_old", "new_new")}
        gained = (
            f"gain share {curve['gain_share']:.0%}"
            if has_gain(**ends)
            else f"no gain (mAP {ends['old_old']:.3f} -> {ends['new_new']:.3f})"
        )
        typer.echo(
            f"held-out items as queries ({curve['queries']}): {gained}, worst point of mAP "
            f"{curve['worst_point']:+.3f}"
        )
    if shown:
        typer.echo(
            "these choose a method; real queries gain less: `crossfade assess --queries` predicts "
            "them, and whether the new model is better at all"
        )
    if "certainty" in report:
        names = list(report["candidates"])
        if len(names) == 1:
            typer.echo(f"{names[0]} is the only candidate for so few pairs")
        else:
            agree = f"{report['certainty']:.0%} of resamples agree"
            typer.echo(f"chosen from {', '.join(names)}; {agree}")
