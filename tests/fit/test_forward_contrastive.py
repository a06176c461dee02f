"""Labels on the items' side: what they gain, and what they must not cost."""

import numpy as np
import pytest

from crossfade import Pairs, evaluate
from crossfade.embeddings import normalise
from crossfade.evaluation import EvaluationResult
from crossfade.fit.contrastive import fit_contrastive
from crossfade.fit.forward_contrastive import fit_forward_contrastive
from crossfade.fit.forward_mlp import fit_forward_mlp
from crossfade.fit.settings import FitSettings
from crossfade.upgrade import Upgrade

QUICK = FitSettings(epochs=12, hidden=(64,), rho_hidden=(64,), forward_hidden=(64,))
CLASSES, DIM = 12, 24


def world(classes: range, items: int, seed: int) -> Pairs:
    """Items about the centres of their classes, seen through an old and a new model."""
    centres = np.random.default_rng(0).normal(size=(CLASSES, DIM))
    turn = np.random.default_rng(1).normal(size=(DIM, 10))
    rng = np.random.default_rng(seed)
    labels = rng.choice(np.array(classes), items)
    content = centres[labels] + 0.9 * rng.normal(size=(items, DIM))
    new = content + 0.5 * rng.normal(size=(items, DIM))
    old = content @ turn + 4.0 * rng.normal(size=(items, 10))
    return Pairs.of(range(items), normalise(old), normalise(new), labels)


SEEN, UNSEEN = range(8), range(8, 12)
FITTING = world(SEEN, 1_200, 2)


@pytest.fixture(scope="module")
def upgrade() -> Upgrade:
    return fit_forward_contrastive(FITTING, QUICK)


def curve(upgrade: Upgrade, classes: range) -> EvaluationResult:
    return evaluate(upgrade, world(classes, 400, 3), world(classes, 100, 4))


def test_of_classes_fitted_on_it_gains_more_than_a_map_without_labels(upgrade: Upgrade) -> None:
    ours, plain = curve(upgrade, SEEN), curve(fit_forward_mlp(FITTING, QUICK), SEEN)
    assert ours.auc["map"] > plain.auc["map"] + 0.01
    assert ours.end_point["map"] > 0.01


def test_of_other_classes_it_keeps_what_the_papers_method_loses(upgrade: Upgrade) -> None:
    ours, theirs = curve(upgrade, UNSEEN), curve(fit_contrastive(FITTING, QUICK), UNSEEN)
    assert ours.end_point["map"] > -0.02 > theirs.end_point["map"]
    assert ours.auc["map"] > theirs.auc["map"]


def test_rho_stays_near_the_new_model_and_mapped_items_near_rho(upgrade: Upgrade) -> None:
    unseen = world(UNSEEN, 200, 5)
    stored = upgrade.store_new(unseen.new)
    assert (stored * unseen.new).sum(axis=1).mean() > 0.95
    seen = world(SEEN, 200, 6)
    mapped = upgrade.map_items(seen.old)
    assert mapped is not None
    own = (mapped * upgrade.store_new(seen.new)).sum(axis=1).mean()
    assert own > 0.3
