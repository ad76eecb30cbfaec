"""Bottleneck adapters (Pfeiffer et al., MAD-X, EMNLP 2020) with NICE invertible adapters: configuration and maths.

A language or ranking adapter adds ``up(act(down(x)))`` after each feed-forward block; an invertible adapter is an additive
coupling on the embeddings whose exact inverse precedes a masked-language-model head.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from xlrank.errors import XlrankError
from xlrank.modules.module import Module

ACTIVATIONS: Mapping[str, type[nn.Module]] = {"relu": nn.ReLU, "gelu": nn.GELU, "swish": nn.SiLU, "tanh": nn.Tanh}
INIT_STD = 0.02


@dataclass(frozen=True)
class AdapterConfig:
    """Settings of a bottleneck adapter (paper, section 3.1: reduction factor 2 for languages, 16 for ranking).

    Attributes:
        reduction_factor: hidden size / bottleneck size.
        non_linearity: one of relu, gelu, swish, tanh.
        invertible: whether a NICE block on the embeddings belongs to it.
        invertible_reduction_factor: (hidden size / 2) / its bottleneck size.
    """

    reduction_factor: float = 16
    non_linearity: str = "relu"
    invertible: bool = False
    invertible_reduction_factor: float = 2

    def __post_init__(self) -> None:
        if self.non_linearity not in ACTIVATIONS:
            raise XlrankError(f"adapter: unknown activation {self.non_linearity!r}; expected one of {', '.join(ACTIVATIONS)}")
        if self.reduction_factor <= 0 or self.invertible_reduction_factor <= 0:
            raise XlrankError("adapter: reduction factors must be positive")

    @classmethod
    def of(cls, module: Module) -> "AdapterConfig":
        """The adapter settings among a module's configuration.

        Raises:
            XlrankError: the configuration has a key that this version does not know.
        """
        values = {key: value for key, value in module.config.items() if key != "pooling"}
        unknown = sorted(set(values) - set(cls.__dataclass_fields__))
        if unknown:
            raise XlrankError(f"module {module.name!r}: unknown adapter setting {unknown[0]!r}; made by a newer xlrank?")
        return cls(**values)

    def as_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self)


class Bottleneck(nn.Module):
    """``up(act(down(x)))`` for x of shape [..., hidden]."""

    def __init__(self, hidden: int, size: int, non_linearity: str) -> None:
        super().__init__()
        self.down = nn.Linear(hidden, size)
        self.act = ACTIVATIONS[non_linearity]()
        self.up = nn.Linear(size, hidden)
        _initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Map [..., hidden] to [..., hidden]."""
        return self.up(self.act(self.down(x)))  # type: ignore[no-any-return]


class Invertible(nn.Module):
    """NICE additive coupling of the two halves of x, shape [..., hidden]; ``inverse(forward(x)) == x`` up to rounding."""

    def __init__(self, hidden: int, size: int, non_linearity: str) -> None:
        super().__init__()
        act = ACTIVATIONS[non_linearity]
        self.F = nn.Sequential(nn.Linear(hidden // 2, size), act(), nn.Linear(size, hidden // 2))
        self.G = nn.Sequential(nn.Linear(hidden // 2, size), act(), nn.Linear(size, hidden // 2))
        _initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """y1 = x1 + F(x2); y2 = x2 + G(y1)."""
        x1, x2 = x.chunk(2, dim=-1)
        y1 = x1 + self.F(x2)
        return torch.cat([y1, x2 + self.G(y1)], dim=-1)

    def inverse(self, y: Tensor) -> Tensor:
        """x2 = y2 - G(y1); x1 = y1 - F(x2)."""
        y1, y2 = y.chunk(2, dim=-1)
        x2 = y2 - self.G(y1)
        return torch.cat([y1 - self.F(x2), x2], dim=-1)


class Adapter(nn.Module):
    """One bottleneck a layer, and the invertible block if the configuration has one."""

    def __init__(self, config: AdapterConfig, hidden: int, layers: int) -> None:
        super().__init__()
        self.config = config
        size = max(1, int(hidden / config.reduction_factor))
        self.layer = nn.ModuleList(Bottleneck(hidden, size, config.non_linearity) for _ in range(layers))
        inner = max(1, int(hidden / 2 / config.invertible_reduction_factor))
        self.invertible = Invertible(hidden, inner, config.non_linearity) if config.invertible else None


def build_adapter(module: Module, hidden: int, layers: int) -> Adapter:
    """The adapter of a module, for an encoder of the given sizes; its head's tensors are left aside.

    Raises:
        XlrankError: names or shapes of the tensors do not fit the configuration and the encoder.
    """
    adapter = Adapter(AdapterConfig.of(module), hidden, layers)
    expected = adapter.state_dict()
    tensors = {name: tensor for name, tensor in module.tensors.items() if not name.startswith("head.")}
    for name in sorted(set(expected) ^ set(tensors)):
        problem = "lacks" if name in expected else "has the unknown"
        raise XlrankError(f"module {module.name!r} {problem} tensor {name!r}")
    for name, tensor in tensors.items():
        if tensor.shape != expected[name].shape:
            raise XlrankError(
                f"module {module.name!r}: {name} has shape {list(tensor.shape)}, expected {list(expected[name].shape)}"
            )
    adapter.load_state_dict({name: tensor.float() for name, tensor in tensors.items()}, assign=True)
    return adapter.eval().requires_grad_(requires_grad=False)


def _initialise(module: nn.Module) -> None:
    for linear in module.modules():
        if isinstance(linear, nn.Linear):
            nn.init.normal_(linear.weight, std=INIT_STD)
            nn.init.zeros_(linear.bias)
