"""Arithmetic on modules: means, factors and differences, as new modules.

Masks, LoRAs and full fine-tuning are differences to the base's weights, so sums of them mean what they say. An adapter is a
function: its effect can be scaled, and adapters that share an architecture have a mean of weights (as AdapterHub's
``average_adapter``), but the difference of two says nothing.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from xlrank.errors import XlrankError
from xlrank.modules.module import Module

if TYPE_CHECKING:
    from torch import Tensor

INDEX, VALUE = "index.", "value."
DIFFERENCES = (INDEX, VALUE, "A.", "B.")
"""The tensors of masks and LoRAs that are differences; the others are heads and whole parameters."""
LAST_LINEAR = (".up.weight", ".up.bias", ".F.2.weight", ".F.2.bias", ".G.2.weight", ".G.2.bias")
"""What an adapter's effect is linear in."""


def scaled(module: Module, factor: float) -> Module:
    """The module with its effect times ``factor``.

    Raises:
        XlrankError: the module's effect cannot be scaled, or the factor is no finite number.
    """
    if not math.isfinite(factor):
        raise XlrankError(f"scale: the factor of {module.name!r} is {factor}; expected a finite number")
    if module.kind == "adapter":
        if module.config.get("ln_after"):
            raise XlrankError(f"scale: adapter {module.name!r} ends in a layer norm, which would undo the factor")
        tensors = {name: t * factor if name.endswith(LAST_LINEAR) else t for name, t in module.tensors.items()}
    elif module.kind == "mask":
        tensors = {name: t * factor if name.startswith(VALUE) else t for name, t in module.tensors.items()}
    elif module.kind == "lora":
        tensors = {name: t * factor if name.startswith("B.") else t for name, t in module.tensors.items()}
    else:
        raise XlrankError(f"scale: {module.name!r} is a {module.kind} module; expected an adapter, a mask or a LoRA")
    return derived(module, f"scale({module.name},{factor:g})", tensors)


def averaged(modules: Sequence[Module]) -> Module:
    """The mean of modules of one kind and, for adapters, one configuration.

    Raises:
        XlrankError: kinds or configurations differ, or have no mean.
    """
    first = modules[0]
    name = f"average({','.join(module.name for module in modules)})"
    _check_alike(modules, name)
    if first.kind == "adapter":
        if any(dict(module.config) != dict(first.config) or set(module.tensors) != set(first.tensors) for module in modules):
            raise XlrankError(f"{name}: adapters must have the same configuration to have a mean")
        return derived(first, name, _means(modules, list(first.tensors)))
    if first.kind not in ("mask", "lora"):
        raise XlrankError(f"{name}: {first.kind} modules have no mean here; expected adapters, masks or LoRAs")
    if any(set(_others(module)) != set(_others(first)) for module in modules):
        raise XlrankError(f"{name}: the modules must carry the same heads and whole parameters to have a mean")
    return _difference(first, name, [(module, 1 / len(modules)) for module in modules], _means(modules, list(_others(first))))


def subtracted(module: Module, less: Module) -> Module:
    """The differences to the base that ``module`` makes less those of ``less``.

    A head, and whole parameters beside the differences, are those of ``module``.

    Raises:
        XlrankError: the modules are not both masks or both LoRAs of one base.
    """
    name = f"subtract({module.name},{less.name})"
    if {module.kind, less.kind} not in ({"mask"}, {"lora"}):
        raise XlrankError(f"{name}: only masks and LoRAs are differences to a base; these are {module.kind} and {less.kind}")
    _check_alike([module, less], name)
    return _difference(module, name, [(module, 1.0), (less, -1.0)], _others(module))


def derived(module: Module, name: str, tensors: Mapping[str, "Tensor"], config: Mapping[str, object] | None = None) -> Module:
    """A module like ``module`` with other tensors."""
    return Module.create(
        tensors,
        name=name,
        kind=module.kind,
        role=module.role,
        language=module.language,
        base=module.base,
        config={**module.config, **(config or {})},
        training=module.training,
    )


def _check_alike(modules: Sequence[Module], name: str) -> None:
    first = modules[0]
    if any(module.kind != first.kind or module.base.fingerprint != first.base.fingerprint for module in modules):
        found = ", ".join(f"{module.kind} of {module.base.name}" for module in modules)
        raise XlrankError(f"{name}: the modules must be of one kind and one base, they are {found}")


def _others(module: Module) -> dict[str, "Tensor"]:
    return {name: tensor for name, tensor in module.tensors.items() if not name.startswith(DIFFERENCES)}


def _means(modules: Sequence[Module], names: Sequence[str]) -> dict[str, "Tensor"]:
    import torch

    if any(module.tensors[name].shape != modules[0].tensors[name].shape for module in modules for name in names):
        raise XlrankError(f"average: tensors of {modules[0].name!r} have other shapes in the other modules")
    return {name: torch.stack([module.tensors[name].float() for module in modules]).mean(0) for name in names}


def _difference(module: Module, name: str, terms: Sequence[tuple[Module, float]], others: Mapping[str, "Tensor"]) -> Module:
    """A mask or LoRA like ``module`` whose differences are the weighted sum of the terms'."""
    if module.kind == "mask":
        return derived(module, name, {**_mask_sum(terms), **others})
    return derived(module, name, {**_lora_sum(terms), **others}, {"scaling": 1.0})


def _mask_sum(terms: Sequence[tuple[Module, float]]) -> dict[str, "Tensor"]:
    import torch

    parameters = {name.removeprefix(INDEX) for module, _ in terms for name in module.tensors if name.startswith(INDEX)}
    total: dict[str, Tensor] = {}
    for parameter in sorted(parameters):
        parts = [
            (m.tensors[INDEX + parameter], m.tensors[VALUE + parameter] * f) for m, f in terms if INDEX + parameter in m.tensors
        ]
        index, inverse = torch.unique(torch.cat([i for i, _ in parts]), return_inverse=True)
        values = torch.zeros(len(index)).index_add_(0, inverse, torch.cat([v.float() for _, v in parts]))
        total |= {INDEX + parameter: index, VALUE + parameter: values}
    return total


def _lora_sum(terms: Sequence[tuple[Module, float]]) -> dict[str, "Tensor"]:
    """Sums of low-rank products are products of the stacked factors, exactly."""
    import torch

    layers = {name.removeprefix("A.") for module, _ in terms for name in module.tensors if name.startswith("A.")}
    total: dict[str, Tensor] = {}
    for layer in sorted(layers):
        parts = [(module, factor) for module, factor in terms if f"A.{layer}" in module.tensors]
        total[f"A.{layer}"] = torch.cat([module.tensors[f"A.{layer}"].float() for module, _ in parts])
        columns = [module.tensors[f"B.{layer}"].float() * lora_scaling(module, layer) * factor for module, factor in parts]
        total[f"B.{layer}"] = torch.cat(columns, dim=1)
    return total


def lora_scaling(module: Module, layer: str) -> float:
    """The factor of a LoRA's product at one linear layer."""
    scaling = module.config.get("scaling", 1.0)
    return float(scaling[layer] if isinstance(scaling, Mapping) else scaling)
