"""`crossfade evaluate`: the backfilling curve of an upgrade, and of others beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from crossfade.cli.output import fit_progress, message, print_json, print_table, query_progress
from crossfade.embeddings import Pairs, Qrels, QueryLog
from crossfade.errors import CrossfadeError
from crossfade.evaluation import EvaluationResult, check_order, results_to_json, write_report
from crossfade.evaluation import evaluate as evaluate_upgrade
from crossfade.evaluation.figures import has_gain
from crossfade.evaluation.metrics import check_metric, metric_for
from crossfade.evaluation.overlap import count_fitted, count_logged, overlap_sentence
from crossfade.evaluation.report.summary import verdict
from crossfade.evaluation.report.write import check_report_folder
from crossfade.fit.api import fit as fit_pairs
from crossfade.fit.methods import METHODS, method_named
from crossfade.upgrade import Mode, Upgrade, queries_to_teach

__all__ = ["evaluate"]

_WHY_NOTHING = (
    "the upgrade was fitted with more than half as many queries, they find nothing near, or fewer "
    "than 500 items, that a corrected map was not fitted on, are backfilled on the way"
)
_FIGURES = ("shown_gain_share", "worst_point", "drop", "end_point")


def evaluate(
    upgrade: Annotated[Path, typer.Argument(help="The upgrade folder.")],
    gallery: Annotated[Path, typer.Option(help="Gallery items in both spaces: ids, old, new.")],
    queries: Annotated[
        Path | None, typer.Option(help="Queries in both spaces; without it, the gallery's items.")
    ] = None,
    qrels: Annotated[
        Path | None, typer.Option(help="TREC lines: query_id 0 gallery_id relevance; or BEIR's.")
    ] = None,
    steps: Annotated[int, typer.Option(help="Coverages from 0 to 1.")] = 11,
    order: Annotated[
        str, typer.Option(help="Order of backfilling: random, auto (chosen in fitting), ...")
    ] = "random",
    seed: Annotated[int, typer.Option(help="Seed of the order, and of compared fits.")] = 0,
    mode: Annotated[
        Mode, typer.Option(help="How queries search.", case_sensitive=False)
    ] = Mode.ONE_ENCODER,
    compare: Annotated[
        list[str] | None,
        typer.Option(help="Methods (or upgrade folders) to measure as well; several are allowed."),
    ] = None,
    pairs: Annotated[
        Path | None, typer.Option(help="Pairs to fit compared methods on; default: the upgrade's.")
    ] = None,
    recorded: Annotated[
        Path | None,
        typer.Option(
            help="Queries that a service records, .npz or a folder: measures as well what a "
            "backfill that learns from them gains."
        ),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(help="Of table and verdict; default: mrr with qrels, map with labels."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    report: Annotated[
        Path | None, typer.Option(help="Folder for JSON, Markdown, plots and an HTML page.")
    ] = None,
) -> None:
    """Measure quality at every coverage of the backfill, by full-gallery ranking.

    Example: crossfade evaluate upgrade/ --gallery g.npz --queries q.npz --compare rank_merge
    """
    # Found out before minutes of fitting and ranking, not after.
    shown = check_metric(metric or metric_for(judged=qrels is not None))
    check_order(order)
    if report is not None:
        check_report_folder(report)
    loaded = Upgrade.load(upgrade)
    log = None if recorded is None else queries_to_teach(loaded, QueryLog.load(recorded))
    gallery_set = Pairs.load(gallery)
    query_set = None if queries is None else Pairs.load(queries)
    judgements = None if qrels is None else Qrels.load(qrels)
    own_pairs, why_not = _own_pairs(loaded)
    own = _Candidate(loaded, own_pairs)
    taught = {} if log is None else {f"{loaded.method}+recorded": replace(own, recorded=log)}
    _tell_asked_before(loaded, log, query_set)
    compared = _candidates(compare or [], own, why_not, pairs, gallery_set, seed)
    candidates = {loaded.method: own, **taught, **compared}
    results: dict[str, EvaluationResult] = {}
    for name, candidate in candidates.items():
        with query_progress(f"evaluating {name}") as progress:
            results[name] = evaluate_upgrade(
                candidate.upgrade,
                gallery_set,
                query_set,
                qrels=judgements,
                steps=steps,
                order=order,
                seed=seed,
                mode=mode,
                recorded=candidate.recorded,
                on_progress=progress,
            )
    # Not before: a gallery of another width is refused by now.
    _tell_overlap(candidates, gallery_set)
    for name in taught:
        if not results[name].learned_from:
            why = "mode old asks no map" if mode is Mode.OLD else _WHY_NOTHING
            message(f"note: {name}: nothing was learned; {why}")
    if report is not None:
        write_report(results, report, primary=shown)
        message(f"report: {report / 'index.html'}")
    if json:
        print_json(results_to_json(results, compared=bool(compare or taught)))
    else:
        _print_results(results, shown)


@dataclass(frozen=True, eq=False)
class _Candidate:
    """What is measured, and the pairs that it was fitted on, where they are at hand.

    Attributes:
        recorded: queries that its gallery learns from on the way.
    """

    upgrade: Upgrade
    pairs: Pairs | None
    recorded: QueryLog | None = None


def _candidates(
    names: list[str],
    own: _Candidate,
    why_not: str | None,
    pairs: Path | None,
    gallery: Pairs,
    seed: int,
) -> dict[str, _Candidate]:
    """Compared methods, fitted on the upgrade's own pairs; or saved upgrades."""
    candidates: dict[str, _Candidate] = {}
    upgrade, fitting = own.upgrade, None
    for name in names:
        if name == upgrade.method:
            continue  # it is measured as it is
        if name != "auto" and name not in METHODS and Path(name).is_dir():
            saved = Upgrade.load(name)
            candidates[name] = _Candidate(saved, _own_pairs(saved)[0])
            continue
        if fitting is None:
            fitting = own.pairs if pairs is None else Pairs.load(pairs)
        if fitting is None:
            fitting = gallery
            if why_not is not None:
                message(f"note: {why_not}")
            message(
                "warning: compared methods are fitted on the gallery that they are measured on, "
                "which flatters them; give --pairs to fit them on other items"
            )
        needs_labels = name != "auto" and method_named(name).needs_labels
        use_labels = needs_labels or upgrade.report.get("labels_used", False)
        used = fitting if use_labels else fitting.without_labels()
        with fit_progress() as progress:
            fitted = fit_pairs(used, name, progress=progress, seed=seed)
        if upgrade.report.get("queries_used") and fitted.forward is not None:
            message(f"note: {name} is fitted without the log of queries that {upgrade.method} had")
        candidates[name] = _Candidate(fitted, fitting)
    return candidates


def _own_pairs(upgrade: Upgrade) -> tuple[Pairs | None, str | None]:
    """The pairs that an upgrade was fitted on, or why they can't be had, if they once were."""
    recorded = upgrade.report.get("pairs_file")
    if recorded is None:
        return None, None
    try:
        own = Pairs.load(recorded)
    except CrossfadeError:
        return None, f"the upgrade's own pairs, {recorded}, can't be read any more"
    fitted_on = upgrade.report.get("data_sha256")
    if any(one.fingerprint() == fitted_on for one in (own, own.without_labels())):
        return own, None
    return None, f"{recorded} is not the data that the upgrade was fitted on any more"


def _tell_asked_before(upgrade: Upgrade, log: QueryLog | None, queries: Pairs | None) -> None:
    """Whether a map learned from the queries that it is measured by."""
    if queries is None or queries.target.dim != upgrade.target.dim:
        return  # refused later, if it is the width
    known = {} if log is None else {"the recorded ones": log.new}
    if upgrade.offset is not None and upgrade.report.get("queries_used"):
        # It keeps 2,000 at most.
        known["those that the upgrade was fitted with"] = upgrade.offset.bank
    for which, vectors in known.items():
        if both := count_logged(queries, vectors):
            message(
                f"warning: at least {both} of {len(queries)} queries are among {which}: what was "
                "learned from them looks better on them than on others; measure on others"
            )


def _tell_overlap(candidates: Mapping[str, _Candidate], gallery: Pairs) -> None:
    """Which of them were fitted on how many of the items that they are measured on."""
    names: dict[int, list[str]] = {}
    for name, one in candidates.items():
        if shared := count_fitted(one.upgrade, gallery, one.pairs):
            names.setdefault(shared, []).append(name)
    for shared, fitted in names.items():
        message(f"note: {', '.join(fitted)}: {overlap_sentence(shared, len(gallery))}")


def _print_results(results: Mapping[str, EvaluationResult], metric: str) -> None:
    first = next(iter(results.values()))
    counts = first.counts
    if counts.skipped:
        message(f"note: {counts.skipped} queries, to which nothing here is relevant, are left out")
    if counts.own_left_out:
        message(f"note: {counts.own_left_out} queries have an item's id and leave that item out")
    if not has_gain(old_old=first.old_old[metric], new_new=first.new_new[metric]):
        message(f"note: {verdict(first, metric).sentence}")
    print_table(
        f"{metric}: old/old {first.old_old[metric]:.4f}, new/new {first.new_new[metric]:.4f}; "
        f"{first.mode.value}, order {first.order}, seed {first.seed}, "
        f"{counts.queries} queries, {counts.gallery} items",
        ["method", "gain share", "worst point", "drop", "end point"],
        [_row(name, result, metric) for name, result in results.items()],
    )
    print_table(
        f"{metric} at each coverage",
        ["coverage", *results],
        [
            [f"{coverage:.0%}", *(f"{one.metrics[metric][step]:.4f}" for one in results.values())]
            for step, coverage in enumerate(first.coverage)
        ],
    )


def _row(name: str, result: EvaluationResult, metric: str) -> list[str]:
    share, *others = (getattr(result, figure)[metric] for figure in _FIGURES)
    return [
        name,
        "-" if math.isnan(share) else f"{share:.1%}",
        *(f"{value:+.4f}" for value in others),
    ]
