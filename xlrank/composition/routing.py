"""Per-token routing: which of a stage's modules each token of a batch goes through."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


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

    def apply(self, modules: Sequence[nn.Module], x: Tensor) -> Tensor:
        """Send each token of x [rows, tokens, hidden] through the one module, or its side's of two."""
        if len(modules) == 1:
            return modules[0](x)  # type: ignore[no-any-return]
        if self._sides is None:
            raise RuntimeError("Routing.set must precede a forward pass with a split")
        flat = x.reshape(-1, x.shape[-1])
        parts = [module(flat.index_select(0, index)) for module, index in zip(modules, self._sides, strict=True)]
        result = torch.empty_like(flat, dtype=parts[0].dtype)
        for index, part in zip(self._sides, parts, strict=True):
            result = result.index_copy(0, index, part)
        return result.view_as(x)
