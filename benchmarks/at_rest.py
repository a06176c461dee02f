"""A linear forward map at rest, or at query time with one stored number an item.

At rest every stored old vector o is rewritten as ``f(o) / |f(o)|`` with ``f(o) = o W + b``, and a
query q scores ``q . f(o) / |f(o)|``. The same map at query time leaves the old vectors as they
are: ``q . f(o) = (W q) . o + q . b``, so the store searches them with ``W q``, and the score is
divided by a number stored with the item, its *length* ``|f(o)|``. Over all items the two are the
same score, which is asserted here; but a store searches by inner product, so it is the K best of
the score not divided that are divided and ranked.

For each suite and seed, `forward_ridge` without labels, one encoder, random order:

1. Curves over full rankings at rest, at query time, not divided, and divided by the mean length
   of the gallery: gain share and worst point in the suite's metric.
2. Of k = 10 results: the share of the ten best that are among the K = 10 F best not divided, at
   coverage 0, and the gain share in nDCG@10 if the store gives K items of the old side at every
   coverage. The same with a *tilted* query, that leans to short images: one over the length is
   regressed on the items' old vectors, and its slope, by the level of the query's scores in a
   sample of the items, is added to ``W q``.
3. For the first seed, what either costs in the embedded store: mapping and writing, an index of
   the mapped vectors, a query. One number an item is written by the engine's payload operation,
   and by a ``put`` of the whole item, the only way that the stores' contract has.

The mapped vectors lie in the d_old + 1 dimensions that W and b span. Where these are fewer than
d_new, the *narrow* form, their coordinates there, gives the scores of at rest, too (asserted).

    python -m benchmarks.at_rest [SUITE ...] [--seeds 3] [--queries 2000]

A SUITE is a name of ``crossfade bench list`` or a folder with fit.npz, gallery.npz, ...
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import qdrant_edge as edge
from numpy.typing import NDArray

import crossfade
from crossfade.bench.dataset import DataSet
from crossfade.bench.suite import BuildPlan, Suite
from crossfade.bench.suites import suites_named
from crossfade.embeddings import FloatArray, Pairs, normalise
from crossfade.evaluation import evaluate
from crossfade.evaluation.curve import BackfillingCurve, Scores, coverage_grid, curve_from_scores
from crossfade.evaluation.figures import area, gain_share
from crossfade.evaluation.orders import backfill_order
from crossfade.evaluation.relevance import Relevance, relevance_of
from crossfade.gallery.prepare import map_old_vectors
from crossfade.stores import Draft, Match, Store, open_store
from crossfade.upgrade import Affine, Upgrade

RESULTS = Path(__file__).parent / "results"
SUITES = (
    "fashion-extended-class",
    "wesnoth-rows",
    "stamps",
    "emoji-vendors",
    "wordnet-glove-wordllama",
    "debian-glove-wordllama",
    "vital-wordllama-l6",
    "debian-l3-l6",
)
METHOD = "forward_ridge"
K = 10
FACTORS = (1, 2, 4, 10, 30)
STEPS = 11
TOP_METRIC = "ndcg@10"
"""Depends on the first ten of the merged list alone."""
TOLERANCE = 1e-5
"""Of scores, which are up to 1: float32 over a few hundred products."""
TILT_PENALTY, TILT_SAMPLE, TILT_RANK = 1e-3, 1_000, 5
CHUNK = 500
"""Queries scored at once."""
LARGER_QUERIES = 250
COST_ITEMS, COST_QUERIES, BATCH = 10_000, 100, 1_024
_DISCOUNTS = 1 / np.log2(np.arange(2, K + 2))
Search = Callable[[NDArray[np.intp]], FloatArray]
"""From the rows of some queries to their scores of all items."""


@dataclass(frozen=True, eq=False)
class Reverse:
    """A linear forward map, used on the query's side.

    Attributes:
        affine: the map before its images are scaled to unit length.
    """

    affine: Affine

    @classmethod
    def of(cls, upgrade: Upgrade) -> Reverse:
        """From an upgrade whose forward map is linear."""
        assert upgrade.forward is not None and not upgrade.forward.layers
        assert isinstance(upgrade.forward.skip, Affine) and upgrade.rho is None
        return cls(upgrade.forward.skip)

    def queries(self, new: FloatArray) -> FloatArray:
        """What the old vectors are searched with, ``(q, d_old)``."""
        return np.asarray(new @ self.affine.weight.T)

    def constants(self, new: FloatArray) -> FloatArray:
        """What every item's score of a query has in addition, ``(q, 1)``."""
        return np.asarray(new @ self.affine.bias)[:, None]

    def lengths(self, old: FloatArray) -> FloatArray:
        """The number stored with each item, ``(n,)``."""
        return np.asarray(np.linalg.norm(self.affine(old), axis=1), dtype=np.float32)

    @cached_property
    def basis(self) -> FloatArray:
        """Orthonormal columns ``(d_new, d_old + 1)`` that span all that the map gives."""
        rows = np.vstack([self.affine.weight, self.affine.bias]).astype(np.float64)
        return np.asarray(np.linalg.qr(rows.T)[0], dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Task:
    """A draw of a suite's data with its map; columns of scores in the order of the ids."""

    suite: Suite
    seed: int
    data: DataSet
    queries: Pairs
    upgrade: Upgrade

    @cached_property
    def reverse(self) -> Reverse:
        """The map on the query's side."""
        return Reverse.of(self.upgrade)

    @cached_property
    def gallery(self) -> Pairs:
        """The items in the order of their ids."""
        every = self.data.gallery
        return every.subset(np.argsort(every.ids, kind="stable"))

    @cached_property
    def mapped(self) -> FloatArray:
        """The items at rest."""
        mapped = self.upgrade.map_items(self.gallery.old_rows())
        assert mapped is not None
        return mapped

    @cached_property
    def lengths(self) -> FloatArray:
        """The items' stored numbers."""
        return self.reverse.lengths(self.gallery.old_rows())

    @cached_property
    def relevance(self) -> Relevance:
        """Of the same columns."""
        return relevance_of(self.queries, self.gallery, self.data.qrels, self.data.ignored)

    @cached_property
    def order(self) -> NDArray[np.intp]:
        """Columns, the one that is backfilled first in front."""
        return backfill_order("random", self.gallery, self.upgrade, seed=self.seed)

    def undivided(self, rows: NDArray[np.intp]) -> FloatArray:
        """``q . f(o)`` of some queries and all items, as a search of the old vectors gives it."""
        new = self.queries.new_rows(rows)
        searched = self.reverse.queries(new) @ self.gallery.old_rows().T
        return np.asarray(searched + self.reverse.constants(new))

    @cached_property
    def tilt(self) -> FloatArray:
        """What is added to a query of level 1, ``(d_old,)``."""
        return _slope(self.gallery.old_rows(), self.lengths)

    @cached_property
    def sample(self) -> FloatArray:
        """Some of the items at rest."""
        rows = np.random.default_rng(0).permutation(len(self.mapped))[:TILT_SAMPLE]
        return self.mapped[rows]

    def tilted(self, rows: NDArray[np.intp]) -> FloatArray:
        """What a search of the old vectors gives with a query that leans to short images.

        To first order about the level u of a query's best items, ``u / |f(o)|`` is an inner
        product with o. The level is that of the best of a sample of the items.
        """
        leaning = self.gallery.old_rows() @ self.tilt
        return np.asarray(self.undivided(rows) + self.levels(rows) * leaning)

    def levels(self, rows: NDArray[np.intp]) -> FloatArray:
        """The scores not divided of the best items of a sample, ``(q, 1)``."""
        among = np.sort(self.queries.new_rows(rows) @ self.sample.T, axis=1)
        return np.asarray(among[:, -TILT_RANK, None] * self.lengths.mean())

    def at_rest(self, rows: NDArray[np.intp]) -> FloatArray:
        """Scores of the rewritten vectors."""
        return np.asarray(self.queries.new_rows(rows) @ self.mapped.T)

    def narrow(self, rows: NDArray[np.intp]) -> FloatArray:
        """The same from the coordinates in what the map spans."""
        basis = self.reverse.basis
        coordinates = normalise(self.mapped @ basis)
        return np.asarray((self.queries.new_rows(rows) @ basis) @ coordinates.T)

    def divided(self, rows: NDArray[np.intp]) -> FloatArray:
        """Scores at query time."""
        return np.asarray(self.undivided(rows) / self.lengths)

    def by_mean(self, rows: NDArray[np.intp]) -> FloatArray:
        """Scores at query time, all divided by the same number."""
        return np.asarray(self.undivided(rows) / self.lengths.mean())


def _slope(old: FloatArray, lengths: FloatArray) -> FloatArray:
    """One over the length, over its mean, regressed on the old vectors."""
    centred = old.astype(np.float64) - old.mean(axis=0, dtype=np.float64)
    inverse = 1 / lengths.astype(np.float64)
    products = centred.T @ centred
    products += TILT_PENALTY * np.trace(products) / len(products) * np.eye(len(products))
    slope = np.linalg.solve(products, centred.T @ (inverse - inverse.mean()))
    return np.asarray(slope / inverse.mean(), dtype=np.float32)


def main() -> None:
    """Measure suite by suite, and write the tables after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suites", nargs="*", default=list(SUITES))
    parser.add_argument("--seeds", type=int, default=3, help="draws of the data")
    parser.add_argument("--queries", type=int, default=2_000, help="measured, at most")
    parser.add_argument("--no-curves", action="store_true", help="costs alone")
    parser.add_argument("--no-costs", action="store_true", help="curves alone")
    arguments = parser.parse_args()
    runs = {_key(run): run for run in _read(RESULTS / "at_rest.jsonl")}
    for suite in suites_named(arguments.suites):
        for seed in range(1 if arguments.no_curves else arguments.seeds):
            task = _task(suite, seed, arguments.queries)
            found = [] if arguments.no_curves else [{"what": "curves", **_quality(task)}]
            if seed == 0 and not arguments.no_costs:
                found.append({"what": "costs", **_costs(task)})
            for one in found:
                run = {"suite": suite.name, "seed": seed, **one}
                print(json.dumps(run), flush=True)
                runs[_key(run)] = run
            _write([runs[key] for key in sorted(runs, key=_place)])


def _write(runs: Sequence[dict[str, Any]]) -> None:
    lines = "".join(json.dumps(run) + "\n" for run in runs)
    (RESULTS / "at_rest.jsonl").write_text(lines, encoding="utf-8")
    (RESULTS / "at_rest.md").write_text(_page(runs), encoding="utf-8")


def _task(suite: Suite, seed: int, most: int) -> Task:
    data = suite.build(BuildPlan(seed, False, partial(print, flush=True)))
    everyone = data.gallery if data.queries is None else data.queries
    rows = np.sort(np.random.default_rng(seed).permutation(len(everyone))[:most])
    upgrade = crossfade.fit(data.fit.without_labels(), METHOD, seed=seed)
    return Task(suite, seed, data, everyone.subset(rows), upgrade)


def _quality(task: Task) -> dict[str, Any]:
    _assert_equal(task)
    metric, data = task.suite.metric, task.data
    kinds: Mapping[str, Search] = {
        "at_rest": task.at_rest,
        "divided": task.divided,
        "undivided": task.undivided,
        "by_mean": task.by_mean,
    }
    curves = {name: _curve(task, old) for name, old in kinds.items()}
    check = evaluate(
        task.upgrade,
        data.gallery,
        task.queries,
        qrels=data.qrels,
        ignored=data.ignored,
        seed=task.seed,
    )
    assert np.allclose(check.curve.mean(metric), curves["at_rest"].mean(metric), atol=1e-4)
    for own in (metric, TOP_METRIC):
        assert np.allclose(curves["at_rest"].mean(own), curves["divided"].mean(own), atol=1e-3)
    one = curves["at_rest"]
    return {
        "metric": metric,
        "pairs": len(data.fit),
        "items": len(data.gallery),
        "queries": len(one.queries),
        "dims": [data.gallery.source.dim, data.gallery.target.dim],
        "old_old": round(float(one.old_old[metric].mean()), 5),
        "new_new": round(float(one.new_new[metric].mean()), 5),
        "length_mean": round(float(task.lengths.mean()), 4),
        "length_spread": round(float(task.lengths.std() / task.lengths.mean()), 4),
        "gain_share": _shares(curves, metric),
        "worst_point": {
            name: round(curve.figures(metric).worst_point, 5) for name, curve in curves.items()
        },
        "top_gain_share": _shares(curves, TOP_METRIC),
        "fetched_top_gain_share": _fetched_shares(task, one, task.undivided),
        "tilted_top_gain_share": _fetched_shares(task, one, task.tilted),
        **_recall(task),
    }


def _assert_equal(task: Task) -> None:
    """The scores of all forms are the same but for rounding."""
    rows = np.arange(min(len(task.queries), 500))
    at_rest = task.at_rest(rows)
    narrower = len(task.reverse.affine.weight) + 1 < len(task.reverse.affine.bias)
    for own in (task.divided, *((task.narrow,) if narrower else ())):
        furthest = float(np.abs(own(rows) - at_rest).max())
        assert furthest < TOLERANCE, f"scores of {own.__name__} differ by {furthest}"


def _shares(curves: Mapping[Any, BackfillingCurve], metric: str) -> dict[str, float]:
    return {str(name): round(curve.figures(metric).gain_share, 4) for name, curve in curves.items()}


def _curve(task: Task, old: Search) -> BackfillingCurve:
    """The backfilling curve by scores of the old side."""

    def scores(rows: NDArray[np.intp]) -> Scores:
        gallery, queries = task.gallery, task.queries
        new = queries.new_rows(rows) @ gallery.new_rows().T
        plain = queries.old_rows(rows) @ gallery.old_rows().T
        return Scores(new, old(rows), new, plain)

    return curve_from_scores(scores, task.relevance, task.order, coverage_grid(STEPS))


def _fetched_shares(task: Task, at_rest: BackfillingCurve, search: Search) -> dict[str, float]:
    """By factor, the gain share if so many items of the old side, the best of a search, are
    divided and merged with the best of the new side."""
    queries = at_rest.queries
    gain = np.zeros((len(FACTORS), STEPS))
    for start in range(0, len(queries), CHUNK):
        rows = queries[start : start + CHUNK]
        for step, coverage in enumerate(at_rest.coverage):
            gain[:, step] += _fetched_gain(task, rows, coverage, search)
    ends = {
        name: float(of[TOP_METRIC].mean())
        for name, of in (("old_old", at_rest.old_old), ("new_new", at_rest.new_new))
    }
    return {
        str(factor): round(gain_share(area(at_rest.coverage, own / len(queries)), **ends), 4)
        for factor, own in zip(FACTORS, gain, strict=True)
    }


def _without_own(task: Task, rows: NDArray[np.intp], search: Search) -> FloatArray:
    """Scores of a search; what a query leaves out is never fetched."""
    scores = search(rows)
    scores[task.relevance.left_out(rows)] = -np.inf
    return scores


def _fetched_gain(
    task: Task, rows: NDArray[np.intp], coverage: float, search: Search
) -> list[float]:
    """By factor, the sum of nDCG@10 of some queries at a coverage."""
    n = round(coverage * len(task.order))
    moved, waiting = task.order[:n], task.order[n:]
    new = task.queries.new_rows(rows) @ task.gallery.new_rows().T
    searched, divided = (_without_own(task, rows, own) for own in (search, task.divided))
    new[task.relevance.left_out(rows)] = -np.inf
    grades = task.relevance.grades(rows)
    ideal = -np.sort(-grades.astype(np.float64), axis=1)[:, :K] @ _DISCOUNTS
    direct = moved[_best(new[:, moved], K)]
    mapped = waiting[_ranked(searched[:, waiting], K * max(FACTORS))]
    sums = []
    for factor in FACTORS:
        fetched = mapped[:, : K * factor]
        columns = np.hstack([direct, fetched])
        scores = np.hstack(
            [np.take_along_axis(new, direct, 1), np.take_along_axis(divided, fetched, 1)]
        )
        first = np.lexsort((columns, -scores), axis=-1)[:, :K]
        shown = np.take_along_axis(grades, np.take_along_axis(columns, first, 1), 1)
        sums.append(float((shown @ _DISCOUNTS / ideal).sum()))
    return sums


def _ranked(scores: FloatArray, k: int) -> NDArray[np.intp]:
    """Columns of the k best of each row, best first."""
    best = _best(scores, k)
    order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1, kind="stable")
    return np.take_along_axis(best, order, axis=1)


def _best(scores: FloatArray, k: int) -> NDArray[np.intp]:
    """Columns of the k best of each row, in any order."""
    if k >= scores.shape[1]:
        return np.broadcast_to(np.arange(scores.shape[1]), scores.shape)
    return np.argpartition(-scores, k - 1, axis=1)[:, :k]


def _recall(task: Task) -> dict[str, Any]:
    """At coverage 0, where the ten best divided stand in the searches that fetch."""
    undivided, tilted = (_deep(task, search) for search in (task.undivided, task.tilted))
    return {
        "recall": _within(undivided),
        "recall_tilted": _within(tilted),
        "deepest": _quantiles(undivided[:, -1]),
        "deepest_tilted": _quantiles(tilted[:, -1]),
        "among_all": _recall_among_all(task),
    }


def _deep(task: Task, search: Search) -> NDArray[np.intp]:
    queries = np.flatnonzero(task.relevance.counts() > 0)
    chunks = [queries[start : start + CHUNK] for start in range(0, len(queries), CHUNK)]
    return np.concatenate(
        [
            _ranks(_without_own(task, rows, search), _without_own(task, rows, task.divided))
            for rows in chunks
        ]
    )


def _quantiles(deepest: NDArray[np.intp]) -> dict[str, int]:
    shares = {"median": 0.5, "95 %": 0.95, "99 %": 0.99, "most": 1.0}
    return {
        name: int(np.quantile(deepest, share, method="higher")) for name, share in shares.items()
    }


def _recall_among_all(task: Task) -> dict[str, Any] | None:
    """The same of some queries among the items and the pairs fitted on, to see it grow.

    None where the queries are items themselves, and beyond the first seed.
    """
    if task.seed or task.data.queries is None or task.data.fit is task.data.gallery:
        return None
    old = np.concatenate([task.gallery.old_rows(), task.data.fit.old_rows()])
    rows = np.arange(min(len(task.queries), LARGER_QUERIES))
    new, lengths = task.queries.new_rows(rows), task.reverse.lengths(old)
    undivided = task.reverse.queries(new) @ old.T + task.reverse.constants(new)
    tilted = undivided + task.levels(rows) * (old @ _slope(old, lengths))
    return {
        "items": len(old),
        "recall": _within(_ranks(undivided, undivided / lengths)),
        "recall_tilted": _within(_ranks(tilted, undivided / lengths)),
    }


def _ranks(searched: FloatArray, divided: FloatArray) -> NDArray[np.intp]:
    """Ranks ``(q, 10)`` of the ten best divided among the scores of a search, rising."""
    best = np.take_along_axis(searched, _best(divided, K), axis=1)
    falling = np.sort(-searched, axis=1)
    found = [
        np.searchsorted(row, -own, side="right") for row, own in zip(falling, best, strict=True)
    ]
    return np.sort(np.stack(found), axis=1)


def _within(ranks: NDArray[np.intp]) -> dict[str, float]:
    """By factor, the share of the ranks that are not beyond it."""
    return {str(factor): round(float((ranks <= K * factor).mean()), 4) for factor in FACTORS}


def _costs(task: Task) -> dict[str, Any]:
    """Seconds in the embedded store, of items of the gallery and of the pairs."""
    others = np.flatnonzero(~np.isin(task.data.fit.ids, task.gallery.ids))
    old = np.concatenate([task.gallery.old_rows(), task.data.fit.old_rows(others)])[:COST_ITEMS]
    with tempfile.TemporaryDirectory() as folder:
        return {
            "items": len(old),
            "bytes": _bytes(task),
            **_write_costs(task, old, Path(folder)),
        }


def _bytes(task: Task) -> dict[str, int]:
    """What an item's vector, or number, is in float32."""
    d_old, d_new = task.data.gallery.source.dim, task.data.gallery.target.dim
    return {"at_rest": 4 * d_new, "narrow": 4 * min(d_new, d_old + 1), "length": 4}


def _write_costs(task: Task, old: FloatArray, folder: Path) -> dict[str, Any]:
    upgrade, reverse = task.upgrade, task.reverse
    assert upgrade.mapped is not None
    source, space = upgrade.source.name, upgrade.mapped.name
    uri = f"qdrant://{folder / 'store'}"
    micro = 1e6 / len(old)
    map_seconds = _seconds(lambda: upgrade.map_items(old))
    length_seconds = _seconds(lambda: reverse.lengths(old))
    lengths = reverse.lengths(old)
    with open_store(uri) as store:
        store.ensure_space(upgrade.source)
        put_seconds = _seconds(lambda: _put(store, source, old, None))
        store.ensure_space(upgrade.mapped)
        rest_seconds = _seconds(lambda: map_old_vectors(store, upgrade, space))
        at_rest = _query_costs(task, store, space)
        again_seconds = _seconds(lambda: _put(store, source, old, lengths))
        at_query = _reverse_query_costs(task, store, source)
    payload_seconds = _payload_seconds(folder, lengths)
    return {
        "put_again_us": round(again_seconds * micro, 1),
        "put_us": round(put_seconds * micro, 1),
        "map_us": round(map_seconds * micro, 2),
        "map_and_write_us": round(rest_seconds * micro, 1),
        "length_us": round(length_seconds * micro, 2),
        "payload_us": round(payload_seconds * micro, 1),
        "query_ms": {"at_rest": at_rest, **at_query},
    }


def _put(store: Store, source: str, old: FloatArray, lengths: FloatArray | None) -> None:
    """Write whole items, with their number if there is one."""
    for start in range(0, len(old), BATCH):
        rows = range(start, min(start + BATCH, len(old)))
        store.put(
            [
                Draft(
                    row,
                    {source: old[row]},
                    {"row": row} | ({} if lengths is None else {"length": float(lengths[row])}),
                )
                for row in rows
            ]
        )
    store.flush()


def _payload_seconds(folder: Path, lengths: FloatArray) -> float:
    """One number an item by the engine itself: an operation each, since each is another."""
    shard = edge.EdgeShard.load(str(next((folder / "store").rglob("edge_config.json")).parent))
    try:

        def write() -> None:
            for row, length in enumerate(lengths.tolist()):
                shard.update(edge.UpdateOperation.set_payload([row], {"length": length}))
            shard.flush()

        return _seconds(write)
    finally:
        shard.close()


def _query_costs(task: Task, store: Store, space: str) -> float:
    queries = task.queries.new_rows(np.arange(min(len(task.queries), COST_QUERIES)))
    return _milliseconds(lambda query: store.search(space, query, K), queries)


def _reverse_query_costs(task: Task, store: Store, source: str) -> dict[str, Any]:
    """By factor: with the stored number, and with it computed from the fetched old vectors."""
    queries = task.queries.new_rows(np.arange(min(len(task.queries), COST_QUERIES)))
    reverse = task.reverse

    def search(k: int, read: Callable[[list[Match]], FloatArray], query: FloatArray) -> object:
        back, constant = reverse.queries(query), reverse.constants(query)
        (found,) = store.search(source, normalise(back), k)
        undivided = np.array([match.score for match in found]) * np.linalg.norm(back)
        return np.argsort(-(undivided + constant[0, 0]) / read(found))[:K]

    def stored(found: list[Match]) -> FloatArray:
        items = store.get([match.id for match in found])
        return np.array([item.payload["length"] for item in items if item], dtype=np.float32)

    def computed(found: list[Match]) -> FloatArray:
        items = store.get([match.id for match in found], vectors=[source])
        return reverse.lengths(np.stack([item.vectors[source] for item in items if item]))

    return {
        name: {
            str(factor): _milliseconds(partial(search, K * factor, read), queries)
            for factor in FACTORS
        }
        for name, read in (("stored", stored), ("computed", computed))
    }


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _milliseconds(work: Callable[[FloatArray], object], queries: FloatArray) -> float:
    """Of one query at a time, the median."""
    taken = [_seconds(lambda query=query: work(query[None])) for query in queries]  # type: ignore[misc]
    return round(1000 * float(np.median(taken)), 2)


def _page(runs: Sequence[dict[str, Any]]) -> str:
    curves = [run for run in runs if run["what"] == "curves"]
    suites = {name: list(own) for name, own in groupby(curves, key=lambda run: run["suite"])}
    costs = [run for run in runs if run["what"] == "costs"]
    return (
        "# A linear forward map at rest, or at query time with one number an item\n\n"
        f"Made by `python -m benchmarks.at_rest`, which says what is measured; `{METHOD}` without "
        "labels, one encoder, random order, mean over the draws. *Divided* is at query time with "
        "each item's stored length; its scores are those of at rest but for rounding, which is "
        "asserted.\n" + _curves(suites) + _overfetch(suites) + _written(costs) + _asked(costs)
    )


def _curves(suites: Mapping[str, Sequence[dict[str, Any]]]) -> str:
    lines = [
        "\n## Gain share, and the worst point of all draws, of full rankings\n",
        "*Length* is the mean of the mapped lengths and their deviation, in percent of it.\n",
        "| suite | draws | metric | old -> new | length | at rest | divided | not divided | by the "
        "mean length |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, runs in suites.items():
        cells = [
            f"{_percent(_mean(runs, 'gain_share', kind))} "
            f"({min(run['worst_point'][kind] for run in runs):+.3f})"
            for kind in ("at_rest", "divided", "undivided", "by_mean")
        ]
        old, new, length, spread = (
            float(np.mean([run[key] for run in runs]))
            for key in ("old_old", "new_new", "length_mean", "length_spread")
        )
        lines.append(
            f"| {name} | {len(runs)} | {runs[0]['metric']} | {old:.3f} -> {new:.3f} | "
            f"{length:.2f} ± {100 * spread:.0f} % | {' | '.join(cells)} |"
        )
    return "\n".join(lines) + "\n"


def _overfetch(suites: Mapping[str, Sequence[dict[str, Any]]]) -> str:
    heads = " | ".join(f"K = {K * factor}" for factor in FACTORS)
    lines = [
        "\n## The ten best among the K best of a search, at coverage 0\n",
        "Share of the ten that are found by the search that is not divided, and by the tilted one; "
        "last columns: the K that finds all ten for half of the queries and for 95 % of them, in "
        "the worst draw. *With its pairs*: the same queries among the items and the pairs, "
        f"{LARGER_QUERIES} at most, of the first draw. With few items a dimension (stamps, "
        "Wesnoth) the slope fits each item's own length, which flatters the tilted search.\n",
        f"| suite | search | items | {heads} | 50 % | 95 % |",
        "|---|---|---|" + "---|" * (len(FACTORS) + 2),
    ]
    for name, runs in suites.items():
        for search, suffix in (("not divided", ""), ("tilted", "_tilted")):
            found = [f"{_mean(runs, f'recall{suffix}', str(one)):.3f}" for one in FACTORS]
            deepest = [
                f"{max(run[f'deepest{suffix}'][share] for run in runs):,}"
                for share in ("median", "95 %")
            ]
            start = f"| {name} | {search} | {runs[0]['items']:,} | "
            lines.append(start + " | ".join([*found, *deepest]) + " |")
        more = [run["among_all"] for run in runs if run["among_all"]]
        for search, suffix in (("not divided", ""), ("tilted", "_tilted")) if more else ():
            found = [f"{_mean(more, f'recall{suffix}', str(one)):.3f}" for one in FACTORS]
            start = f"| with its pairs | {search} | {more[0]['items']:,} | "
            lines.append(start + " | ".join(found) + " | | |")
    lines += [
        f"\n## Gain share in {TOP_METRIC} if the store gives K items of the old side\n",
        f"| suite | search | {heads} | all, or at rest | not divided | by the mean length |",
        "|---|---|" + "---|" * (len(FACTORS) + 3),
    ]
    for name, runs in suites.items():
        whole = [
            _percent(_mean(runs, "top_gain_share", kind))
            for kind in ("at_rest", "undivided", "by_mean")
        ]
        for search, key in (("not divided", "fetched"), ("tilted", "tilted")):
            shares = [_percent(_mean(runs, f"{key}_top_gain_share", str(one))) for one in FACTORS]
            lines.append(f"| {name} | {search} | {' | '.join([*shares, *whole])} |")
            whole = [""] * 3
    return "\n".join(lines) + "\n"


def _written(costs: Sequence[dict[str, Any]]) -> str:
    lines = [
        "\n## What is written, embedded store, first draw\n",
        "Bytes are computed: float32, without the store's own overhead; *narrow*: coordinates in "
        "the d_old + 1 dimensions that the map spans, if these are fewer. Microseconds an item are "
        "measured, once, while other work ran, so they are noisy. *Map and write*: read, map, "
        "write under condition, flush, as a job does. *Number*: by the engine's payload operation, "
        "one an item, without reading or condition; by a `put` of the whole item, the old vector "
        "included. An approximate index of the mapped vectors comes on top of at rest "
        "(0.3 to 3 ms an item, by store: [`store_recall.md`](store_recall.md)); at query time that "
        "of the old vectors stays.\n",
        "| suite | items | bytes: at rest | narrow | number | map alone, µs | map and write | "
        "length alone, µs | number, engine | number, `put` |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for cost in costs:
        sizes = cost["bytes"]
        lines.append(
            f"| {cost['suite']} | {cost['items']:,} | {sizes['at_rest']:,} | {sizes['narrow']:,} | "
            f"{sizes['length']} | {cost['map_us']:.1f} | {cost['map_and_write_us']:.0f} "
            f"| {cost['length_us']:.1f} | {cost['payload_us']:.0f} | {cost['put_again_us']:.0f} |"
        )
    return "\n".join(lines) + "\n"


def _asked(costs: Sequence[dict[str, Any]]) -> str:
    heads = " | ".join(f"K = {K * factor}" for factor in FACTORS)
    lines = [
        "\n## A query of ten results, milliseconds, exact search, first draw\n",
        "Measured, the median of one query at a time. At query time K items are searched by their "
        "old vectors, then read with their number / with their old vectors, of which the number is "
        "computed, so that nothing at all is written.\n",
        f"| suite | items | at rest | {heads} |",
        "|---|---|---|" + "---|" * len(FACTORS),
    ]
    for cost in costs:
        asked = cost["query_ms"]
        cells = [
            f"{asked['stored'][str(one)]:.1f} / {asked['computed'][str(one)]:.1f}"
            for one in FACTORS
        ]
        start = f"| {cost['suite']} | {cost['items']:,} | {asked['at_rest']:.1f} | "
        lines.append(start + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _mean(runs: Sequence[dict[str, Any]], what: str, key: str) -> float:
    return float(np.mean([run[what][key] for run in runs]))


def _key(run: dict[str, Any]) -> tuple[str, int, str]:
    return run["suite"], run["seed"], run["what"]


def _place(key: tuple[str, int, str]) -> tuple[int, str, int, str]:
    name, seed, what = key
    return SUITES.index(name) if name in SUITES else len(SUITES), name, seed, what


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    main()
