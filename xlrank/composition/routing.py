"""Per-token routing: which of a stage's modules each token of a batch goes through."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

Item = TypeVar("Item")


class Routing:
    """The token indices of the two sides of the batch in flight, shared by all layers.

    Rows may be ragged: every row has its own border between query and document. Call :meth:`set` before each forward pass.
    """

    def __init__(self) -> None:
        self._sides: tuple[Tensor, Tensor] | None = None

    def set(self, sides: Tensor) -> None:
        """Take over ``sides``, integers [rows, tokens]: 0 where a token belongs to the query's side, 1 to the document's."""
        flat = sides.reshape(-1)
        self._sides = (torch.nonzero(flat == 0).squeeze(-1), torch.nonzero(flat != 0).squeeze(-1))

    def apply(self, items: Sequence[Item], function: Callable[[Item, tuple[Tensor, ...]], Tensor], *inputs: Tensor) -> Tensor:
        """``function(item, inputs)`` with the one item for all tokens, or with each side's of two for its tokens.

        Args:
            items: one item, or the query side's and the document side's.
            function: maps an item and inputs of shape [..., hidden] to a tensor of the same shape.
            inputs: tensors [rows, tokens, hidden].
        """
        if len(items) == 1:
            return function(items[0], inputs)
        if self._sides is None:
            raise RuntimeError("Routing.set must precede a forward pass with a split")
        flat = [x.reshape(-1, x.shape[-1]) for x in inputs]
        parts = [
            function(item, tuple(x.index_select(0, index) for x in flat)) for item, index in zip(items, self._sides, strict=True)
        ]
        result = torch.empty(flat[0].shape[0], parts[0].shape[-1], dtype=parts[0].dtype, device=parts[0].device)
        for index, part in zip(self._sides, parts, strict=True):
            result = result.index_copy(0, index, part)
        return result.view(*inputs[0].shape[:-1], -1)
