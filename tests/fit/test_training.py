"""The training loop: seeds, early stopping, memory, and what it refuses."""

from __future__ import annotations

import math
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch

from crossfade import Pairs, Side
from crossfade.errors import InvalidInput
from crossfade.fit.losses import rqt_loss
from crossfade.fit.networks import MapNetwork
from crossfade.fit.rqt import fit_rqt
from crossfade.fit.settings import FitProgress, FitSettings
from crossfade.fit.systems import Batch, TwoSystems
from crossfade.fit.training import Training, train
from crossfade.testing.worlds import make_world

SETTINGS = FitSettings(epochs=4, hidden=(16,))
PAIRS = make_world(items=300, queries=0, dim_old=6, dim_new=9).gallery


def objective(systems: TwoSystems, batch: Batch, _: torch.Generator) -> torch.Tensor:
    return rqt_loss(systems.map(batch.new), batch.old)


def new_systems(seed: int = 0) -> TwoSystems:
    torch.manual_seed(seed)
    return TwoSystems(Side.QUERY, MapNetwork(9, 6, (16,)))


def run(settings: FitSettings = SETTINGS, pairs: Pairs = PAIRS) -> tuple[TwoSystems, Training]:
    systems = new_systems()
    return systems, train(systems, pairs, objective, settings, method="rqt")


def test_training_lowers_the_held_out_loss() -> None:
    _, training = run(SETTINGS.but(epochs=10, learning_rate=0.01))
    assert training.held_out_loss[-1] < 0.5 * training.held_out_loss[0]
    assert len(training.held_out_loss) == 11  # the start, then ten epochs
    assert training.pairs == 270


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    first, again, other = (fit_rqt(PAIRS, SETTINGS.but(seed=seed)).id for seed in (0, 0, 1))
    assert first == again != other


def test_the_callers_random_state_is_left_alone() -> None:
    torch.manual_seed(123)
    np.random.seed(5)
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    first = fit_rqt(PAIRS, SETTINGS).id
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert (np.random.get_state()[1] == numpy_state).all()
    torch.manual_seed(321)
    assert fit_rqt(PAIRS, SETTINGS).id == first


def losses_of(values: list[float]) -> tuple[TwoSystems, object]:
    """An objective whose held-out loss is prescribed; training moves the weights on."""
    systems = new_systems()
    seen = iter(values)

    def prescribed(systems: TwoSystems, batch: Batch, _: torch.Generator) -> torch.Tensor:
        loss = rqt_loss(systems.map(batch.new), batch.old)
        return loss if systems.training else torch.tensor(next(seen))

    return systems, prescribed


def kept(values: list[float], patience: int = 8) -> tuple[TwoSystems, Training]:
    systems, prescribed = losses_of(values)
    settings = FitSettings(epochs=len(values) - 1, patience=patience, hidden=(16,), held_out=0.02)
    training = train(systems, PAIRS, prescribed, settings, method="m")  # type: ignore[arg-type]
    return systems, training


def same(a: TwoSystems, b: TwoSystems) -> bool:
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


def test_the_weights_of_the_best_epoch_are_kept() -> None:
    # The start, then four epochs; the schedule depends on the epochs in all.
    systems, training = kept([5.0, 3.0, 4.0, 4.5, 3.5])
    assert training.best_epoch == 1
    assert training.held_out_loss == (5.0, 3.0, 4.0, 4.5, 3.5)
    assert same(systems, kept([5.0, 3.0, 9.0, 9.0, 9.0])[0])
    assert not same(systems, kept([5.0, 3.0, 4.0, 4.5, 1.0])[0])
    assert not systems.training


def test_the_kept_weights_have_the_best_held_out_loss() -> None:
    settings = FitSettings(epochs=12, learning_rate=0.3, hidden=(16,))
    systems, training = run(settings)
    assert training.held_out_loss[-1] > min(training.held_out_loss)  # or the test says nothing
    rows = np.sort(np.random.default_rng(0).permutation(300)[:30])
    batch = Batch(
        torch.from_numpy(PAIRS.old_rows(rows)), torch.from_numpy(PAIRS.new_rows(rows)), None
    )
    with torch.no_grad():
        loss = objective(systems, batch, torch.Generator()).item()
    assert loss == pytest.approx(min(training.held_out_loss), rel=1e-4)


def test_a_map_that_only_gets_worse_stays_as_it_began() -> None:
    systems, training = kept([1.0, 3.0, 4.0])
    assert training.best_epoch == 0
    assert not same(systems, kept([5.0, 3.0, 4.0])[0])


def test_training_stops_when_patience_is_over() -> None:
    _, training = kept([3.0, 2.0, 2.5, 2.5, 2.5, 2.5, 1.0], patience=3)
    assert len(training.held_out_loss) == 5
    assert training.best_epoch == 1


def test_a_diverged_run_is_an_error_and_no_map() -> None:
    with pytest.raises(InvalidInput, match=r"training m diverged: .* lower learning_rate"):
        kept([3.0, math.nan, 2.0])


def test_held_out_rows_are_never_trained_on() -> None:
    ids: dict[bool, set[tuple[float, ...]]] = {True: set(), False: set()}

    def watching(systems: TwoSystems, batch: Batch, generator: torch.Generator) -> torch.Tensor:
        ids[systems.training].update(map(tuple, batch.new.tolist()))
        return objective(systems, batch, generator)

    train(new_systems(), PAIRS, watching, SETTINGS, method="m")
    assert not ids[True] & ids[False]
    assert len(ids[False]) == 30


def test_progress_rises_to_the_end_with_loss_and_time_left() -> None:
    seen: list[FitProgress] = []
    fit_rqt(PAIRS, SETTINGS, seen.append)
    done = [progress.done for progress in seen]
    assert done == sorted(set(done)) == list(range(1, seen[-1].total + 1))
    assert {progress.total for progress in seen} == {seen[-1].done}
    assert {progress.method for progress in seen} == {"rqt"}
    assert all(p.loss is not None and math.isfinite(p.loss) for p in seen)
    assert all(p.seconds_left is not None and p.seconds_left >= 0 for p in seen)
    assert seen[-1].seconds_left == 0


@pytest.mark.parametrize("n", [8, 9, 20, 33, 64, 65])
def test_few_pairs_make_full_batches(n: int) -> None:
    _, training = run(SETTINGS, PAIRS.subset(range(n)))
    assert training.pairs == n - max(2, round(0.1 * n))
    assert all(map(math.isfinite, training.held_out_loss))


@pytest.mark.parametrize("n", [0, 1, 7])
def test_too_few_pairs_are_refused(n: int) -> None:
    with pytest.raises(InvalidInput, match=f"at least 8 pairs, got {n}"):
        run(SETTINGS, PAIRS.subset(range(n)))


def test_memory_mapped_pairs_train_to_the_same_weights(tmp_path: Path) -> None:
    PAIRS.save(tmp_path / "pairs")
    assert fit_rqt(Pairs.load(tmp_path / "pairs"), SETTINGS).id == fit_rqt(PAIRS, SETTINGS).id


MEMORY = """
    import resource, sys
    import torch
    from crossfade import Pairs
    from crossfade.fit import api
    from crossfade.fit.rqt import fit_rqt
    from crossfade.fit.settings import FitSettings

    torch.set_num_threads(1)
    api._MOST_FITTING_BYTES = 4 * 2**20

    def anonymous_kb():
        # Pages of mapped files may be dropped at any time; only the rest is held.
        with open("/proc/self/status") as status:
            lines = dict(line.split(":") for line in status)
        return int(lines["RssAnon"].split()[0])

    settings = FitSettings(epochs=1, hidden=(8,))
    small = Pairs.load(sys.argv[1]).subset(range(2_000))
    fit_rqt(small, settings)
    api.fit(small, "forward_ridge")
    before, most = anonymous_kb(), 0

    def watch(_):
        global most
        most = max(most, anonymous_kb())

    pairs = Pairs.load(sys.argv[1])
    fit_rqt(pairs, settings, watch)
    api.fit(pairs, "forward_ridge")
    watch(None)
    print((max(most, anonymous_kb()) - before) // 1024)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's /proc")
def test_memory_mapped_pairs_are_fitted_without_being_loaded_whole(tmp_path: Path) -> None:
    n, dim = 60_000, 128
    rng = np.random.default_rng(0)
    (tmp_path / "pairs").mkdir()
    np.save(tmp_path / "pairs" / "ids.npy", np.arange(n))
    for name in ("old", "new"):
        rows = rng.random((n, dim), np.float32)
        np.save(tmp_path / "pairs" / f"{name}.npy", rows)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(MEMORY), str(tmp_path / "pairs")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    whole = 2 * n * dim * 4 // 2**20
    assert int(done.stdout) < whole / 2
