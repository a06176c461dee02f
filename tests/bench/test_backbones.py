"""ResNets train, are resumed, and make data sets that the bench measures."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from photo_worlds import write_cifar100, write_imagenet, write_market1501, write_places365
from PIL import Image

from crossfade.bench import BuildPlan, DataSet
from crossfade.bench.backbones.pair import BackbonePlan, train_pair
from crossfade.bench.backbones.resnet import ARCHITECTURES
from crossfade.bench.backbones.training import TrainingSettings, train_backbone
from crossfade.bench.backbones.views import batches, plain_view, training_view
from crossfade.bench.layouts import Shape, read_photos
from crossfade.bench.suites.paper import build
from crossfade.cli import main
from crossfade.errors import InvalidInput

TINY = BackbonePlan(epochs=1, batch_size=16, dim=8, old_dim=8)


def quiet(_: str) -> None:
    return None


@pytest.mark.parametrize(("name", "millions"), [("resnet18", 11.177), ("resnet50", 23.508)])
def test_networks_have_the_known_number_of_weights(name: str, millions: float) -> None:
    network = ARCHITECTURES[name](16, 224)
    body = sum(p.numel() for n, p in network.named_parameters() if not n.startswith("embedding"))
    assert body / 1e6 == pytest.approx(millions, abs=0.001)


@pytest.mark.parametrize("pixels", [32, 224])
def test_a_small_photo_is_not_shrunk_by_the_stem(pixels: int) -> None:
    network = ARCHITECTURES["resnet18"](16, pixels)
    with torch.inference_mode():
        out = network.stem(torch.zeros(1, 3, pixels, pixels))
    assert out.shape[-1] == (32 if pixels == 32 else 56)


def test_a_block_starts_as_its_shortcut() -> None:
    block = ARCHITECTURES["resnet18"](16, 32).stages[1]
    features = torch.rand(4, 64, 8, 8)
    assert torch.allclose(block(features), features)


def test_views_have_the_networks_shape_and_repeat_by_seed() -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (70, 90, 3), dtype=np.uint8))
    for shape in (Shape(32, 32, False), Shape(64, 32, False), Shape(48, 48, True)):
        for view in (plain_view, training_view):
            one, two, other = (view(image, shape, np.random.default_rng(s)) for s in (1, 1, 2))
            assert one.shape == (shape.height, shape.width, 3)
            assert np.array_equal(one, two)
            assert np.array_equal(one, other) == (view is plain_view)


def test_batches_come_in_order_and_normalised(tmp_path: Path) -> None:
    photos = read_photos(write_cifar100(tmp_path)).train
    rows = [np.array([4, 0]), np.array([7])]
    first, second = batches(photos, rows, Shape(32, 32, False), plain_view, 0)
    assert (first.shape, second.shape) == ((2, 3, 32, 32), (1, 3, 32, 32))
    red = np.asarray(photos.read(4), np.float32)[:, :, 0] / 255
    assert np.allclose(first[0, 0], (red - 0.485) / 0.229, atol=1e-5)


def test_the_old_model_sees_a_share_of_photos_or_of_classes() -> None:
    labels = np.repeat(np.arange(10), 20)
    by_data = BackbonePlan(old_share=0.3, by="data").seen_by_old(labels)
    assert by_data.sum() == 60
    assert len(np.unique(labels[by_data])) == 10
    by_class = BackbonePlan(old_share=0.3, by="classes").seen_by_old(labels)
    assert by_class.sum() == 60
    assert len(np.unique(labels[by_class])) == 3
    assert BackbonePlan(old_share=1.0).seen_by_old(labels).all()


@pytest.mark.parametrize("changes", [{"old_share": 0.0}, {"old_share": 1.5}, {"by": "luck"}])
def test_a_share_of_nothing_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(InvalidInput, match="old share"):
        BackbonePlan(**changes)


@pytest.mark.slow
def test_a_training_that_was_stopped_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    photos = read_photos(write_cifar100(tmp_path, train=24)).train
    shape = Shape(8, 8, False)
    settings = TrainingSettings("resnet18", 4, epochs=2, batch_size=12, seed=0)
    whole = train_backbone(photos, shape, settings, tmp_path / "a.pt", quiet)

    def stop(text: str) -> None:
        if "epoch 2" in text:  # told before the epoch's checkpoint: only the first epoch's is there
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_backbone(photos, shape, settings, tmp_path / "b.pt", stop)
    told: list[str] = []
    again = train_backbone(photos, shape, settings, tmp_path / "b.pt", told.append)
    assert "going on after epoch 1" in told[0]
    assert len(told) == 2
    for one, two in zip(whole.parameters(), again.parameters(), strict=True):
        assert torch.allclose(one, two, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("write", "fitted", "gallery", "queries"),
    [(write_cifar100, 48, 18, None), (write_market1501, 6, 7, 2)],
)
def test_one_epoch_makes_a_data_set_that_is_measured(
    tmp_path: Path,
    write: Callable[[Path], Path],
    fitted: int,
    gallery: int,
    queries: int | None,
) -> None:
    photos = read_photos(write(tmp_path / "data"))
    made = train_pair(photos, TINY, tmp_path / "pair", quiet)
    assert (len(made.fit), len(made.gallery)) == (fitted, gallery)
    assert (None if made.queries is None else len(made.queries)) == queries
    assert (made.ignored is None) == (queries is None)
    assert (made.fit.source.dim, made.fit.target.dim) == (8, 8)
    assert json.loads((tmp_path / "pair" / "backbones.json").read_text())["old_share"] == 0.5
    assert {"old.safetensors", "new.safetensors"} <= {p.name for p in (tmp_path / "pair").iterdir()}
    # The second time nothing is trained: a broken data folder is not even noticed.
    again = train_pair(photos, TINY, tmp_path / "pair", quiet)
    assert again.fingerprint() == made.fingerprint()
    assert DataSet.load(tmp_path / "pair").fingerprint() == made.fingerprint()
    with pytest.raises(InvalidInput, match="other settings or data"):
        train_pair(photos, TINY.but(seed=1), tmp_path / "pair", quiet)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("write", "layout"), [(write_imagenet, "imagenet"), (write_places365, "places365")]
)
def test_large_photos_train_too(tmp_path: Path, write: Callable[[Path], Path], layout: str) -> None:
    write(tmp_path / "data")
    plan = BuildPlan(0, quick=True, say=quiet, data=tmp_path / "data")
    data = build(layout, TINY.but(old_share=0.7), plan)
    assert (len(data.fit), len(data.gallery)) == (18, 9)


@pytest.mark.slow
def test_seeds_of_one_folder_are_put_together_and_other_folders_are_not(tmp_path: Path) -> None:
    sources = []
    for name, seed in (("data", 0), ("data", 1), ("other", 0)):
        if not (tmp_path / name).exists():
            write_cifar100(tmp_path / name)
        plan = BuildPlan(seed, quick=True, say=quiet, data=tmp_path / name)
        sources.append(build("cifar100", TINY, plan).source)
    assert sources[0] is not None
    assert sources[0] == sources[1] != sources[2]


def test_a_suite_of_the_users_data_wants_a_folder() -> None:
    with pytest.raises(InvalidInput, match="give --data FOLDER"):
        build("cifar100", TINY, BuildPlan(0, quick=True, say=quiet))


def test_a_folder_of_somebody_elses_is_not_written(tmp_path: Path) -> None:
    photos = read_photos(write_cifar100(tmp_path / "data"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("")
    with pytest.raises(InvalidInput, match="holds other files"):
        train_pair(photos, TINY, tmp_path / "mine", quiet)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


@pytest.mark.slow
def test_the_command_trains_a_pair_and_measures_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, pair = str(write_cifar100(tmp_path / "data")), str(tmp_path / "pair")
    training = ["train-backbones", data, "--out", pair, "--epochs", "1", "--batch-size", "16",
                "--dim", "8", "--old-share", "0.5", "--by", "data", "--json"]  # fmt: skip
    measuring = [pair, "--methods", "rank_merge", "--seeds", "1", "--json", "--out",
                 str(tmp_path / "out")]  # fmt: skip
    printed = []
    for arguments in (training, measuring):
        try:
            main(["bench", *arguments])
        except SystemExit as stopped:
            assert not stopped.code, capsys.readouterr().err
        printed.append(json.loads(capsys.readouterr().out))
    assert printed[0] == {"folder": pair, "pairs": 48, "gallery": 18, "queries": None}
    assert (printed[1][0]["suite"], printed[1][0]["metric"]) == ("pair", "map")
