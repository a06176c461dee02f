"""Runs in a file, one JSON object a line; what was measured before is kept."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["read_lines", "write_lines"]


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The runs; none if there is no file yet."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write_lines(path: Path, runs: Iterable[Mapping[str, Any]]) -> None:
    """All runs, instead of those that are there."""
    path.write_text("".join(json.dumps(run) + "\n" for run in runs), encoding="utf-8")
