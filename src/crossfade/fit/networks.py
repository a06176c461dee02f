"""Small trainable maps and their export to the NumPy forward pass."""

from __future__ import annotations

import itertools
import math
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from crossfade.embeddings import FloatArray
from crossfade.upgrade import Affine, Calibration, Transform

__all__ = ["MapNetwork", "ScoreScaleAndOffset"]


class MapNetwork(nn.Module):
    """``x -> skip(x) + MLP(x)``, scaled to unit length.

    Blocks are Linear-BatchNorm-ReLU, the last block is Linear only (Seo et al., WACV 2025,
    section "Reverse query transform").

    Args:
        dim_in, dim_out: widths of the embeddings taken and given.
        hidden: widths of the hidden layers.
        skip: added to the MLP's output: the identity (the paper's residual rho), a frozen
            affine map, or nothing. With a skip the last layer starts at zero, so that
            training starts from the skip alone.
    """

    def __init__(
        self,
        dim_in: int,
        dim_out: int,
        hidden: tuple[int, ...],
        skip: Affine | Literal[True] | None = None,
    ) -> None:
        super().__init__()
        widths = (dim_in, *hidden)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(a, b), nn.BatchNorm1d(b), nn.ReLU())
            for a, b in itertools.pairwise(widths)
        )
        self.last = nn.Linear(widths[-1], dim_out)
        self.identity = skip is True
        self.affine: nn.Linear | None = None
        if isinstance(skip, Affine):
            self.affine = _frozen(skip)
        if skip is not None:
            nn.init.zeros_(self.last.weight)
            nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, dim_in)`` to ``(n, dim_out)`` unit rows."""
        return nn.functional.normalize(self.raw(x), dim=1)

    def raw(self, x: Tensor) -> Tensor:
        """The same before scaling, for losses that compare lengths too."""
        hidden = x
        for block in self.blocks:
            hidden = block(hidden)
        out: Tensor = self.last(hidden)
        if self.identity:
            out = out + x
        if self.affine is not None:
            out = out + self.affine(x)
        return out

    def export(self) -> Transform:
        """The same map for NumPy, each batch normalisation folded into its linear layer."""
        layers = [_folded(block) for block in self.blocks]
        layers.append(_affine(self.last.weight, self.last.bias))
        if self.identity:
            return Transform(True, tuple(layers))
        skip = None if self.affine is None else _affine(self.affine.weight, self.affine.bias)
        return Transform(skip, tuple(layers))


class ScoreScaleAndOffset(nn.Module):
    """A learned scale and offset of old-side scores, exported as the merge calibration."""

    def __init__(self) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(()))
        self.offset = nn.Parameter(torch.zeros(()))

    def forward(self, scores: Tensor) -> Tensor:
        """Map scores of any shape; strictly increasing."""
        return scores * self.log_scale.exp() + self.offset

    def export(self) -> Calibration:
        """As the artifact's calibration."""
        return Calibration.affine(math.exp(self.log_scale.item()), self.offset.item())


def _frozen(skip: Affine) -> nn.Linear:
    linear = nn.Linear(*skip.weight.shape)
    linear.weight.data = torch.from_numpy(np.ascontiguousarray(skip.weight.T))
    linear.bias.data = torch.from_numpy(skip.bias.copy())
    return linear.requires_grad_(False)


def _folded(block: nn.Module) -> Affine:
    linear, norm = block[0], block[1]  # type: ignore[index]
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    weight = linear.weight * scale[:, None]
    bias = (linear.bias - norm.running_mean) * scale + norm.bias
    return _affine(weight, bias)


def _affine(weight: Tensor, bias: Tensor) -> Affine:
    return Affine(_numpy(weight.T), _numpy(bias))


def _numpy(tensor: Tensor) -> FloatArray:
    # A copy: the exported map must not go on changing with the network.
    return np.array(tensor.detach().to(torch.float32).numpy(), order="C")
