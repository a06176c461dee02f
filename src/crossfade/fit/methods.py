"""Every fitting method by name: one table, for the library, the command line and the docs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from crossfade.embeddings import Pairs
from crossfade.errors import InvalidInput, MissingExtra
from crossfade.fit.kernel import fit_forward_kernel, fit_refitted_kernel, fit_ridge_to_kernel
from crossfade.fit.low_rank import fit_low_rank
from crossfade.fit.procrustes import fit_procrustes, fit_procrustes_centred
from crossfade.fit.rank_merge import fit_rank_merge, fit_rank_merge_quantile
from crossfade.fit.ridge import fit_forward_ridge, fit_refitted_ridge, fit_ridge
from crossfade.fit.settings import FitSettings, ProgressCallback
from crossfade.fit.slerp import fit_slerp_adaptive, fit_slerp_fixed
from crossfade.upgrade import Upgrade

__all__ = ["METHODS", "FitFunction", "Method", "few_for_networks", "method_named"]

FitFunction = Callable[[Pairs, FitSettings, ProgressCallback | None], Upgrade]
_PAIRS_PER_DIMENSION = 2


@dataclass(frozen=True)
class Method:
    """A fitting method.

    Attributes:
        name: as users write it. summary: one line.
        load: returns its fit function; trained methods import PyTorch only here.
        needs_labels: it can't do without class labels.
        closed_form: fitted without training, so the winner is fitted again on all pairs.
    """

    name: str
    summary: str
    load: Callable[[], FitFunction]
    needs_labels: bool = False
    closed_form: bool = False


def method_named(name: str) -> Method:
    """The method of that name.

    Raises:
        InvalidInput: there is none.
    """
    if name not in METHODS:
        raise InvalidInput(f"unknown method {name!r}; choose auto, {', '.join(METHODS)}")
    return METHODS[name]


def few_for_networks(pairs: Pairs) -> bool:
    """Whether a network fitted on these maps them far better than other items: two a dimension."""
    return len(pairs) < _PAIRS_PER_DIMENSION * max(pairs.source.dim, pairs.target.dim)


def _trained(module: str, function: str) -> Callable[[], FitFunction]:
    def load() -> FitFunction:
        import importlib

        try:
            loaded = importlib.import_module(f"crossfade.fit.{module}")
        except ModuleNotFoundError as error:
            if error.name == "torch":
                raise MissingExtra("fitting a trained method", "fit") from error
            raise
        fit: FitFunction = getattr(loaded, function)
        return fit

    return load


_TABLE = (
    Method(
        "rank_merge",
        "raw distances of both models (two encoders)",
        lambda: fit_rank_merge,
        closed_form=True,
    ),
    Method(
        "rank_merge_quantile",
        "rank merge, old scores put on the new scale by quantiles (two encoders)",
        lambda: fit_rank_merge_quantile,
        closed_form=True,
    ),
    Method("procrustes", "rotation, new to old", lambda: fit_procrustes, closed_form=True),
    Method(
        "procrustes_centred",
        "rotation about the means, new to old",
        lambda: fit_procrustes_centred,
        closed_form=True,
    ),
    Method("ridge", "linear map, new to old", lambda: fit_ridge, closed_form=True),
    Method(
        "low_rank", "linear map of low rank, new to old", lambda: fit_low_rank, closed_form=True
    ),
    Method(
        "slerp_fixed",
        "old query and mapped query, half-way on the sphere (two encoders)",
        lambda: fit_slerp_fixed,
        closed_form=True,
    ),
    Method(
        "slerp_adaptive",
        "the same, weighted by how much the two agree (two encoders)",
        lambda: fit_slerp_adaptive,
        closed_form=True,
    ),
    Method(
        "forward_ridge",
        "linear map of the items, old to new",
        lambda: fit_forward_ridge,
        closed_form=True,
    ),
    Method(
        "refitted_ridge",
        "the same, a quarter a rotation, fitted again on backfilled items",
        lambda: fit_refitted_ridge,
        closed_form=True,
    ),
    Method(
        "forward_kernel",
        "forward ridge plus kernel ridge on what it leaves over",
        lambda: fit_forward_kernel,
        closed_form=True,
    ),
    Method(
        "ridge_to_kernel",
        "refitted_ridge, which becomes a kernel map when it is fitted again",
        lambda: fit_ridge_to_kernel,
        closed_form=True,
    ),
    Method(
        "refitted_kernel",
        "kernel map from the first, fitted again on backfilled items",
        lambda: fit_refitted_kernel,
        closed_form=True,
    ),
    Method("rqt", "reverse query transform: MLP, new to old", _trained("rqt", "fit_rqt")),
    Method(
        "residual_mlp",
        "rotation plus an MLP, new to old, by squared error",
        _trained("residual_mlp", "fit_residual_mlp"),
    ),
    Method(
        "ract",
        "psi trained with labels, one softmax over the hardest negatives of both systems",
        _trained("ract", "fit_ract"),
        needs_labels=True,
    ),
    Method(
        "near_orthogonal",
        "near-orthogonal rho towards the old space, forward map of the items onto it",
        _trained("near_orthogonal", "fit_near_orthogonal"),
    ),
    Method(
        "fct",
        "forward map of the items, an MLP fitted by squared error",
        _trained("fct", "fit_fct"),
    ),
    Method(
        "fastfill",
        "the same, which also says how unsure it is of an item; order 'uncertainty'",
        _trained("fastfill", "fit_fastfill"),
    ),
    Method(
        "distillation",
        "psi trained on mixed lists, the new model as teacher",
        _trained("distillation", "fit_distillation"),
    ),
    Method(
        "forward_mlp",
        "forward ridge plus an MLP, fitted by cosine",
        _trained("forward_mlp", "fit_forward_mlp"),
    ),
    Method(
        "refitted_mlp",
        "the same, corrected on backfilled items",
        _trained("forward_mlp", "fit_refitted_mlp"),
    ),
    Method(
        "forward_distillation",
        "forward map trained on mixed lists, the new model as teacher",
        _trained("distillation", "fit_forward_distillation"),
    ),
    Method(
        "contrastive",
        "psi and rho trained with labels, one denominator for both systems",
        _trained("contrastive", "fit_contrastive"),
        needs_labels=True,
    ),
    Method(
        "contrastive_without_rho",
        "the same, psi alone",
        _trained("contrastive", "fit_contrastive_without_rho"),
        needs_labels=True,
    ),
    Method(
        "contrastive_own",
        "ablation: a denominator for each system",
        _trained("contrastive", "fit_contrastive_own"),
        needs_labels=True,
    ),
    Method(
        "contrastive_own_without_rho",
        "ablation: a denominator for each system, psi alone",
        _trained("contrastive", "fit_contrastive_own_without_rho"),
        needs_labels=True,
    ),
    Method(
        "forward_contrastive",
        "forward map and rho trained with labels, rho held near the new model",
        _trained("forward_contrastive", "fit_forward_contrastive"),
        needs_labels=True,
    ),
    Method(
        "refitted_contrastive",
        "the same, its forward map corrected on backfilled items",
        _trained("forward_contrastive", "fit_refitted_contrastive"),
        needs_labels=True,
    ),
)
METHODS: Mapping[str, Method] = {method.name: method for method in _TABLE}
