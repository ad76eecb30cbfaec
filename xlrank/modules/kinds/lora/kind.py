"""What can be done with LoRAs.

Tensors: ``A.LAYER`` [rank, inputs], ``B.LAYER`` [outputs, rank]; ``absolute.PARAMETER``, whole new values. Configuration:
``scaling``, a number or one by layer.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from xlrank.errors import XlrankError
from xlrank.modules.arithmetic import check_same_others, derived, means, others
from xlrank.modules.kinds.kind import Kind
from xlrank.modules.module import Module
from xlrank.modules.weights import ABSOLUTE, Edit, SumEdit, edited_parameters, replacements

if TYPE_CHECKING:
    from torch import Tensor, nn

    from xlrank.bases import Base

DIFFERENCES = ("A.", "B.")


class LoraKind(Kind):
    """``scaling * B A`` added to the weights of linear layers, or beside them for some tokens only."""

    name = "lora"
    place = "weights"
    sided = True
    summable = True

    def edits(self, module: Module) -> Iterator[Edit]:
        """Whole values first, then low-rank differences."""
        yield from replacements(module)
        for layer in layers(module):
            down, up = module.tensors[f"A.{layer}"], module.tensors.get(f"B.{layer}")
            if up is None or down.dim() != 2 or up.dim() != 2 or up.shape[1] != down.shape[0]:
                raise XlrankError(f"module {module.name!r}: {layer}: its A and B are not [rank, inputs] and [outputs, rank]")
            product = up.float() @ down.float()
            yield SumEdit(module.name, f"{layer}.weight", scaling(module, layer) * product)

    def updates(self, module: Module, base: "Base") -> Mapping[str, "nn.Module"]:
        """The low-rank products as networks of their own."""
        from xlrank.modules.kinds.lora.layers import LowRank

        edited_parameters([module], base)  # refuses layers that the base lacks or has in other sizes
        whole = next((ABSOLUTE + edit.parameter for edit in replacements(module)), None)
        if whole:
            raise XlrankError(
                f"split: {module.name!r} holds {whole!r}, a whole parameter that all tokens share; use it without split"
            )
        pooler = next((layer for layer in layers(module) if layer.startswith("pooler.")), None)
        if pooler:
            raise XlrankError(f"split: {module.name!r} updates {pooler!r}, which sees no document; use it without split")
        factors = {layer: (module.tensors[f"A.{layer}"], module.tensors[f"B.{layer}"]) for layer in layers(module)}
        return {layer: LowRank(down, up, scaling(module, layer)) for layer, (down, up) in factors.items()}

    def scaled(self, module: Module, factor: float) -> Module:
        """All products times ``factor``."""
        tensors = {name: t * factor if name.startswith("B.") else t for name, t in module.tensors.items()}
        return derived(module, f"scale({module.name},{factor:g})", tensors)

    def averaged(self, modules: Sequence[Module], name: str) -> Module:
        """The mean of the products, exactly: a LoRA whose rank is the sum of the ranks."""
        check_same_others(modules, DIFFERENCES, name)
        total = _sum([(module, 1 / len(modules)) for module in modules])
        kept = means(modules, list(others(modules[0], DIFFERENCES)))
        return derived(modules[0], name, {**total, **kept}, {"scaling": 1.0})

    def subtracted(self, module: Module, less: Module, name: str) -> Module:
        """The products of one less those of the other; heads and whole parameters are those of the first."""
        total = _sum([(module, 1.0), (less, -1.0)])
        return derived(module, name, {**total, **others(module, DIFFERENCES)}, {"scaling": 1.0})


def layers(module: Module) -> list[str]:
    """The linear layers that a LoRA updates."""
    return [name.removeprefix("A.") for name in module.tensors if name.startswith("A.")]


def scaling(module: Module, layer: str) -> float:
    """The factor of a LoRA's product at one linear layer."""
    factors = module.config.get("scaling", 1.0)
    factor = factors.get(layer) if isinstance(factors, Mapping) else factors
    if not isinstance(factor, int | float):
        raise XlrankError(f"module {module.name!r}: {layer}: its scaling is {factor!r}, expected a number")
    return float(factor)


def _sum(terms: Sequence[tuple[Module, float]]) -> Mapping[str, "Tensor"]:
    """Sums of low-rank products are products of the stacked factors, exactly."""
    import torch

    total: dict[str, Tensor] = {}
    for layer in sorted({layer for module, _ in terms for layer in layers(module)}):
        parts = [(module, factor) for module, factor in terms if f"A.{layer}" in module.tensors]
        total[f"A.{layer}"] = torch.cat([module.tensors[f"A.{layer}"].float() for module, _ in parts])
        columns = [module.tensors[f"B.{layer}"].float() * scaling(module, layer) * factor for module, factor in parts]
        total[f"B.{layer}"] = torch.cat(columns, dim=1)
    return total


KIND = LoraKind()
