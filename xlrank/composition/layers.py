"""Where modules sit in an encoder: around a block's output, on the embeddings, and beside a linear layer."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from xlrank.composition.routing import Routing
from xlrank.modules.adapter import Bottleneck, Invertible

StageBlocks = Sequence[Bottleneck | None]
"""A stage's bottlenecks at one place: one for all tokens, or one a side; None lets tokens pass."""


class AdaptedOutput(nn.Module):
    """The output of an attention or feed-forward block with bottlenecks before its closing residual and layer norm."""

    def __init__(self, inner: nn.Module, stages: Sequence[StageBlocks], routing: Routing) -> None:
        super().__init__()
        self.inner: Any = inner
        self.routing = routing
        self.stages = list(stages)
        # Registered for .to() and parameters(); the list above keeps the gaps.
        self.blocks = nn.ModuleList(block for stage in stages for block in stage if block is not None)
        self.last = next(stage for stage in reversed(self.stages) if any(block is not None for block in stage))

    def forward(self, hidden_states: Tensor, input_tensor: Tensor) -> Tensor:
        """Map the block's inner states and its input, [rows, tokens, hidden], to its output."""
        h = self.inner.dropout(self.inner.dense(hidden_states))
        for stage in self.stages:
            h = self.routing.apply(stage, self._through, h, input_tensor)
        if all(block is None or block.config.original_ln_after for block in self.last):
            return self.inner.LayerNorm(h + input_tensor)  # type: ignore[no-any-return]
        return self.routing.apply(self.last, self._close, h, input_tensor)

    def _through(self, block: Bottleneck | None, inputs: tuple[Tensor, ...]) -> Tensor:
        return inputs[0] if block is None else block(*inputs, self.inner.LayerNorm)

    def _close(self, block: Bottleneck | None, inputs: tuple[Tensor, ...]) -> Tensor:
        if block is not None and not block.config.original_ln_after:
            return inputs[0]
        return self.inner.LayerNorm(inputs[0] + inputs[1])  # type: ignore[no-any-return]


class AdaptedEmbeddings(nn.Module):
    """The embeddings followed by invertible blocks, each token's own."""

    def __init__(self, inner: nn.Module, invertibles: Sequence[Invertible | None], routing: Routing) -> None:
        super().__init__()
        self.inner: Any = inner
        self.routing = routing
        self.invertibles = list(invertibles)
        self.blocks = nn.ModuleList(block for block in invertibles if block is not None)

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:  # noqa: ANN401 - passes on the embeddings' own arguments
        """The embeddings' output, transformed."""
        return self.routing.apply(self.invertibles, _transformed, self.inner(*args, **kwargs))


class RoutedLora(nn.Module):
    """A linear layer with a low-rank update for each side: x W + s (x A) B, A and B the token's side's."""

    def __init__(self, inner: nn.Module, updates: Sequence[tuple[Tensor, Tensor, float] | None], routing: Routing) -> None:
        super().__init__()
        self.inner: Any = inner
        self.routing = routing
        self.updates = [None if update is None else _LowRank(*update) for update in updates]
        self.blocks = nn.ModuleList(update for update in self.updates if update is not None)

    def forward(self, x: Tensor) -> Tensor:
        """The layer's output, [rows, tokens, outputs]."""
        return self.routing.apply(self.updates, _updated, x, self.inner(x))


class _LowRank(nn.Module):
    def __init__(self, down: Tensor, up: Tensor, scaling: float) -> None:
        super().__init__()
        self.register_buffer("down", down.float())
        self.register_buffer("up", (up * scaling).float())

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(nn.functional.linear(x, self.down), self.up)  # type: ignore[arg-type]


def _updated(update: _LowRank | None, inputs: tuple[Tensor, ...]) -> Tensor:
    x, out = inputs
    return out if update is None else out + update(x)


def _transformed(block: Invertible | None, inputs: tuple[Tensor, ...]) -> Tensor:
    return inputs[0] if block is None else block(inputs[0])
