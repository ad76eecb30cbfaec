"""Bottleneck adapters in all of AdapterHub's variants, and NICE invertible adapters: configuration and maths.

A bottleneck adds ``up(act(down(x)))`` after a block of a layer (Houlsby et al. 2019; Pfeiffer et al. 2020; parallel: He et al.
2022); which layer norm and residual surround it is a matter of configuration. An invertible adapter (MAD-X, Pfeiffer et al.,
EMNLP 2020) is an additive coupling on the embeddings whose exact inverse precedes a masked-language-model head.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import torch
from torch import Tensor, nn
from transformers.activations import ACT2FN

from xlrank.errors import XlrankError
from xlrank.modules.module import Module

INIT_STD = 0.02
PLACES: tuple[str, ...] = ("attention", "layer")
"""Where a layer may carry a bottleneck: after its attention block, after its feed-forward block (by tensor name)."""

Sizes = tuple[int, int]
"""Hidden size and number of layers of an encoder."""


@dataclass(frozen=True)
class AdapterConfig:
    """Settings of an adapter; the defaults are AdapterHub's ``pfeiffer`` / ``seq_bn``.

    Attributes:
        reduction_factor: hidden size / bottleneck size (paper: 2 for languages, 16 for ranking), or one by layer number
            with ``default`` for the others.
        non_linearity: ``relu``, ``leakyrelu`` or a name of transformers' activations.
        invertible: whether a NICE block on the embeddings belongs to it.
        invertible_reduction_factor: (hidden size / 2) / its bottleneck size.
        attention: a bottleneck after each attention block (Houlsby).
        output: a bottleneck after each feed-forward block.
        leave_out: layers without bottlenecks, numbered from 0.
        original_ln_before: the block's own residual and layer norm precede the bottleneck.
        original_ln_after: they follow it.
        ln_before: a layer norm of its own opens the bottleneck.
        ln_after: a layer norm of its own closes it.
        residual_before_ln: what is added to the bottleneck's output: True, the block's output; False, the bottleneck's
            input; ``post_add``, block output plus block input.
        adapter_residual_before_ln: that residual is added before ``ln_after`` instead of after it.
        parallel: the bottleneck reads the block's input instead of its output.
        scaling: factor of the bottleneck's output.
    """

    reduction_factor: float | Mapping[str, float] = 16
    non_linearity: str = "relu"
    invertible: bool = False
    invertible_reduction_factor: float = 2
    attention: bool = False
    output: bool = True
    leave_out: Sequence[int] = ()
    original_ln_before: bool = True
    original_ln_after: bool = True
    ln_before: bool = False
    ln_after: bool = False
    residual_before_ln: bool | Literal["post_add"] = True
    adapter_residual_before_ln: bool = False
    parallel: bool = False
    scaling: float = 1.0

    def __post_init__(self) -> None:
        if self.non_linearity != "leakyrelu" and self.non_linearity not in ACT2FN:
            known = "relu, gelu, gelu_new, swish, tanh, leakyrelu"
            raise XlrankError(f"adapter: unknown activation {self.non_linearity!r}; expected {known} or another of transformers'")
        factors = [*(self.reduction_factor.values() if isinstance(self.reduction_factor, Mapping) else [self.reduction_factor])]
        if not all(factor > 0 for factor in [*factors, self.invertible_reduction_factor]):
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
        """The fields that differ from the defaults, and the four that say most, as JSON values."""
        shown = ("reduction_factor", "non_linearity", "invertible", "invertible_reduction_factor")
        values = asdict(self)
        return {f.name: values[f.name] for f in fields(self) if f.name in shown or values[f.name] != f.default}

    def bottleneck(self, layer: int, hidden: int) -> int:
        """The bottleneck's size in a layer.

        Raises:
            XlrankError: the reduction factors name neither the layer nor a default.
        """
        factor = self.reduction_factor
        if isinstance(factor, Mapping):
            found = factor.get(str(layer), factor.get("default"))
            if found is None:
                raise XlrankError(f"adapter: no reduction factor for layer {layer} and no 'default'")
            factor = found
        return max(1, int(hidden // factor))


def activation(name: str) -> nn.Module:
    """The activation of a configuration."""
    return nn.LeakyReLU() if name == "leakyrelu" else ACT2FN[name]


class Bottleneck(nn.Module):
    """``up(act(down(x)))`` with its residual and optional layer norms, for one place of one layer."""

    def __init__(self, config: AdapterConfig, hidden: int, size: int, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.config = config
        self.norm_before = nn.LayerNorm(hidden, eps=epsilon) if config.ln_before else None
        self.down = nn.Linear(hidden, size)
        self.act = activation(config.non_linearity)
        self.up = nn.Linear(size, hidden)
        self.norm_after = nn.LayerNorm(hidden, eps=epsilon) if config.ln_after else None
        _initialise(self)

    def forward(self, h: Tensor, block_input: Tensor, norm: nn.Module) -> Tensor:
        """The block's output h with the bottleneck added; all of shape [..., hidden].

        Args:
            h: output of the block (or of the stage below) before its residual and layer norm.
            block_input: the block's input, its residual.
            norm: the block's own layer norm.
        """
        config = self.config
        if config.parallel:
            return h + self._closed(self._projected(block_input))
        residual = h + block_input if config.residual_before_ln == "post_add" else h
        x = norm(h + block_input) if config.original_ln_before else h
        if not config.residual_before_ln:
            residual = x
        projected = self._projected(x)
        if config.adapter_residual_before_ln:
            return self._closed(projected + residual)
        return self._closed(projected) + residual

    def _projected(self, x: Tensor) -> Tensor:
        x = self.norm_before(x) if self.norm_before is not None else x
        out: Tensor = self.up(self.act(self.down(x)))
        return out if self.config.scaling == 1.0 else out * self.config.scaling

    def _closed(self, x: Tensor) -> Tensor:
        return self.norm_after(x) if self.norm_after is not None else x


class Invertible(nn.Module):
    """NICE additive coupling of the two halves of x, shape [..., hidden]; ``inverse(forward(x)) == x`` up to rounding."""

    def __init__(self, hidden: int, size: int, non_linearity: str) -> None:
        super().__init__()
        half = hidden // 2
        self.F = nn.Sequential(nn.Linear(hidden - half, size), activation(non_linearity), nn.Linear(size, half))
        self.G = nn.Sequential(nn.Linear(half, size), activation(non_linearity), nn.Linear(size, hidden - half))
        _initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """y1 = x1 + F(x2); y2 = x2 + G(y1)."""
        x1, x2 = self._halves(x)
        y1 = x1 + self.F(x2)
        return torch.cat([y1, x2 + self.G(y1)], dim=-1)

    def inverse(self, y: Tensor) -> Tensor:
        """x2 = y2 - G(y1); x1 = y1 - F(x2)."""
        y1, y2 = self._halves(y)
        x2 = y2 - self.G(y1)
        return torch.cat([y1 - self.F(x2), x2], dim=-1)

    @staticmethod
    def _halves(x: Tensor) -> tuple[Tensor, Tensor]:
        half = x.shape[-1] // 2
        return x[..., :half], x[..., half:]


class Adapter(nn.Module):
    """The bottlenecks of all layers, by place and layer number, and the invertible block if the configuration has one."""

    def __init__(self, config: AdapterConfig, hidden: int, layers: int) -> None:
        super().__init__()
        self.config = config
        places = {"attention": config.attention, "layer": config.output}
        for place in PLACES:
            kept = [i for i in range(layers) if places[place] and i not in config.leave_out]
            blocks = {str(i): Bottleneck(config, hidden, config.bottleneck(i, hidden)) for i in kept}
            self.add_module(place, nn.ModuleDict(blocks))
        inner = max(1, int(hidden // 2 // config.invertible_reduction_factor))
        self.invertible = Invertible(hidden, inner, config.non_linearity) if config.invertible else None

    def at(self, place: str, layer: int) -> Bottleneck | None:
        """The bottleneck at a place of a layer; None where there is none."""
        blocks: Any = getattr(self, place)
        return blocks[str(layer)] if str(layer) in blocks else None


def build_adapter(module: Module, sizes: Sizes) -> Adapter:
    """The adapter of a module, for an encoder of the given sizes; its head's tensors are left aside.

    Raises:
        XlrankError: names or shapes of the tensors do not fit the configuration and the encoder.
    """
    adapter = Adapter(AdapterConfig.of(module), *sizes)
    expected = adapter.state_dict()
    tensors = {name: tensor for name, tensor in module.tensors.items() if not name.startswith("head.")}
    for name in sorted(set(expected) ^ set(tensors)):
        problem = "lacks" if name in expected else "has the unknown"
        raise XlrankError(
            f"module {module.name!r} {problem} tensor {name!r}; it does not fit {sizes[1]} layers of size {sizes[0]}"
        )
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
