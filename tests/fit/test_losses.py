"""Losses against slow loops, and where a known library has the same formula, against it."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from pytorch_metric_learning.losses import NTXentLoss

from crossfade.fit.losses import contrastive_loss, distillation_loss, rqt_loss

B = 12
TAU = 0.1
LABELS = torch.tensor([0, 1, 2] * 4)


def unit(seed: int, dim: int = 6, b: int = B) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(b, dim, generator=generator), dim=1)


def scores(seed: int, b: int = B) -> torch.Tensor:
    return unit(seed, b=b) @ unit(seed + 1, b=b).T


def slow_contrastive(
    new: torch.Tensor, old: torch.Tensor, labels: list[int], shared: bool
) -> float:
    """METHODS in triple loops: positives j, negatives k, one or two denominators Z_i."""
    b = len(labels)
    sums, queries = [0.0, 0.0], [0, 0]
    for i in range(b):
        negatives = [k for k in range(b) if labels[k] != labels[i]]
        z = [sum(math.exp(s[i, k] / TAU) for k in negatives) for s in (new, old)]
        z = [sum(z)] * 2 if shared else z
        for system, s in enumerate((new, old)):
            positives = [j for j in range(b) if labels[j] == labels[i] and (j != i or system == 1)]
            terms = []
            for j in positives:
                e = math.exp(s[i, j] / TAU)
                terms.append(-math.log(e / (e + z[system])))
            if terms:
                sums[system] += sum(terms) / len(terms)
                queries[system] += 1
    return sum(total / max(1, count) for total, count in zip(sums, queries, strict=True))


def slow_distillation(
    new: torch.Tensor, old: torch.Tensor, teacher: torch.Tensor, mask: torch.Tensor, tau_t: float
) -> float:
    total, b = 0.0, len(new)
    for i in range(b):
        others = [j for j in range(b) if j != i]
        mixed = {j: float(new[i, j] if mask[i, j] else old[i, j]) / TAU for j in others}
        log_sum = math.log(sum(math.exp(value) for value in mixed.values()))
        weights = {j: math.exp(float(teacher[i, j]) / tau_t) for j in others}
        for j in others:
            total -= weights[j] / sum(weights.values()) * (mixed[j] - log_sum)
    return total / b


def test_the_rqt_loss_is_the_mean_distance_to_the_old_vector() -> None:
    mapped, target = unit(0), unit(1)
    slow = sum(1 - float(m @ t) for m, t in zip(mapped, target, strict=True)) / B
    assert rqt_loss(mapped, target).item() == pytest.approx(slow, rel=1e-5)
    assert rqt_loss(target, target).item() == pytest.approx(0, abs=1e-6)
    assert rqt_loss(-target, target).item() == pytest.approx(2, rel=1e-5)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize(
    "labels", [[0, 1, 2] * 4, [0] * 6 + [1] * 5 + [2], list(range(B)), [0] * B]
)
def test_the_contrastive_loss_is_what_slow_loops_compute(labels: list[int], shared: bool) -> None:
    new, old = scores(0), scores(5)
    fast = contrastive_loss(new, old, torch.tensor(labels), TAU, "both" if shared else "own")
    assert fast.item() == pytest.approx(slow_contrastive(new, old, labels, shared), rel=1e-4)


def test_a_contrastive_loss_computed_by_hand() -> None:
    # Two items of two classes: no positive on the new side, itself on the old side.
    new = torch.tensor([[1.0, 0.2], [0.2, 1.0]])
    old = torch.tensor([[0.7, 0.1], [0.3, 0.5]])
    loss = contrastive_loss(new, old, torch.tensor([0, 1]), 1.0)
    e = math.exp
    first = -math.log(e(0.7) / (e(0.7) + e(0.2) + e(0.1)))
    second = -math.log(e(0.5) / (e(0.5) + e(0.2) + e(0.3)))
    assert loss.item() == pytest.approx((first + second) / 2, rel=1e-5)


def test_with_own_denominators_each_term_is_nt_xent() -> None:
    # With classes of one size the mean over positive pairs is the mean over queries.
    new, old, mapped = unit(0), unit(1), unit(2)
    known = NTXentLoss(temperature=TAU)
    # Another label object says that the reference is another set: an item is then its own mate.
    wanted = known(new, LABELS) + known(mapped, LABELS, ref_emb=old, ref_labels=LABELS.clone())
    ours = contrastive_loss(new @ new.T, mapped @ old.T, LABELS, TAU, "own")
    assert ours.item() == pytest.approx(wanted.item(), rel=1e-4)


def gradient(loss: Callable[[torch.Tensor], torch.Tensor], at: torch.Tensor) -> torch.Tensor:
    given = at.clone().requires_grad_()
    loss(given).backward()
    assert given.grad is not None
    return given.grad


def test_negatives_of_one_system_weigh_in_the_other_only_where_they_are_shared() -> None:
    new, old = scores(0), scores(5)
    negative = LABELS[:, None] != LABELS[None, :]
    # Positives of the old system alone move with old scores when denominators are apart.
    frozen = torch.where(negative, old, torch.full_like(old, 100.0))  # no old cost is left
    shared = gradient(lambda s: contrastive_loss(new, s, LABELS, TAU, "both"), frozen)
    own = gradient(lambda s: contrastive_loss(new, s, LABELS, TAU, "own"), frozen)
    assert (shared[negative] > 0).all()
    assert own[negative].abs().max() == 0


def test_the_shared_denominator_sees_a_scale_that_the_own_ones_do_not() -> None:
    new, old = scores(0), scores(5)
    shifted = old + 0.3
    for negatives, same in (("both", False), ("own", True)):
        plain = contrastive_loss(new, old, LABELS, TAU, negatives).item()  # type: ignore[arg-type]
        moved = contrastive_loss(new, shifted, LABELS, TAU, negatives).item()  # type: ignore[arg-type]
        assert (moved == pytest.approx(plain, rel=1e-4)) is same


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e3, 1e6])
@pytest.mark.parametrize("labels", [[0, 1, 2] * 4, [0] * B, list(range(B))])
def test_extreme_scores_have_finite_losses_and_gradients(scale: float, labels: list[int]) -> None:
    classes = torch.tensor(labels)
    mask = torch.arange(B) % 2 == 0
    for seed in range(3):
        new, old = scores(seed) * scale, -scores(seed + 5) * scale
        losses: list[Callable[[torch.Tensor], torch.Tensor]] = [
            lambda s, old=old: contrastive_loss(s, old, classes, 0.01),  # type: ignore[misc]
            lambda s, new=new: contrastive_loss(new, s, classes, 0.01, "own"),  # type: ignore[misc]
            lambda s, old=old: distillation_loss(s, old, old, mask, 0.01, 0.01),  # type: ignore[misc]
        ]
        for loss in losses:
            assert torch.isfinite(loss(new))
            assert torch.isfinite(gradient(loss, new)).all()


@pytest.mark.parametrize("own_state", [True, False])
def test_the_distillation_loss_is_what_slow_loops_compute(own_state: bool) -> None:
    new, old, teacher = scores(0), scores(5), scores(9)
    generator = torch.Generator().manual_seed(0)
    mask = torch.rand(B, B, generator=generator) < 0.5
    if not own_state:
        mask = mask[0]
    fast = distillation_loss(new, old, teacher, mask, TAU, 0.05)
    slow = slow_distillation(new, old, teacher, mask.expand(B, B), 0.05)
    assert fast.item() == pytest.approx(slow, rel=1e-4)


@pytest.mark.parametrize("backfilled", [True, False])
def test_with_all_items_on_one_side_only_that_side_is_distilled(backfilled: bool) -> None:
    new, old, teacher = scores(0), scores(5), scores(9)
    mask = torch.full((B,), backfilled)
    loss = distillation_loss(new, old, teacher, mask, TAU, 0.05)
    student = new if backfilled else old
    plain = torch.nn.functional.cross_entropy(
        off_diagonal(student) / TAU, torch.softmax(off_diagonal(teacher) / 0.05, dim=1)
    )
    assert loss.item() == pytest.approx(plain.item(), rel=1e-4)
    other = scores(77)
    changed = (new, other) if backfilled else (other, old)
    same = distillation_loss(*changed, teacher, mask, TAU, 0.05)
    assert same.item() == pytest.approx(loss.item())


def off_diagonal(matrix: torch.Tensor) -> torch.Tensor:
    b = len(matrix)
    return matrix[~torch.eye(b, dtype=torch.bool)].reshape(b, b - 1)


def test_the_students_own_item_has_no_part_in_the_loss() -> None:
    new, old, mask = scores(0), scores(5), torch.arange(B) % 2 == 0
    plain = distillation_loss(new, old, new, mask, TAU, 0.05)
    lifted = [matrix + torch.eye(B) * 5 for matrix in (new, old)]
    assert distillation_loss(*lifted, lifted[0], mask, TAU, 0.05).item() == pytest.approx(
        plain.item(), rel=1e-5
    )


def test_a_student_that_agrees_with_the_teacher_can_not_do_better() -> None:
    teacher = scores(0)
    mask = torch.zeros(B, dtype=torch.bool)
    best = distillation_loss(teacher, teacher, teacher, mask, 0.05, 0.05)
    for seed in range(5):
        other = teacher + 0.05 * scores(seed + 20)
        assert distillation_loss(teacher, other, teacher, mask, 0.05, 0.05) > best
