"""Every example runs as it stands and says what it promises."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parent.parent / "examples"


def test_the_quick_start_reaches_full_coverage_without_regret() -> None:
    done = subprocess.run(
        [sys.executable, EXAMPLES / "quickstart.py"], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert "coverage 0%" in done.stdout
    assert "coverage 100%" in done.stdout
    share, worst = done.stdout.rsplit("gain share ", 1)[1].split("%, worst point ")
    assert int(share) > 50
    assert float(worst) > 0
