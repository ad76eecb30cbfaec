"""Full fine-tuning (the monoBERT baseline): differences to the base's weights, added once when the encoder is built."""

from typing import TYPE_CHECKING

from xlrank.errors import XlrankError
from xlrank.modules.module import Module

if TYPE_CHECKING:
    import torch

    from xlrank.bases import Base

HEAD = "head."


def replaced_parameters(module: Module, base: "Base") -> "dict[str, torch.Tensor]":
    """The fine-tuned float32 value of every encoder parameter that the module changes.

    Raises:
        XlrankError: a parameter is unknown to the base or has another shape.
    """
    parameters = dict(base.encoder.named_parameters())
    replaced = {}
    for name, difference in module.tensors.items():
        if name.startswith(HEAD):
            continue
        if name not in parameters or parameters[name].shape != difference.shape:
            raise XlrankError(f"module {module.name!r}: tensor {name!r} does not fit base {base.name!r}")
        replaced[name] = parameters[name] + difference.float()
    return replaced
