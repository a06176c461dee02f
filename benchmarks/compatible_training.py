"""BCT and BiCT on Fashion-MNIST: what a compatible new model buys at once, and what it costs.

Three models of a seed: the old one, a new one trained as if there were no old one, and a new
one trained with the old classifier beside its own (BCT). The old model saw five of the ten
classes, or a tenth of the images. The gallery is the test images, which are the queries too,
each leaving itself out; mAP over the whole gallery, 11 steps, random order.

    python -m benchmarks.compatible_training [--seeds 1] [--images 60000] [--old-weight 1.0]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

import crossfade
from crossfade.baselines.bct import BctSettings, TrainedEncoder, bct_upgrade, train_bct
from crossfade.baselines.bict import fit_bict
from crossfade.bench.suites.fashion import Split, fashion_mnist
from crossfade.demo.cnn import as_input, cnn_trunk
from crossfade.fit.class_means import class_means
from crossfade.fit.settings import FitSettings

RESULTS = Path(__file__).parent / "results"
OLD_DIM, NEW_DIM = 64, 128


def main() -> None:
    """Train, measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--images", type=int, default=60_000, help="training images, at most")
    parser.add_argument("--gallery", type=int, default=10_000, help="test images, at most")
    parser.add_argument("--old-weight", type=float, default=1.0, help="lambda of BCT")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    train, test = fashion_mnist("train"), fashion_mnist("t10k")
    train = train.where(slice(arguments.images))
    test = test.where(slice(arguments.gallery))
    runs = [
        run
        for seed in range(arguments.seeds)
        for run in _runs(train, test, seed, arguments.old_weight)
    ]
    RESULTS.mkdir(exist_ok=True)
    lines = "".join(json.dumps(run) + "\n" for run in runs)
    (RESULTS / "compatible_training.jsonl").write_text(lines, encoding="utf-8")
    (RESULTS / "compatible_training.md").write_text(_table(runs, arguments), encoding="utf-8")


def _runs(train: Split, test: Split, seed: int, old_weight: float) -> Iterator[dict[str, Any]]:
    tenth = np.random.default_rng(seed).permutation(len(train.labels)) < len(train.labels) // 10
    for name, seen in (("extended class", train.labels < 5), ("extended data", tenth)):
        part = train.where(seen)
        old = _train(part, 8, OLD_DIM, BctSettings(epochs=3, seed=100 + seed))
        # The old classifier of all classes, those it never saw too: its class means.
        means = class_means(old(as_input(train.images)), train.labels, 10)
        free = _train(train, 16, NEW_DIM, BctSettings(epochs=3, seed=seed))
        settings = BctSettings(epochs=3, seed=seed, old_weight=old_weight)
        compatible = _train(train, 16, NEW_DIM, settings, means)
        for new_name, new in (("free", free), ("BCT", compatible)):
            fitting, gallery = (_pairs(split, old, new) for split in (train, test))
            for upgrade in _upgrades(new_name, new, fitting, seed):
                run = {"suite": name, "seed": seed, "new model": new_name}
                run |= _measure(upgrade, gallery, seed)
                print(run, flush=True)
                yield run


def _train(
    split: Split, channels: int, dim: int, settings: BctSettings, old: Any = None
) -> TrainedEncoder:
    build: Callable[[], torch.nn.Module] = lambda: cnn_trunk(channels, dim)  # noqa: E731
    return train_bct(build, as_input(split.images), split.labels, old, settings)


def _upgrades(
    new_name: str, new: TrainedEncoder, fitting: crossfade.Pairs, seed: int
) -> Iterator[crossfade.Upgrade]:
    yield bct_upgrade(fitting.source, fitting.target)
    yield crossfade.fit(fitting.without_labels(), "forward_ridge", seed=seed)
    if new_name == "BCT":
        yield fit_bict(fitting, new.classifier, FitSettings(seed=seed, forward_hidden=(512, 512)))


def _measure(upgrade: crossfade.Upgrade, gallery: crossfade.Pairs, seed: int) -> dict[str, Any]:
    result = crossfade.evaluate(upgrade, gallery, seed=seed)
    return {
        "method": upgrade.method if upgrade.method != "bct" else "new query as it is",
        "old/old": round(result.old_old["map"], 4),
        "new/old": round(result.metrics["map"][0], 4),
        "new/new": round(result.new_new["map"], 4),
        "curve": [round(value, 4) for value in result.metrics["map"]],
        "gain_share": round(result.gain_share["map"], 4),
        "worst_point": round(result.worst_point["map"], 4),
    }


def _pairs(split: Split, old: TrainedEncoder, new: TrainedEncoder) -> crossfade.Pairs:
    inputs = as_input(split.images)
    return crossfade.Pairs.of(range(len(inputs)), old(inputs), new(inputs), split.labels)


def _table(runs: list[dict[str, Any]], arguments: argparse.Namespace) -> str:
    lines = [
        f"{arguments.seeds} seed(s), {arguments.images:,} training images, "
        f"{arguments.gallery:,} in the gallery, lambda {arguments.old_weight:g}; mAP. Made by",
        f"`python -m benchmarks.compatible_training --seeds {arguments.seeds} "
        f"--images {arguments.images} --gallery {arguments.gallery} "
        f"--old-weight {arguments.old_weight:g}`.",
        "",
        "| suite | new model | old side | old/old | new/old | new/new | gain share | worst |",
        "|---|---|---|---|---|---|---|---|",
    ]
    keys = ("suite", "new model", "method")
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for run in runs:
        groups.setdefault(tuple(run[key] for key in keys), []).append(run)
    for group, same in groups.items():
        mean = {
            cell: float(np.mean([run[cell] for run in same]))
            for cell in ("old/old", "new/old", "new/new", "gain_share", "worst_point")
        }
        lines.append(
            f"| {' | '.join(group)} | {mean['old/old']:.3f} | {mean['new/old']:.3f} "
            f"| {mean['new/new']:.3f} | {mean['gain_share']:.0%} | {mean['worst_point']:+.3f} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
