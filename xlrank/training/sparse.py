"""Parameters of which only chosen entries can move: the sparse phase of lottery-ticket fine-tuning.

What the optimiser sees is the chosen entries alone: gradients, its state and weight decay are as sparse as the mask.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from xlrank.composition.encoder import ComposedEncoder


class Chosen(nn.Module):
    """A parametrization: the whole tensor from the values of its chosen entries, the others staying as they are.

    Args:
        whole: the parameter [any shape]; its memory is used and changed.
        index: flat positions [k].
    """

    whole: Tensor
    index: Tensor

    def __init__(self, whole: Tensor, index: Tensor) -> None:
        super().__init__()
        self.register_buffer("whole", whole, persistent=False)
        self.register_buffer("index", index, persistent=False)

    def forward(self, values: Tensor) -> Tensor:
        """The whole tensor with values [k] in place."""
        return _Placed.apply(values, self.index, self.whole)  # type: ignore[no-any-return, no-untyped-call]

    def right_inverse(self, whole: Tensor) -> Tensor:
        """The values [k] of a whole tensor's chosen entries."""
        return whole.reshape(-1)[self.index]


class _Placed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, index: Tensor, whole: Tensor) -> Tensor:  # noqa: ANN401 - torch's context
        ctx.save_for_backward(index)
        # Through .data: writing the same values at every use must not look to autograd like a change of what was used before.
        whole.data.view(-1)[index] = values.detach()
        return whole.data

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        (index,) = ctx.saved_tensors
        return gradient.reshape(-1)[index], None, None


def keep_only(encoder: ComposedEncoder, chosen: Mapping[str, Tensor]) -> dict[str, nn.Parameter]:
    """Let only the chosen entries of an encoder's own parameters learn from now on.

    Args:
        encoder: an encoder whose named parameters are its own (see :func:`xlrank.training.trainee.own_parameters`).
        chosen: flat positions by parameter; parameters that are not named stop learning.

    Returns:
        The values [k] that learn, by parameter.
    """
    values: dict[str, nn.Parameter] = {}
    for name, layer in encoder.layers.items():
        for leaf, parameter in list(layer.named_parameters(recurse=False)):
            path = f"{name}.{leaf}"
            parameter.requires_grad_(requires_grad=False)
            if path in chosen:
                index = chosen[path].long().to(parameter.device)
                parametrize.register_parametrization(layer, leaf, Chosen(parameter.detach(), index), unsafe=True)
                values[path] = layer.parametrizations[leaf].original.requires_grad_()
    return values


def whole_again(encoder: ComposedEncoder) -> None:
    """Take the parametrizations of :func:`keep_only` away, leaving the values that were reached."""
    for layer in encoder.layers.values():
        for leaf in [*getattr(layer, "parametrizations", {})]:
            parametrize.remove_parametrizations(layer, leaf, leave_parametrized=True)
