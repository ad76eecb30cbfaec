"""Bottleneck adapters in all of AdapterHub's variants, and NICE invertible adapters: the maths.

A bottleneck adds ``up(act(down(x)))`` after a block of a layer (Houlsby et al. 2019; Pfeiffer et al. 2020; parallel: He et al.
2022); which layer norm and residual surround it is a matter of configuration. An invertible adapter (MAD-X, Pfeiffer et al.,
EMNLP 2020) is an additive coupling on the embeddings whose exact inverse precedes a masked-language-model head.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers.activations import ACT2FN

from xlrank.errors import XlrankError
from xlrank.modules.kinds.adapter.config import AdapterConfig
from xlrank.modules.kinds.kind import Sizes
from xlrank.modules.module import Module

INIT_STD = 0.02
PLACES: tuple[str, ...] = ("attention", "layer")
"""Where a layer may carry a bottleneck: after its attention block, after its feed-forward block (by tensor name)."""


def activation(name: str) -> nn.Module:
    """The activation of a configuration."""
    if name == "relu":
        return nn.ReLU(inplace=True)
    return nn.LeakyReLU() if name == "leakyrelu" else ACT2FN[name]


class Linear(nn.Linear):
    """A linear layer that starts small (N(0, 0.02), no bias), or without any memory where weights are put in later."""

    def __init__(self, inputs: int, outputs: int, *, initialise: bool = True) -> None:
        self.initialise = initialise
        # Sizes come from a module's settings, which may be anybody's: none may cost memory before the tensors have agreed.
        super().__init__(inputs, outputs, device=None if initialise else "meta")

    def reset_parameters(self) -> None:
        """Called by torch when the layer is made."""
        if self.initialise:
            nn.init.normal_(self.weight, std=INIT_STD)
            nn.init.zeros_(self.bias)


class Bottleneck(nn.Module):
    """``up(act(down(x)))`` with its residual and optional layer norms, for one place of one layer."""

    def __init__(self, config: AdapterConfig, hidden: int, size: int, epsilon: float = 1e-5, *, initialise: bool = True) -> None:
        super().__init__()
        self.config = config
        self.norm_before = nn.LayerNorm(hidden, eps=epsilon) if config.ln_before else None
        self.down = Linear(hidden, size, initialise=initialise)
        self.act = activation(config.non_linearity)
        self.up: nn.Module = Linear(size, hidden, initialise=initialise)  # 8-bit rankers put another kind of layer here
        self.norm_after = nn.LayerNorm(hidden, eps=epsilon) if config.ln_after else None

    def forward(self, h: Tensor, block_input: Tensor, norm: nn.Module) -> Tensor:
        """The block's output h with the bottleneck added; all of shape [..., hidden].

        Args:
            h: output of the block (or of the stage below) before its residual and layer norm.
            block_input: the block's input, its residual.
            norm: the block's own layer norm.
        """
        config = self.config
        if config.parallel:
            return h + self._closed(self.change(block_input))
        residual = h + block_input if config.residual_before_ln == "post_add" else h
        x = norm(h + block_input) if config.original_ln_before else h
        if not config.residual_before_ln:
            residual = x
        projected = self.change(x)
        if config.adapter_residual_before_ln:
            return self._closed(projected + residual)
        return self._closed(projected) + residual

    @property
    def usual(self) -> bool:
        """Whether it is ``h + change(norm(h + block_input))``, as in AdapterHub's ``seq_bn`` and ``double_seq_bn``."""
        config = self.config
        norms = config.original_ln_before and config.original_ln_after and not config.ln_after
        return norms and config.residual_before_ln is True and not config.parallel

    def change(self, x: Tensor) -> Tensor:
        """What is added for the bottleneck's input x, before any layer norm of its own closes it."""
        x = self.norm_before(x) if self.norm_before is not None else x
        out: Tensor = self.up(self.act(self.down(x)))
        return out if self.config.scaling == 1.0 else out * self.config.scaling

    def add_to(self, sums: Tensor, norm: nn.Module) -> None:
        """Add ``change(norm(sums))`` to ``sums`` [tokens, hidden] in place; for :attr:`usual` ones, without gradients."""
        x = norm(sums)
        x = self.norm_before(x) if self.norm_before is not None else x
        inner = self.act(self.down(x))
        if isinstance(self.up, nn.Linear) and self.config.scaling == 1.0 and inner.dtype == sums.dtype == self.up.weight.dtype:
            sums.add_(self.up.bias).addmm_(inner, self.up.weight.t())  # the matrix product adds up as it goes
        else:
            sums.add_(self.up(inner), alpha=self.config.scaling)

    def _closed(self, x: Tensor) -> Tensor:
        return self.norm_after(x) if self.norm_after is not None else x


class Invertible(nn.Module):
    """NICE additive coupling of the two halves of x, shape [..., hidden]; ``inverse(forward(x)) == x`` up to rounding."""

    def __init__(self, hidden: int, size: int, non_linearity: str, *, initialise: bool = True) -> None:
        super().__init__()
        half = hidden // 2

        def network(inputs: int, outputs: int) -> nn.Sequential:
            down, up = Linear(inputs, size, initialise=initialise), Linear(size, outputs, initialise=initialise)
            return nn.Sequential(down, activation(non_linearity), up)

        self.F, self.G = network(hidden - half, half), network(half, hidden - half)

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
    """The bottlenecks of all layers, by place and layer number, and the invertible block if the configuration has one.

    Args:
        config: its settings.
        hidden: the encoder's hidden size.
        layers: its number of layers.
        initialise: False where weights are loaded at once.
    """

    def __init__(self, config: AdapterConfig, hidden: int, layers: int, *, initialise: bool = True) -> None:
        super().__init__()
        self.config = config
        places = {"attention": config.attention, "layer": config.output}
        for place in PLACES:
            kept = [i for i in range(layers) if places[place] and i not in config.leave_out]
            sizes = {i: config.bottleneck(i, hidden) for i in kept}
            blocks = {str(i): Bottleneck(config, hidden, size, initialise=initialise) for i, size in sizes.items()}
            self.add_module(place, nn.ModuleDict(blocks))
        inner = max(1, int(hidden // 2 // config.invertible_reduction_factor))
        self.invertible = Invertible(hidden, inner, config.non_linearity, initialise=initialise) if config.invertible else None

    def at(self, place: str, layer: int) -> Bottleneck | None:
        """The bottleneck at a place of a layer; None where there is none."""
        blocks: Any = getattr(self, place)
        return blocks[str(layer)] if str(layer) in blocks else None


def build_adapter(module: Module, sizes: Sizes) -> Adapter:
    """The adapter of a module, for an encoder of the given sizes; its head's tensors are left aside.

    Raises:
        XlrankError: names or shapes of the tensors do not fit the configuration and the encoder.
    """
    try:
        adapter = Adapter(AdapterConfig.of(module), *sizes, initialise=False)
    except XlrankError as error:
        raise XlrankError(f"module {module.name!r}: {error}") from None
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
