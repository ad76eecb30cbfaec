"""Where modules sit in an encoder: around a block's output, on the embeddings, beside a linear layer, over a table of words."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from xlrank.composition.routing import Routing, Slots
from xlrank.modules.kinds.adapter.layers import Bottleneck, Invertible
from xlrank.modules.weights import SparseEdit


class AdaptedOutput(nn.Module):
    """The output of an attention or feed-forward block with bottlenecks before its closing residual and layer norm.

    Args:
        inner: the block.
        stages: the bottlenecks of each stage, the lowest first; None lets tokens pass.
        routing: where tokens go.
    """

    def __init__(self, inner: nn.Module, stages: Sequence[Slots[Bottleneck | None]], routing: Routing) -> None:
        super().__init__()
        self.inner: Any = inner
        self.routing = routing
        self.stages = list(stages)
        # Registered for .to() and parameters(); the list above keeps the gaps.
        self.blocks = nn.ModuleList(block for stage in stages for block in stage.items if block is not None)
        self.last = next(stage for stage in reversed(self.stages) if any(block is not None for block in stage.items))
        self.usual = all(block.usual for block in self.blocks)

    def forward(self, hidden_states: Tensor, input_tensor: Tensor) -> Tensor:
        """Map the block's inner states and its input, [rows, tokens, hidden], to its output."""
        h = self.inner.dropout(self.inner.dense(hidden_states))
        if self.usual and not torch.is_grad_enabled():
            # Every bottleneck reads norm(h + input) and adds to h, so the sum is kept and changed in place: new memory for
            # each step would cost more than the arithmetic.
            h += input_tensor
            for stage in self.stages:
                self.routing.change(stage, self._add_to, h)
            return self.inner.LayerNorm(h)  # type: ignore[no-any-return]
        for stage in self.stages:
            h = self.routing.apply(stage, self._through, h, input_tensor)
        if all(block is None or block.config.original_ln_after for block in self.last.items):
            return self.inner.LayerNorm(h + input_tensor)  # type: ignore[no-any-return]
        return self.routing.apply(self.last, self._close, h, input_tensor)

    def _add_to(self, block: Bottleneck | None, sums: Tensor) -> None:
        if block is not None:
            block.add_to(sums, self.inner.LayerNorm)

    def _through(self, block: Bottleneck | None, inputs: Sequence[Tensor]) -> Tensor:
        return inputs[0] if block is None else block(*inputs, self.inner.LayerNorm)

    def _close(self, block: Bottleneck | None, inputs: Sequence[Tensor]) -> Tensor:
        if block is not None and not block.config.original_ln_after:
            return inputs[0]
        return self.inner.LayerNorm(inputs[0] + inputs[1])  # type: ignore[no-any-return]


class AdaptedEmbeddings(nn.Module):
    """The embeddings followed by invertible blocks, each token's own."""

    def __init__(self, inner: nn.Module, invertibles: Slots[Invertible | None], routing: Routing) -> None:
        super().__init__()
        self.inner: Any = inner
        self.routing = routing
        self.invertibles = invertibles
        self.blocks = nn.ModuleList(block for block in invertibles.items if block is not None)

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:  # noqa: ANN401 - passes on the embeddings' own arguments
        """The embeddings' output, transformed."""
        return self.routing.apply(self.invertibles, _transformed, self.inner(*args, **kwargs))


class UpdatedLinear(nn.Module):
    """A linear layer and what each side's module adds to its output: W x + update(x), the update the token's side's.

    Args:
        inner: the layer.
        updates: networks from the layer's input to its output's size; None adds nothing.
        routing: where tokens go.
    """

    def __init__(self, inner: nn.Module, updates: Slots[nn.Module | None], routing: Routing) -> None:
        super().__init__()
        self.inner: Any = inner
        self.routing = routing
        self.updates = updates
        self.blocks = nn.ModuleList(update for update in updates.items if update is not None)

    def forward(self, x: Tensor) -> Tensor:
        """The layer's output, [rows, tokens, outputs]."""
        return self.routing.apply(self.updates, _updated, x, self.inner(x))


class PatchedEmbedding(nn.Module):
    """A table of word vectors with sparse differences that are added to the rows looked up, so that no second table is held.

    A vector is the same to the last bit as in a table that was changed as a whole: both are summed in float32, in order.

    Args:
        weight: the base's table [words, hidden], float32.
        edits: differences by ascending flat position, applied in order.
        dtype: of the vectors returned.
    """

    weight: Tensor

    def __init__(self, weight: Tensor, edits: Sequence[SparseEdit], dtype: torch.dtype) -> None:
        super().__init__()
        self.register_buffer("weight", weight, persistent=False)
        self.dtype = dtype
        words, hidden = weight.shape
        bounds = torch.arange(words + 1, device=weight.device) * hidden
        for i, edit in enumerate(edits):
            self.register_buffer(f"index{i}", edit.index, persistent=False)
            self.register_buffer(f"difference{i}", edit.difference, persistent=False)
            self.register_buffer(f"start{i}", torch.searchsorted(edit.index, bounds.to(edit.index.dtype)), persistent=False)
        self.edits = len(edits)

    def table(self) -> Tensor:
        """The whole table [words, hidden] with its differences, float32: for heads that are tied to it."""
        table = self.weight.clone()
        for i in range(self.edits):
            table.view(-1).index_add_(0, self.get_buffer(f"index{i}"), self.get_buffer(f"difference{i}").float())
        return table

    def forward(self, ids: Tensor) -> Tensor:
        """Vectors [..., hidden] of word pieces [...]."""
        flat = ids.reshape(-1)
        rows = self.weight[flat]
        for i in range(self.edits):
            index, difference, start = (self.get_buffer(f"{name}{i}") for name in ("index", "difference", "start"))
            first, count = start[flat], start[flat + 1] - start[flat]
            row = torch.repeat_interleave(count)
            within = torch.arange(len(row), device=ids.device) - (count.cumsum(0) - count)[row]
            entry = first[row] + within
            column = index[entry].long() - flat[row] * rows.shape[1]
            rows.view(-1).index_add_(0, row * rows.shape[1] + column, difference[entry].float())
        return rows.to(self.dtype).view(*ids.shape, rows.shape[1])


def _updated(update: nn.Module | None, inputs: Sequence[Tensor]) -> Tensor:
    x, out = inputs
    return out if update is None else out + update(x)


def _transformed(block: Invertible | None, inputs: Sequence[Tensor]) -> Tensor:
    return inputs[0] if block is None else block(inputs[0])
