"""A low-rank product as a network."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn


class LowRank(nn.Module):
    """``scaling * B A x`` for x [..., inputs].

    Args:
        down: A [rank, inputs].
        up: B [outputs, rank].
        scaling: of the product.
    """

    down: Tensor
    up: Tensor

    def __init__(self, down: Tensor, up: Tensor, scaling: float) -> None:
        super().__init__()
        self.scaling = 1.0
        self.register_buffer("down", down.float())
        self.register_buffer("up", (up * scaling).float())

    @classmethod
    def learning(cls, down: Tensor, up: Tensor, scaling: float) -> "LowRank":
        """One whose factors are parameters, the scaling kept apart from them."""
        made = cls(down, up, 1.0)
        del made.down, made.up
        made.down, made.up, made.scaling = nn.Parameter(down.float()), nn.Parameter(up.float()), scaling
        return made

    def factors(self) -> Iterator[tuple[str, Tensor]]:
        """A and B, by letter."""
        yield "A", self.down.detach()
        yield "B", self.up.detach()

    def forward(self, x: Tensor) -> Tensor:
        """Map [..., inputs] to [..., outputs]."""
        product = nn.functional.linear(nn.functional.linear(x, self.down), self.up)
        return product if self.scaling == 1.0 else torch.mul(product, self.scaling)
