"""ResNet-18 and ResNet-50 with an embedding layer.

He, Zhang, Ren, Sun, *Deep Residual Learning for Image Recognition*, CVPR 2016, with the stride
of a bottleneck in its 3x3 convolution, and each block's last scale starting at zero. Photos of
at most 64 pixels get a stem without downsampling, as is the custom on CIFAR.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

__all__ = ["ARCHITECTURES", "ResNet"]

_SMALL_PIXELS = 64
_WIDTHS = (64, 128, 256, 512)


class ResNet(nn.Module):
    """Photos ``(b, 3, height, width)`` to embeddings ``(b, dim)``."""

    def __init__(self, block: Callable[[int, int, int], _Block], depths: tuple[int, ...],
                 dim: int, pixels: int) -> None:  # fmt: skip
        super().__init__()
        self.stem = _stem(small=pixels <= _SMALL_PIXELS)
        stages: list[nn.Module] = []
        channels = _WIDTHS[0]
        for number, (width, depth) in enumerate(zip(_WIDTHS, depths, strict=True)):
            for place in range(depth):
                made = block(channels, width, 2 if number and not place else 1)
                stages.append(made)
                channels = made.channels_out
        self.stages = nn.Sequential(*stages)
        self.embedding = nn.Linear(channels, dim)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, photos: Tensor) -> Tensor:
        features: Tensor = self.stages(self.stem(photos))
        embeddings: Tensor = self.embedding(features.mean(dim=(2, 3)))
        return embeddings


class _Block(nn.Module):
    """A residual branch beside the identity, or beside a projection where the shape changes."""

    def __init__(
        self, branch: nn.Sequential, channels: int, channels_out: int, stride: int
    ) -> None:
        super().__init__()
        self.channels_out = channels_out
        self.branch = branch
        last = branch[-1]
        if isinstance(last, nn.BatchNorm2d):
            nn.init.zeros_(last.weight)
        same = stride == 1 and channels == channels_out
        self.shortcut = (
            nn.Identity() if same else nn.Sequential(*_conv(channels, channels_out, 1, stride))
        )

    def forward(self, features: Tensor) -> Tensor:
        total: Tensor = self.branch(features) + self.shortcut(features)
        return torch.relu(total)


def _basic(channels: int, width: int, stride: int) -> _Block:
    layers = (*_conv(channels, width, 3, stride), nn.ReLU(), *_conv(width, width, 3, 1))
    return _Block(nn.Sequential(*layers), channels, width, stride)


def _bottleneck(channels: int, width: int, stride: int) -> _Block:
    layers = (
        *_conv(channels, width, 1, 1),
        nn.ReLU(),
        *_conv(width, width, 3, stride),
        nn.ReLU(),
        *_conv(width, 4 * width, 1, 1),
    )
    return _Block(nn.Sequential(*layers), channels, 4 * width, stride)


def _stem(*, small: bool) -> nn.Sequential:
    if small:
        return nn.Sequential(*_conv(3, _WIDTHS[0], 3, 1), nn.ReLU())
    return nn.Sequential(
        *_conv(3, _WIDTHS[0], 7, 2), nn.ReLU(), nn.MaxPool2d(3, stride=2, padding=1)
    )


def _conv(channels: int, width: int, size: int, stride: int) -> tuple[nn.Module, nn.Module]:
    convolution = nn.Conv2d(channels, width, size, stride, padding=size // 2, bias=False)
    return convolution, nn.BatchNorm2d(width)


def _resnet18(dim: int, pixels: int) -> ResNet:
    return ResNet(_basic, (2, 2, 2, 2), dim, pixels)


def _resnet50(dim: int, pixels: int) -> ResNet:
    return ResNet(_bottleneck, (3, 4, 6, 3), dim, pixels)


ARCHITECTURES: Mapping[str, Callable[[int, int], ResNet]] = {
    "resnet18": _resnet18,
    "resnet50": _resnet50,
}
"""Name -> a function of the embedding's width and the photos' shorter side in pixels."""
