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


def test_an_http_endpoint_that_is_busy_now_and_then_backfills_all_but_the_bad_item() -> None:
    done = subprocess.run(
        [sys.executable, EXAMPLES / "openai_endpoint.py"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    state, parked, found = done.stdout.splitlines()
    # 7 batches of 64 and two refusals.
    assert state == "parked: 400 done in 9 requests"
    assert parked == "parked: 9999, the payload has no 'text'"
    assert found.count("teal sofa") == 4
