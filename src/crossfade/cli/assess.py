"""`crossfade assess`: is the upgrade worth it, and how will its backfill go?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crossfade.assessment import Assessment, Verdict, write_assessment
from crossfade.assessment import assess as assess_sample
from crossfade.assessment.report import check_assessment_folder
from crossfade.assessment.words import (
    PREDICTION_HEADER,
    pace_lines,
    prediction_row,
    recommendation_lines,
    verdict_sentence,
)
from crossfade.cli.output import fit_progress, message, print_json, print_table
from crossfade.embeddings import Pairs, Qrels, QueryLog

__all__ = ["assess"]

REFUSED = 1


def assess(
    pairs: Annotated[
        Path, typer.Argument(help="A sample of the items in both spaces: ids, old, new, labels?")
    ],
    queries: Annotated[
        Path | None, typer.Option(help="Real queries in both spaces; else items ask.")
    ] = None,
    gallery: Annotated[
        Path | None, typer.Option(help="What the queries search; default: the pairs.")
    ] = None,
    qrels: Annotated[
        Path | None, typer.Option(help="TREC lines: query_id 0 gallery_id relevance; or BEIR's.")
    ] = None,
    log: Annotated[
        Path | None,
        typer.Option(
            help=".npz or folder: new, old?: other real queries, as fit will be given them."
        ),
    ] = None,
    labels: Annotated[
        bool, typer.Option("--labels", help="Let methods that learn from labels compete.")
    ] = False,
    methods: Annotated[
        list[str] | None, typer.Option(help="Methods to compare; default: those of auto.")
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="To judge by; default: mrr with qrels, map with labels.")
    ] = None,
    least_gain: Annotated[
        float, typer.Option(help="Smallest gain worth having, as a share of the old model's.")
    ] = 0.01,
    items: Annotated[
        int | None, typer.Option(help="Items to backfill; default: the gallery's.")
    ] = None,
    encode_seconds: Annotated[
        float | None, typer.Option(help="Seconds that the new model takes for an item.")
    ] = None,
    rate: Annotated[float | None, typer.Option(help="Or: items a second.")] = None,
    splits: Annotated[int, typer.Option(help="Held-out parts of each kind, 1 to 3.")] = 2,
    seed: Annotated[int, typer.Option(help="Seed of splits, fits and samples.")] = 0,
    epochs: Annotated[
        int | None, typer.Option(help="Passes of trained methods over the pairs, at most.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    report: Annotated[
        Path | None, typer.Option(help="Folder for JSON, Markdown, the curves and an HTML page.")
    ] = None,
) -> None:
    """Say from a sample whether an upgrade is worth it, and how its backfill will go.

    Exit code 1 if the new model is not better: that is no upgrade.

    Example: crossfade assess pairs.npz --queries q.npz --qrels qrels.txt --rate 50
    """
    # Found out before minutes of fitting, not after.
    if report is not None:
        check_assessment_folder(report)
    sample = Pairs.load(pairs)
    with fit_progress() as progress:
        result = assess_sample(
            sample,
            None if queries is None else Pairs.load(queries),
            gallery=None if gallery is None else Pairs.load(gallery),
            qrels=None if qrels is None else Qrels.load(qrels),
            log=None if log is None else QueryLog.load(log),
            use_labels=labels,
            methods=methods,
            metric=metric,
            least_gain=least_gain,
            items=items,
            encode_seconds=encode_seconds,
            rate=rate,
            splits=splits,
            seed=seed,
            epochs=epochs,
            progress=progress,
            on_step=message,
        )
    if report is not None:
        message(f"report: {write_assessment(result, report)}")
    if json:
        print_json(result.to_json())
    else:
        _print(result)
    if result.verdict is Verdict.REFUSE:
        raise typer.Exit(REFUSED)


def _print(result: Assessment) -> None:
    typer.echo(verdict_sentence(result))
    if result.predictions:
        typer.echo()
        print_table(
            f"predicted on held-out items, {result.metric}, 95 % intervals",
            PREDICTION_HEADER,
            [prediction_row(one) for one in result.predictions],
        )
    for line in (*recommendation_lines(result), *pace_lines(result)):
        typer.echo(line)
    for finding in result.findings:
        typer.echo(f"note: {finding}")
