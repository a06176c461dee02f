"""The whole idea on real images: train, fit, backfill under live queries, report."""

from __future__ import annotations

from pathlib import Path

from crossfade.demo.plan import DemoPlan
from crossfade.demo.result import DemoResult

__all__ = ["DemoPlan", "DemoResult", "run_demo"]


def run_demo(folder: str | Path, seed: int = 0, plan: DemoPlan | None = None) -> DemoResult:
    """Upgrade a live gallery of Fashion-MNIST images from an old model to a new one.

    Trains both models, fits the upgrade, opens the gallery in ``folder``, backfills it while
    queries are answered, and writes the report. Progress goes to stderr. An earlier run in
    the same folder is replaced.

    Args:
        folder: for the gallery, the upgrade and the report.
        seed: of everything that is drawn.
        plan: sizes and efforts; the default takes about two minutes on two cores.

    Raises:
        MissingExtra: the extra ``demo`` is not installed.
        OutputError: the folder holds something else, is in use, or can't be written.
        InvalidInput: a plan that can't be carried out.
    """
    # Imported here: the command line must not load PyTorch for its other verbs.
    from crossfade.demo.extras import require_extras

    require_extras()
    from crossfade.demo.run import run

    return run(Path(folder), seed, plan or DemoPlan())
