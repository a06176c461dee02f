"""A suite: a pair of models on a data set, and what to measure on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from crossfade.bench.dataset import LOGS, DataSet
from crossfade.bench.packages import PythonPackage
from crossfade.errors import InvalidInput

__all__ = ["WITHOUT_LABELS", "WITH_LABELS", "WITH_LOGS", "BuildPlan", "Say", "Setting", "Suite"]

WITHOUT_LABELS = (
    "rank_merge",
    "rank_merge+z_score",
    "rank_merge+rrf",
    "rank_merge+isotonic",
    "rank_merge_quantile",
    "forward_ridge",
    "auto",
)
"""What most suites measure where the user names nothing."""
WITH_LABELS = ("contrastive", "forward_contrastive")
"""Likewise, where pairs have classes."""
WITH_LOGS = {"auto+recorded": "queries", **{f"auto+{suffix}": suffix for suffix in LOGS}}
"""Likewise, where there is a log of queries, or of texts in their place; which, by method."""

Say = Callable[[str], None]
"""Told, in one line, what is being done."""


class Setting(StrEnum):
    """What makes the new model another one, or the evaluation a harder one."""

    EXTENDED_DATA = "extended data"
    EXTENDED_CLASS = "extended class"
    ARCHITECTURE = "other architecture"
    WIDTH = "other width"
    OPEN_CLASS = "open class"
    INSTANCE = "instance"
    SMALL_GAP = "small gap"
    STEP_BACK = "step back"
    OWN = "own data"


@dataclass(frozen=True)
class BuildPlan:
    """How to build a suite's data.

    Attributes:
        seed: of the split and of models that the suite trains.
        quick: small sets, for a look.
        say: told what takes long.
        data: the folder that the user gave, for suites that need one.
    """

    seed: int
    quick: bool
    say: Say
    data: Path | None = None

    def size(self, full: int, quick: int) -> int:
        """How many: ``full``, or ``quick`` for a look."""
        return quick if self.quick else full

    def data_folder(self) -> Path:
        """The user's folder.

        Raises:
            InvalidInput: none was given.
        """
        if self.data is None:
            raise InvalidInput("this suite reads a data set that you have; give --data FOLDER")
        return self.data


@dataclass(frozen=True)
class Suite:
    """A pair of models on a data set.

    Attributes:
        name: as users write it. family: several suites at once.
        summary: one line: the data, the old and the new model.
        setting: how the two models, or fitting and evaluation, differ.
        metric: the one that tables show; a name in :data:`crossfade.evaluation.METRICS`.
        methods: fitted unless the user names others.
        build: makes the data.
        needs: Python packages beyond the package's own.
        reads_data: reads a data set that the user has, with ``--data``.
    """

    name: str
    family: str
    summary: str
    setting: Setting
    metric: str
    methods: tuple[str, ...]
    build: Callable[[BuildPlan], DataSet]
    needs: tuple[PythonPackage, ...] = ()
    reads_data: bool = False
