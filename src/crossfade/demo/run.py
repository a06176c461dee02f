"""The demo, step by step."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from crossfade.backfill import Backfill
from crossfade.demo.answers import Stage, ask, select
from crossfade.demo.folder import DemoFolder, claim_folder
from crossfade.demo.images import DemoImages, load_images
from crossfade.demo.live import LiveFigures, LiveQueries
from crossfade.demo.models import ItemEncoder, Models, on_one_thread, train_new, train_old
from crossfade.demo.page import ExamplesPage
from crossfade.demo.plan import DemoPlan
from crossfade.demo.result import DemoResult, LivePoint
from crossfade.demo.screen import Screen
from crossfade.embeddings import Pairs
from crossfade.evaluation import EvaluationResult, evaluate
from crossfade.evaluation.report import Page, write_report
from crossfade.fit.api import fit
from crossfade.fit.settings import FitProgress
from crossfade.gallery import Gallery, open_gallery
from crossfade.upgrade import Upgrade

__all__ = ["run"]

_METHOD = "contrastive"
_COMPARED = ("forward_ridge", "rank_merge")
_BATCH_ITEMS = 30


@dataclass(frozen=True, eq=False)
class Upgraded:
    """What the backfill left for the report.

    Attributes:
        stages: answers of the old system, and at coverage 0, 50 and 100 %.
        points: what the live queries measured. last: their last figures.
    """

    stages: tuple[Stage, ...]
    points: tuple[LivePoint, ...]
    last: LiveFigures


def run(root: Path, seed: int, plan: DemoPlan) -> DemoResult:
    """Run the demo; see :func:`crossfade.demo.run_demo`."""
    screen = Screen()
    images = load_images(plan)
    with claim_folder(root) as folder, on_one_thread():
        return _Demo(folder, seed, plan, screen, images).run()


@dataclass(frozen=True, eq=False)
class _Demo:
    folder: DemoFolder
    seed: int
    plan: DemoPlan
    screen: Screen
    images: DemoImages
    started: float = field(default_factory=time.monotonic)

    def run(self) -> DemoResult:
        models = self._train()
        pairs = models.pairs(self.images.training)
        upgrade = self._fit(pairs)
        upgrade.save(self.folder.upgrade)
        items, queries = models.pairs(self.images.gallery), models.pairs(self.images.queries)
        with open_gallery(f"qdrant://{self.folder.gallery}", upgrade) as gallery:
            self._fill(gallery, items)
            upgraded = self._backfill(gallery, models, items, queries)
        results = self._evaluate(pairs, upgrade, items, queries)
        return self._report(results, upgraded)

    def _train(self) -> Models:
        n, classes = len(self.images.training), self.plan.old_classes
        self.screen.say(f"[bold]1[/]  Two models, trained on {n:,} real images")
        with self.screen.bar(f"old model, has seen {classes} of 10 classes") as show:
            old = train_old(
                self.images.training, self.plan, self.seed, lambda step: show(*step.shown)
            )
        with self.screen.bar("new model, wider, has seen all 10") as show:
            new = train_new(
                self.images.training, self.plan, self.seed, lambda step: show(*step.shown)
            )
        return Models(old, new)

    def _fit(self, pairs: Pairs) -> Upgrade:
        self.screen.say(f"[bold]2[/]  The upgrade, fitted on {len(pairs):,} pairs of embeddings")
        with self.screen.bar(f"fit, method {_METHOD}") as show:

            def progress(fitting: FitProgress) -> None:
                note = "" if fitting.loss is None else f"loss {fitting.loss:.3f}"
                show(fitting.done, fitting.total, note)

            return fit(
                pairs, _METHOD, seed=self.seed, epochs=self.plan.fit_epochs, progress=progress
            )

    def _fill(self, gallery: Gallery, items: Pairs) -> None:
        """What the old system holds: old embeddings, and what each item is."""
        self.screen.say("[bold]3[/]  The gallery, as the old system left it")
        with self.screen.bar(f"{len(items):,} images in an embedded store"):
            payloads = [{"image": id} for id in items.ids.tolist()]
            gallery.upsert(items.ids, old=items.old_rows(), payload=payloads)
            gallery.prepare()

    def _backfill(self, gallery: Gallery, models: Models, items: Pairs, queries: Pairs) -> Upgraded:
        """Move all items; stop half-way for a moment to write down what is answered then."""
        pace = self.plan.items_per_second
        self.screen.say(
            f"[bold]4[/]  The backfill, held to {pace:,.0f} images a second so that there is "
            f"something to watch; {self.plan.live_queries:,} of the queries go on"
        )
        encoder = ItemEncoder(models.new, self.images.gallery, pace)
        job = Backfill(gallery, encoder, seed=self.seed, batch_size=_BATCH_ITEMS)
        label_of = dict(zip(items.ids.tolist(), self.images.gallery.labels.tolist(), strict=True))
        old, new = self._ends(gallery.upgrade, items, queries)
        shown: list[LiveFigures] = []
        with self.screen.live(gallery.count) as show:

            def on_point(point: LivePoint, answered: int) -> None:
                shown.append(LiveFigures(point, old, new, answered))
                show(shown[-1])

            stages = [ask("old system", gallery, queries, label_of, old=True)]
            stages.append(ask("0 %", gallery, queries, label_of))
            live = self.images.queries.first(self.plan.live_queries)
            with LiveQueries(gallery, models.new, live, self.images.gallery, on_point) as asking:
                job.run(max_items=gallery.count // 2)
                stages.append(ask("50 %", gallery, queries, label_of))
                job.run()
                asking.wait_for_a_round()
            stages.append(ask("100 %", gallery, queries, label_of))
        return Upgraded(tuple(stages), tuple(asking.points), shown[-1])

    def _ends(self, upgrade: Upgrade, items: Pairs, queries: Pairs) -> tuple[float, float]:
        """mAP of the old and the new model alone, on the live queries."""
        live = queries.subset(range(self.plan.live_queries))
        ends = evaluate(upgrade, items, live, steps=2)
        return ends.old_old["map"], ends.new_new["map"]

    def _evaluate(
        self, pairs: Pairs, upgrade: Upgrade, items: Pairs, queries: Pairs
    ) -> Mapping[str, EvaluationResult]:
        self.screen.say("[bold]5[/]  The report, over all queries")
        results = {}
        with self.screen.bar(f"curves, beside {' and '.join(_COMPARED)}") as show:
            compared = {name: fit(pairs, name, seed=self.seed) for name in _COMPARED}
            for done, (name, one) in enumerate({_METHOD: upgrade, **compared}.items()):
                results[name] = evaluate(one, items, queries, seed=self.seed)
                show(done + 1, 1 + len(compared), "")
        return results

    def _report(self, results: Mapping[str, EvaluationResult], upgraded: Upgraded) -> DemoResult:
        before, after = upgraded.stages[0], upgraded.stages[-1]
        examples = ExamplesPage(
            self.images.gallery,
            self.images.queries,
            upgraded.stages,
            select(before, after, self.seed),
            upgraded.points,
            upgraded.last,
        )
        page = write_report(
            results,
            self.folder.report,
            title="Crossfade demo",
            pages=[Page("examples.html", "Example queries, as pictures", examples.render())],
        )
        seconds = round(time.monotonic() - self.started, 1)
        self._summary(results[_METHOD], seconds)
        return DemoResult(
            page=page,
            gallery=self.folder.gallery,
            upgrade=self.folder.upgrade,
            evaluation=results[_METHOD],
            live=upgraded.points,
            live_old=upgraded.last.old,
            live_new=upgraded.last.new,
            answered=upgraded.last.answered,
            seconds=seconds,
        )

    def _summary(self, result: EvaluationResult, seconds: float) -> None:
        curve, figures = result.metrics["map"], result.figures["map"]
        self.screen.say(
            f"\nOver all queries: mAP {result.old_old['map']:.3f} with the old model, "
            f"{curve[0]:.3f} before the first image was moved, {curve[-1]:.3f} after the last.\n"
            f"Gain share {figures.gain_share:.0%} (a straight line from old to new: 50%), "
            f"worst point {figures.worst_point:+.3f} against the old system. "
            f"{seconds:.0f} seconds in all."
        )
