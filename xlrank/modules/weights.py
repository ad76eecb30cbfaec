"""Modules that change weights: sparse masks (LT-SFT), LoRA and full fine-tuning, as edits of a base's parameters.

Ansell et al., ACL 2022 (masks); Hu et al., ICLR 2022 (LoRA). An edited parameter is computed from the base's own each time,
so that edits never accumulate and nothing has to be taken back.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from xlrank.errors import XlrankError
from xlrank.modules.arithmetic import INDEX, VALUE, lora_scaling
from xlrank.modules.module import Module

if TYPE_CHECKING:
    from torch import Tensor

    from xlrank.bases import Base

WEIGHT_KINDS = ("mask", "lora", "full")
ABSOLUTE = "absolute."
OUTSIDE = ("head.", "cls.", "lm_head.", "absolute.cls.", "absolute.lm_head.")
"""Tensors that belong to a head, not to the encoder."""


def edited_parameters(modules: Iterable[Module], base: "Base") -> dict[str, "Tensor"]:
    """New float32 values of the encoder parameters that the modules change, applied in order.

    Raises:
        XlrankError: a parameter is unknown to the base, has another shape, or an index lies outside of it.
    """
    parameters = dict(base.encoder.named_parameters())
    edited: dict[str, Tensor] = {}
    for module in modules:
        for name, kind, tensors in _edits(module):
            if name not in parameters:
                raise XlrankError(f"module {module.name!r} changes {name!r}, which base {base.name!r} does not have")
            value = edited[name] if name in edited else parameters[name].detach()
            edited[name] = _edited(value, kind, tensors, f"module {module.name!r}: {name}")
    return edited


def _edits(module: Module) -> Iterable[tuple[str, str, tuple["Tensor", ...]]]:
    """(parameter, how it changes, with what) for each change that a module makes."""
    tensors = module.tensors
    for name in tensors:
        if name.startswith(OUTSIDE):
            continue
        if name.startswith(ABSOLUTE):
            yield name.removeprefix(ABSOLUTE), "absolute", (tensors[name],)
        elif module.kind == "full":
            yield name, str(module.config.get("values", "difference")), (tensors[name],)
        elif name.startswith(INDEX):
            parameter = name.removeprefix(INDEX)
            yield parameter, "sparse", (tensors[name], tensors[VALUE + parameter])
        elif name.startswith("A."):
            layer = name.removeprefix("A.")
            product = tensors[f"B.{layer}"].float() @ tensors[name].float()
            yield f"{layer}.weight", "difference", (lora_scaling(module, layer) * product,)


def _edited(value: "Tensor", kind: str, tensors: tuple["Tensor", ...], place: str) -> "Tensor":
    if kind == "sparse":
        index, difference = tensors
        if len(index) != len(difference) or (len(index) and not 0 <= int(index.min()) <= int(index.max()) < value.numel()):
            raise XlrankError(f"{place}: indices do not fit a parameter of shape {list(value.shape)}")
        result = value.clone()
        result.view(-1).index_add_(0, index.long(), difference.to(value.dtype))
        return result
    if tensors[0].shape != value.shape:
        raise XlrankError(f"{place} has shape {list(tensors[0].shape)}, expected {list(value.shape)}")
    return tensors[0].float() if kind == "absolute" else value + tensors[0].float()
