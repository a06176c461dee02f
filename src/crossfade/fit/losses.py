"""Losses on score matrices. Rows are queries i, columns are items j, both of one batch.

``new_scores[i, j]`` compares query i with backfilled item j, ``old_scores[i, j]`` with the
same item not yet backfilled (through psi or the forward map); both before the temperature.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import log_softmax, softmax, softplus

__all__ = ["Negatives", "contrastive_loss", "distillation_loss", "rqt_loss"]

Negatives = Literal["both", "own"]
_NEVER = -1e9


def rqt_loss(mapped: Tensor, target: Tensor) -> Tensor:
    """L_RQT = mean_i (1 - <psi(n_i), o_i>) on unit rows ``(n, d)`` [Seo2025, eq. RQT]."""
    return (1.0 - (mapped * target).sum(dim=1)).mean()


def contrastive_loss(
    new_scores: Tensor,
    old_scores: Tensor,
    labels: Tensor,
    temperature: float,
    negatives: Negatives = "both",
) -> Tensor:
    """Metric-compatible contrastive loss [Seo2025].

    ``- mean_i mean_{j in P(i)} log(e^{s_ij} / (e^{s_ij} + Z_i))`` for both systems, with one
    denominator of negatives shared by both, ``Z_i = sum_N exp(s^n) + sum_N exp(s^o)``: that
    makes the two distances comparable. ``j = i`` is a positive for the old system only.

    Args:
        new_scores, old_scores: ``(b, b)`` inner products.
        labels: ``(b,)`` integers.
        negatives: ``"own"`` gives each system its own denominator (the single-system
            ablation: nothing ties the two scales together).
    """
    same = labels[:, None] == labels[None, :]
    other = torch.eye(len(labels), dtype=torch.bool, device=labels.device).logical_not()
    new_logits, old_logits = new_scores / temperature, old_scores / temperature
    new_z = new_logits.masked_fill(same, _NEVER).logsumexp(dim=1)
    old_z = old_logits.masked_fill(same, _NEVER).logsumexp(dim=1)
    if negatives == "both":
        new_z = old_z = torch.logaddexp(new_z, old_z)
    return _positive_term(new_logits, new_z, same & other) + _positive_term(old_logits, old_z, same)


def distillation_loss(
    new_scores: Tensor,
    old_scores: Tensor,
    teacher_scores: Tensor,
    backfilled: Tensor,
    temperature: float,
    teacher_temperature: float,
) -> Tensor:
    """Metric-compatible distillation: the mixed list learns the new model's own ranking.

    ``S_ij = m_j s^n_ij + (1 - m_j) s^o_ij`` is the list as the service sees it under a random
    backfill state m; ``L = - mean_i sum_j T_ij log softmax_j(S_ij)`` with the teacher
    ``T_i = softmax_j(<n_i, n_j> / tau_T)``, each without ``j = i``.

    Args:
        new_scores, old_scores, teacher_scores: ``(b, b)``.
        backfilled: ``(b,)`` bool, or ``(b, b)`` for a state of its own for each query.
    """
    mixed = torch.where(backfilled, new_scores, old_scores) / temperature
    itself = torch.eye(*mixed.shape, dtype=torch.bool, device=mixed.device)
    target = softmax((teacher_scores / teacher_temperature).masked_fill(itself, _NEVER), dim=1)
    return -(target * log_softmax(mixed.masked_fill(itself, _NEVER), dim=1)).sum(dim=1).mean()


def _positive_term(logits: Tensor, log_z: Tensor, positive: Tensor) -> Tensor:
    # -log(e^s / (e^s + Z)) = softplus(log Z - s), which never overflows.
    cost = softplus(log_z[:, None] - logits) * positive
    count = positive.sum(dim=1)
    mean = cost.sum(dim=1) / count.clamp(min=1)
    # A query without another item of its class has no term; it must not dilute the mean.
    return mean.sum() / (count > 0).sum().clamp(min=1)
