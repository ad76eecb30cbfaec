"""Eight-bit linear layers for scoring on a CPU: weights quantised once by output row, activations on the fly.

For processors that compute bfloat16 no faster than float32. One scale serves all activations of a call, and multilingual encoders
have a few very large ones, so scores are coarser than in bfloat16: on the embedded base they correlate at .99 with float32 ones,
where bfloat16 has .9999. The layers that close a block, whose inputs spread most, stay in float32.
"""

import re
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

CLOSING = re.compile(r".*\.output(\.inner)?\.dense(\.inner)?")
"""The names of the layers that stay in float32, with or without modules around them."""


class Int8Linear(nn.Module):
    """A linear layer in FBGEMM's dynamic quantisation: float32 [..., inputs] to float32 [..., outputs]."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight = linear.weight.detach().float()
        scales = weight.abs().amax(1).clamp(min=1e-8) / 127
        with warnings.catch_warnings():
            # PyTorch deprecates quantised tensors as a user's type; the packed kernels below still take one.
            warnings.simplefilter("ignore")
            rows = torch.quantize_per_channel(weight, scales.double(), torch.zeros(len(scales), dtype=torch.long), 0, torch.qint8)
        bias = linear.bias.detach().float()
        self.packed: Any = torch.ops.quantized.linear_prepack(rows, bias)

    def forward(self, x: Tensor) -> Tensor:
        """The linear map."""
        return torch.ops.quantized.linear_dynamic(x, self.packed, reduce_range=_saturates())  # type: ignore[no-any-return]


def quantize_linears(module: nn.Module, path: str = "") -> None:
    """Replace linear layers below ``module`` in place; original weights are not changed, only no longer used."""
    for name, child in module.named_children():
        below = f"{path}.{name}"
        if not isinstance(child, nn.Linear):
            quantize_linears(child, below)
        elif not CLOSING.fullmatch(below):
            setattr(module, name, Int8Linear(child))


@cache
def _saturates() -> bool:
    """Whether sums of eight-bit products overflow 16 bits here, so that activations may only have seven: without VNNI."""
    try:
        return "vnni" not in Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return True
