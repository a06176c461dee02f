"""The forward pass of every map, in NumPy: serving needs no PyTorch."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from crossfade.embeddings import FloatArray, normalise
from crossfade.errors import ArtifactError, InvalidInput, SpaceMismatch

__all__ = ["Affine", "Kernel", "Transform", "unit_inputs"]

Skip = Literal["none", "identity", "affine"]
_BLOCK_ROWS = 64
"""Mapped at once by a kernel: few, since a single item costs as much."""
_SMALLEST_LENGTH = 1e-12
_SAME, _SAME_WHITENED = 1e-5, 1e-4
"""Of one minus their inner product: a vector that a store rounded to 16 bits is still the same.
Taken about the mean and whitened, what was rounded counts for more where all vectors are alike."""


@dataclass(frozen=True, eq=False)
class Affine:
    """``x -> x @ weight + bias``; weight ``(d_in, d_out)``, bias ``(d_out,)``, float32."""

    weight: FloatArray
    bias: FloatArray

    def __post_init__(self) -> None:
        if self.weight.ndim != 2 or self.bias.shape != (self.weight.shape[1],):
            raise InvalidInput(
                f"affine map of weight {self.weight.shape} and bias {self.bias.shape}; "
                "wanted (d_in, d_out) and (d_out,)"
            )
        if not (np.isfinite(self.weight).all() and np.isfinite(self.bias).all()):
            raise InvalidInput("affine map holds NaN or infinite weights; was it fitted so?")

    def __call__(self, x: FloatArray) -> FloatArray:
        # In float64: a row's image must not depend on the rows beside it, and matrix products
        # in float32 round by a row's place in the batch. Equal items would no longer tie.
        weight, bias = self.wide
        return np.asarray(x.astype(np.float64) @ weight + bias, dtype=np.float32)

    @cached_property
    def wide(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Weight and bias in float64."""
        return self.weight.astype(np.float64), self.bias.astype(np.float64)


@dataclass(frozen=True, eq=False)
class Kernel:
    """``x -> exp(gamma (z @ landmarks.T - 1)) @ weight``; z is x, or ``inputs(x)`` at unit length.

    On unit vectors this is the Gaussian kernel ``exp(-gamma |z - l|^2 / 2)`` of each landmark.

    Attributes:
        landmarks: ``(m, d_in)`` as z, weight: ``(m, d_out)``, float32, at least one row.
        gamma: how fast a landmark's influence falls with distance, more than 0.
        nugget: what a landmark's influence on the very same vector is more, 0 or more. With the
            penalty that the weights were fitted with, the landmarks' own vectors come out as they
            are (kriging's nugget effect); what lies near them does not change.
        inputs: ``(d_in, d_in)``, what makes distances of inputs mean more, or None.
    """

    landmarks: FloatArray
    weight: FloatArray
    gamma: float
    nugget: float = 0.0
    inputs: Affine | None = None

    def __post_init__(self) -> None:
        landmarks, weight = self.landmarks, self.weight
        if landmarks.ndim != 2 or weight.ndim != 2 or not 0 < len(landmarks) == len(weight):
            raise InvalidInput(
                f"kernel map of landmarks {landmarks.shape} and weight {weight.shape}; "
                "wanted (m, d_in) and (m, d_out)"
            )
        if not 0 < self.gamma < math.inf:
            raise InvalidInput(f"kernel map of gamma {self.gamma}, wanted more than 0")
        if not 0 <= self.nugget < math.inf:
            raise InvalidInput(f"kernel map of nugget {self.nugget}, wanted 0 or more")
        width = landmarks.shape[1]
        if self.inputs is not None and self.inputs.weight.shape != (width, width):
            raise InvalidInput(
                f"kernel map's inputs have weight {self.inputs.weight.shape}, "
                f"wanted ({width}, {width})"
            )
        if not (np.isfinite(landmarks).all() and np.isfinite(weight).all()):
            raise InvalidInput("kernel map holds NaN or infinite weights; was it fitted so?")

    def first(self, landmarks: int) -> Kernel:
        """The same of its first landmarks alone, with their weights as they are."""
        return replace(self, landmarks=self.landmarks[:landmarks], weight=self.weight[:landmarks])

    def joined(self, landmarks: FloatArray, weight: FloatArray) -> Kernel:
        """The sum of this map and of one with other landmarks and the same inputs and gamma."""
        assert not self.nugget  # which would be the other landmarks' as well
        return replace(
            self,
            landmarks=np.concatenate([self.landmarks, landmarks]),
            weight=np.concatenate([self.weight, weight]),
        )

    def __call__(self, x: FloatArray) -> FloatArray:
        out = np.empty((len(x), self.weight.shape[1]), dtype=np.float32)
        for start in range(0, len(x), _BLOCK_ROWS):
            rows = x[start : start + _BLOCK_ROWS]
            out[start : start + len(rows)] = self._of_block(rows)
        return out

    def _of_block(self, rows: FloatArray) -> NDArray[np.float64]:
        # Always a full block: sums over thousands of landmarks round by the shape of the
        # product, and a row's image must not depend on how many are beside it (see Affine).
        full = np.zeros((_BLOCK_ROWS, rows.shape[1]))
        full[: len(rows)] = rows
        if self.inputs is not None:
            full = unit_inputs(self.inputs, full)
        similar = full @ self._wide[0]
        bound = _SAME if self.inputs is None else _SAME_WHITENED
        same = similar > 1.0 - bound if self.nugget else None
        similar -= 1.0
        similar *= self.gamma
        np.exp(similar, out=similar)
        if same is not None:
            similar[same] += self.nugget
        out: NDArray[np.float64] = (similar @ self._wide[1])[: len(rows)]
        return out

    @cached_property
    def _wide(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return self.landmarks.T.astype(np.float64), self.weight.astype(np.float64)


def unit_inputs(inputs: Affine, rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """``inputs(x)`` of rows ``(n, d_in)`` at unit length; one that comes out as zero stays it."""
    z = rows @ inputs.wide[0] + inputs.wide[1]
    lengths = np.sqrt((z * z).sum(axis=1, keepdims=True))
    return np.asarray(z / np.maximum(lengths, _SMALLEST_LENGTH))


@dataclass(frozen=True, eq=False)
class Transform:
    """``x -> skip(x) + MLP(x) + kernel(x)``, scaled to unit length.

    One form covers all maps: Procrustes and ridge are a skip alone, psi is an MLP alone,
    rho is the identity plus an MLP, nonlinear forward maps are a ridge plus an MLP or a kernel
    map. Batch normalisation is folded into the layers when a network is exported.

    Attributes:
        skip: an affine map, the identity (True), or nothing (None).
        layers: the MLP; ReLU between layers, none after the last. May be empty.
        kernel: a kernel map, or nothing (None).
    """

    skip: Affine | Literal[True] | None
    layers: tuple[Affine, ...] = ()
    kernel: Kernel | None = None

    def __post_init__(self) -> None:
        if not self.layers and self.kernel is None and not isinstance(self.skip, Affine):
            raise InvalidInput("a transform needs an affine skip or at least one layer or a kernel")
        for first, second in zip(self.layers, self.layers[1:], strict=False):
            if first.weight.shape[1] != second.weight.shape[0]:
                raise InvalidInput(
                    f"layers of {first.weight.shape} and {second.weight.shape} don't connect"
                )
        if len(set(self._shapes())) > 1:
            raise InvalidInput(f"skip and layers disagree about the widths: {self._shapes()}")
        if self.skip is True and self.dim_in != self.dim_out:
            raise InvalidInput(
                f"an identity skip can't map {self.dim_in} to {self.dim_out} dimensions"
            )

    @property
    def is_closed_form(self) -> bool:
        """Whether it is an affine map, with or without a kernel map, and no network."""
        return isinstance(self.skip, Affine) and not self.layers

    @property
    def dim_in(self) -> int:
        """Width of the embeddings taken."""
        return self._shapes()[0][0]

    @property
    def dim_out(self) -> int:
        """Width of the embeddings given."""
        return self._shapes()[0][1]

    def __call__(self, x: FloatArray) -> FloatArray:
        """Map ``(n, dim_in)`` embeddings to ``(n, dim_out)`` unit rows.

        A row that maps to the exact zero vector keeps a direction: the first axis.

        Raises:
            SpaceMismatch: the width of ``x`` is not ``dim_in``.
        """
        return self.scaled(self.raw(x))

    @staticmethod
    def scaled(raw: FloatArray) -> FloatArray:
        """Rows of :meth:`raw` at unit length."""
        dead = ~raw.any(axis=1)
        if dead.any():
            raw = raw.copy()
            raw[dead, 0] = 1.0
        return normalise(raw)

    def raw(self, x: FloatArray) -> FloatArray:
        """The same before scaling; the length says how sure a regression is of a row."""
        if x.ndim != 2 or x.shape[1] != self.dim_in:
            raise SpaceMismatch(f"transform takes (n, {self.dim_in}), got {x.shape}")
        parts = []
        if self.layers:
            hidden = x
            for layer in self.layers[:-1]:
                hidden = np.maximum(layer(hidden), 0.0)
            parts.append(self.layers[-1](hidden))
        if self.kernel is not None:
            parts.append(self.kernel(x))
        if self.skip is not None:
            parts.append(x if self.skip is True else self.skip(x))
        return sum(parts[1:], start=parts[0])

    def with_kernel(self, kernel: Kernel | None) -> Transform:
        """The same with another kernel map, or none."""
        return replace(self, kernel=kernel)

    def with_nugget_share(self, share: float) -> Transform:
        """The same with a share of its kernel's nugget: 0 treats landmarks as any other vectors."""
        if self.kernel is None or not self.kernel.nugget or share == 1.0:
            return self
        return replace(self, kernel=replace(self.kernel, nugget=share * self.kernel.nugget))

    def tensors(self) -> dict[str, FloatArray]:
        """Weights by name, for saving."""
        named = {}
        if isinstance(self.skip, Affine):
            named.update({"skip.weight": self.skip.weight, "skip.bias": self.skip.bias})
        for index, layer in enumerate(self.layers):
            named[f"layers.{index}.weight"] = layer.weight
            named[f"layers.{index}.bias"] = layer.bias
        if self.kernel is not None:
            named["kernel.landmarks"] = self.kernel.landmarks
            named["kernel.weight"] = self.kernel.weight
            if (inputs := self.kernel.inputs) is not None:
                named |= {"kernel.inputs.weight": inputs.weight, "kernel.inputs.bias": inputs.bias}
        return {name: np.ascontiguousarray(value) for name, value in named.items()}

    @cached_property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that tell its weights from any other's."""
        digest = hashlib.sha256(repr(sorted(self.describe().items())).encode())
        for name, value in sorted(self.tensors().items()):
            digest.update(name.encode() + value.tobytes())
        return digest.hexdigest()[:12]

    def describe(self) -> dict[str, object]:
        """What :meth:`restore` needs beside the weights."""
        skip: Skip = "none" if self.skip is None else "identity" if self.skip is True else "affine"
        # Left out where there is none, so that other maps' fingerprints stay what they were.
        kernel = {} if self.kernel is None else {"kernel_gamma": self.kernel.gamma}
        if self.kernel is not None and self.kernel.nugget:
            kernel["kernel_nugget"] = self.kernel.nugget
        return {"skip": skip, "layers": len(self.layers), **kernel}

    @classmethod
    def restore(
        cls, description: Mapping[str, object], tensors: Mapping[str, FloatArray]
    ) -> Transform:
        """Build a transform from :meth:`describe` and :meth:`tensors`.

        Raises:
            ArtifactError: weights are missing or don't fit together.
        """
        try:
            skip: Affine | Literal[True] | None
            match description["skip"]:
                case "identity":
                    skip = True
                case "affine":
                    skip = Affine(tensors["skip.weight"], tensors["skip.bias"])
                case "none":
                    skip = None
                case other:
                    raise ValueError(f"unknown skip {other!r}")
            layers = tuple(
                Affine(tensors[f"layers.{index}.weight"], tensors[f"layers.{index}.bias"])
                for index in range(int(str(description["layers"])))
            )
            kernel = None
            if "kernel_gamma" in description:
                gamma = float(str(description["kernel_gamma"]))
                nugget = float(str(description.get("kernel_nugget", 0.0)))
                landmarks, weight = tensors["kernel.landmarks"], tensors["kernel.weight"]
                inputs = None
                if "kernel.inputs.weight" in tensors:
                    inputs = Affine(tensors["kernel.inputs.weight"], tensors["kernel.inputs.bias"])
                kernel = Kernel(landmarks, weight, gamma, nugget, inputs)
            restored = cls(skip, layers, kernel)
            unused = tensors.keys() - restored.tensors().keys()
            if unused:
                raise ValueError(f"{', '.join(sorted(unused))} not described")
            return restored
        except (KeyError, ValueError) as error:
            raise ArtifactError(
                f"the artifact's weights don't fit its description: {error}"
            ) from error

    def _shapes(self) -> Sequence[tuple[int, int]]:
        shapes = []
        if self.layers:
            shapes.append((self.layers[0].weight.shape[0], self.layers[-1].weight.shape[1]))
        if isinstance(self.skip, Affine):
            shapes.append((self.skip.weight.shape[0], self.skip.weight.shape[1]))
        if self.kernel is not None:
            shapes.append((self.kernel.landmarks.shape[1], self.kernel.weight.shape[1]))
        return shapes
