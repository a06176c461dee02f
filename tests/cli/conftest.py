"""Pairs on disk and a way to run the command line as a user does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from crossfade import Pairs
from crossfade.cli import main


@dataclass(frozen=True)
class Outcome:
    """What a command left: its exit code and what it printed."""

    code: int
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run ``crossfade ARGUMENTS`` in this process."""

    def run_command(*arguments: object) -> Outcome:
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        code = stopped.value.code
        return Outcome(code if isinstance(code, int) else 0, printed.out, printed.err)

    return run_command


def clustered_pairs(n: int, seed: int, first_id: int = 0) -> Pairs:
    """Twelve classes seen by a blurred old model (12-d) and a sharp new one (20-d)."""
    world = np.random.default_rng(99)
    centres, old_map, new_map = (world.normal(size=size) for size in ((12, 8), (8, 12), (8, 20)))
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 12
    latent = centres[labels] + 0.5 * rng.normal(size=(n, 8))
    old = np.maximum(latent, 0) @ old_map + 0.8 * rng.normal(size=(n, 12))
    return Pairs.of(np.arange(first_id, first_id + n), old, latent @ new_map, labels)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """``fit.npz`` (240 pairs), ``gallery.npz`` (120), ``queries.npz`` (36), ``qrels.txt``."""
    gallery = clustered_pairs(120, 2, 1000)
    queries = clustered_pairs(36, 3, 5000)
    clustered_pairs(240, 1).save(tmp_path / "fit.npz")
    gallery.save(tmp_path / "gallery.npz")
    queries.save(tmp_path / "queries.npz")
    lines = [
        f"{query} 0 {item} 1"
        for query, label in zip(queries.ids, queries.labels, strict=True)
        for item in gallery.ids[gallery.labels == label]
    ]
    (tmp_path / "qrels.txt").write_text("\n".join(lines))
    return tmp_path
