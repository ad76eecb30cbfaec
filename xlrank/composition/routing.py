"""Per-token routing: which of a stage's modules each token of a batch goes through."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor

Item = TypeVar("Item")
Other = TypeVar("Other")
CHUNK = 2048
"""Tokens that are changed at once: 3 MB of float32 at hidden size 384."""

Table = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Slots(Generic[Item]):
    """What one stage holds, each thing once, and who uses which of it.

    Attributes:
        items: the stage's modules, or what is made of them.
        table: for each composition in the batch, the numbers of the item for the query's tokens and for the document's.
    """

    items: tuple[Item, ...]
    table: Table

    @classmethod
    def of(cls, stages: Sequence[Sequence[Item]]) -> "Slots[Item]":
        """One stage a composition: one item for all tokens, or the query side's and the document side's; equal items are one."""
        numbers: dict[Hashable, int] = {}
        items: list[Item] = []
        for item in (item for stage in stages for item in stage):
            if item not in numbers:
                numbers[item] = len(items)
                items.append(item)
        return cls(tuple(items), tuple((numbers[stage[0]], numbers[stage[-1]]) for stage in stages))

    def map(self, function: Callable[[Item], Other]) -> "Slots[Other]":
        """The same places with ``function(item)`` in each."""
        return Slots(tuple(function(item) for item in self.items), self.table)


class Routing:
    """Which tokens of the batch in flight go where, shared by all layers. Call :meth:`set` before each forward pass.

    Rows may be ragged, every row with its own border between query and document, and of different compositions. Tokens of one
    item are gathered, so that each item sees them as one matrix, whatever the languages in the batch.
    """

    def __init__(self) -> None:
        self._sides: Tensor | None = None
        self._variants: Tensor | None = None
        self._orders: dict[Table, tuple[Tensor, Tensor, list[int]]] = {}

    def set(self, sides: Tensor, variants: Tensor | None = None) -> None:
        """Take over a batch's layout.

        Args:
            sides: integers [rows, tokens]: 0 where a token belongs to the query's side, 1 to the document's.
            variants: integers [rows]: number of each row's composition; None if there is only one.
        """
        self._sides, self._variants = sides, variants
        self._orders = {}

    def apply(self, slots: Slots[Item], function: Callable[[Item, Sequence[Tensor]], Tensor], *inputs: Tensor) -> Tensor:
        """``function(item, inputs)`` on all tokens where there is one item, else on each item's own tokens.

        Args:
            slots: the stage.
            function: maps an item and inputs of shape [..., hidden] to a tensor of the same shape.
            inputs: tensors [rows, tokens, hidden].
        """
        if len(slots.items) == 1:
            return function(slots.items[0], inputs)
        order, back, counts = self._order(slots.table, len(slots.items))
        gathered = [torch.split(x.reshape(-1, x.shape[-1]).index_select(0, order), counts) for x in inputs]
        parts = [function(item, tokens) for item, *tokens in zip(slots.items, *gathered, strict=True) if len(tokens[0])]
        return torch.cat(parts).index_select(0, back).view(*inputs[0].shape[:-1], -1)

    def change(self, slots: Slots[Item], function: Callable[[Item, Tensor], None], x: Tensor) -> None:
        """Let ``function(item, tokens)`` change each item's tokens in place, some thousand at a time so that they stay in cache.

        Args:
            slots: the stage.
            function: changes tokens [some, hidden].
            x: contiguous [rows, tokens, hidden].
        """
        flat = x.view(-1, x.shape[-1])
        if len(slots.items) == 1:
            for tokens in torch.split(flat, CHUNK):
                function(slots.items[0], tokens)
            return
        order, _, counts = self._order(slots.table, len(slots.items))
        for item, own in zip(slots.items, torch.split(order, counts), strict=True):
            for index in torch.split(own, CHUNK) if len(own) else ():
                tokens = flat.index_select(0, index)
                function(item, tokens)
                flat.index_copy_(0, index, tokens)

    def _order(self, table: Table, items: int) -> "tuple[Tensor, Tensor, list[int]]":
        """The tokens sorted by item, the way back, and how many each item has; worked out once a batch and table."""
        if self._sides is None:
            raise RuntimeError("Routing.set must precede a forward pass with a split")
        if table not in self._orders:
            numbers = torch.tensor(table, device=self._sides.device)
            rows = numbers[0].expand(len(self._sides), 2) if self._variants is None else numbers[self._variants]
            item = rows.gather(1, (self._sides != 0).long()).reshape(-1)
            order = item.argsort(stable=True)
            self._orders[table] = (order, order.argsort(), torch.bincount(item, minlength=items).tolist())
        return self._orders[table]
