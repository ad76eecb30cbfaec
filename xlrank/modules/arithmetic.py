"""Arithmetic on modules: means, factors and differences, as new modules; what they mean is the kind's own business."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from xlrank.errors import XlrankError
from xlrank.modules.kinds import kind_named
from xlrank.modules.module import Module

if TYPE_CHECKING:
    from torch import Tensor


def scaled(module: Module, factor: float) -> Module:
    """The module with its effect times ``factor``.

    Raises:
        XlrankError: the module's effect cannot be scaled, or the factor is no finite number.
    """
    if not math.isfinite(factor):
        raise XlrankError(f"scale: the factor of {module.name!r} is {factor}; expected a finite number")
    return kind_named(module.kind).scaled(module, factor)


def averaged(modules: Sequence[Module]) -> Module:
    """The mean of modules of one kind and, for adapters, one configuration.

    Raises:
        XlrankError: kinds or configurations differ, or have no mean.
    """
    name = f"average({','.join(module.name for module in modules)})"
    _check_alike(modules, name)
    return kind_named(modules[0].kind).averaged(modules, name)


def subtracted(module: Module, less: Module) -> Module:
    """The differences to the base that ``module`` makes less those of ``less``.

    A head, and whole parameters beside the differences, are those of ``module``.

    Raises:
        XlrankError: the modules are not both masks or both LoRAs of one base.
    """
    name = f"subtract({module.name},{less.name})"
    kind = kind_named(module.kind)
    if module.kind != less.kind or not kind.summable:
        raise XlrankError(f"{name}: only masks and LoRAs are differences to a base; these are {module.kind} and {less.kind}")
    _check_alike([module, less], name)
    return kind.subtracted(module, less, name)


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


def others(module: Module, differences: tuple[str, ...]) -> dict[str, "Tensor"]:
    """The tensors that are no differences by their first letters: heads and whole parameters."""
    return {name: tensor for name, tensor in module.tensors.items() if not name.startswith(differences)}


def check_same_others(modules: Sequence[Module], differences: tuple[str, ...], name: str) -> None:
    """Refuse modules that carry different heads or whole parameters.

    Raises:
        XlrankError: naming the mean that was asked for.
    """
    if any(set(others(module, differences)) != set(others(modules[0], differences)) for module in modules):
        raise XlrankError(f"{name}: the modules must carry the same heads and whole parameters to have a mean")


def means(modules: Sequence[Module], names: Sequence[str]) -> dict[str, "Tensor"]:
    """The float32 means of the named tensors.

    Raises:
        XlrankError: their shapes differ.
    """
    import torch

    if any(module.tensors[name].shape != modules[0].tensors[name].shape for module in modules for name in names):
        raise XlrankError(f"average: tensors of {modules[0].name!r} have other shapes in the other modules")
    return {name: torch.stack([module.tensors[name].float() for module in modules]).mean(0) for name in names}


def _check_alike(modules: Sequence[Module], name: str) -> None:
    first = modules[0]
    if any(module.kind != first.kind or module.base.fingerprint != first.base.fingerprint for module in modules):
        found = ", ".join(f"{module.kind} of {module.base.name}" for module in modules)
        raise XlrankError(f"{name}: the modules must be of one kind and one base, they are {found}")
