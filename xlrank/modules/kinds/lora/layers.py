"""A low-rank product as a network."""

from torch import Tensor, nn


class LowRank(nn.Module):
    """``scaling * B A x`` for x [..., inputs]."""

    down: Tensor
    up: Tensor

    def __init__(self, down: Tensor, up: Tensor, scaling: float) -> None:
        super().__init__()
        self.register_buffer("down", down.float())
        self.register_buffer("up", (up * scaling).float())

    def forward(self, x: Tensor) -> Tensor:
        """Map [..., inputs] to [..., outputs]."""
        return nn.functional.linear(nn.functional.linear(x, self.down), self.up)
