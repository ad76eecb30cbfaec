"""An encoder of its own structure around a base's weights, into which modules are put and out of which they are taken."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from xlrank.bases import Base
from xlrank.composition.layers import AdaptedEmbeddings, AdaptedOutput, PatchedEmbedding, UpdatedLinear
from xlrank.composition.routing import Routing, Slots
from xlrank.modules.kinds.adapter.layers import Adapter, Invertible
from xlrank.modules.weights import Edit, SparseEdit, edited

EMBEDDINGS, WORDS = "embeddings", "word_embeddings"
NO_BLOCKS: Slots[Invertible | None] = Slots((), ())


class ComposedEncoder(nn.Module):
    """A base with edited weights, stages of adapters, and networks beside linear layers.

    Args:
        base: gives structure and shared weights; it is never written to.
        stages: as for :meth:`adapt`.
        edits: as for :meth:`edit`.
        dtype: of all weights.
    """

    def __init__(
        self,
        base: Base,
        stages: Sequence[Slots[Adapter | None]] = (),
        edits: Mapping[str, Sequence[Edit]] | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.base, self.dtype, self.routing = base, dtype, Routing()
        self.encoder: Any = base.copy_encoder({}, dtype)
        # The base's own layers by its names for them, wherever modules are put around them later.
        self.layers: dict[str, Any] = dict(self.encoder.named_modules())
        self.stages: list[Slots[Adapter | None]] = []
        self.invertibles = NO_BLOCKS
        self.edited: frozenset[str] = frozenset()
        self.edit(edits or {})
        self.adapt(stages, stages[0].map(invertible_block) if stages else NO_BLOCKS)

    def edit(self, edits: Mapping[str, Sequence[Edit]]) -> None:
        """Give the named parameters the base's values with these edits, and those of earlier edits the base's own again.

        Everything is computed from the base's float32 values: nothing accumulates. What no edit names stays shared with the base.
        """
        for name in self.edited | set(edits):
            module, _, parameter = name.rpartition(".")
            own: Tensor = self.base.encoder.get_parameter(name).detach()
            if module == f"{EMBEDDINGS}.{WORDS}" and (sparse := _ascending(edits.get(name, ()))):
                setattr(self.layers[EMBEDDINGS], WORDS, PatchedEmbedding(own, sparse, self.dtype))
                continue
            value = edited(own, edits[name]).to(self.dtype) if name in edits else self.base.shared_parameters(self.dtype)[name]
            setattr(self.layers[module], parameter, nn.Parameter(value, requires_grad=False))
            if module == f"{EMBEDDINGS}.{WORDS}":
                setattr(self.layers[EMBEDDINGS], WORDS, self.layers[module])
        self.edited = frozenset(edits)

    def adapt(self, stages: Sequence[Slots[Adapter | None]], invertibles: Slots[Invertible | None]) -> None:
        """Put adapters in, instead of those that were there.

        Args:
            stages: the lowest first; None where tokens pass.
            invertibles: the blocks on the embeddings.
        """
        for adapter in (adapter for stage in stages for adapter in stage.items if adapter is not None):
            adapter.to(self.dtype)
        for i, layer in enumerate(self.encoder.encoder.layer):
            for place, block, name in (("attention", layer.attention, "attention.output"), ("layer", layer, "output")):
                blocks = [stage.map(lambda a, p=place, i=i: None if a is None else a.at(p, i)) for stage in stages]  # type: ignore[misc]
                own = self.layers[f"encoder.layer.{i}.{name}"]
                here = any(bottleneck is not None for stage in blocks for bottleneck in stage.items)
                block.output = AdaptedOutput(own, blocks, self.routing) if here else own
        self.stages, self.invertibles = list(stages), invertibles
        own = self.layers[EMBEDDINGS]
        here = any(block is not None for block in invertibles.items)
        self.encoder.embeddings = AdaptedEmbeddings(own, invertibles, self.routing) if here else own

    def update(self, stage: Slots[Mapping[str, nn.Module]]) -> None:
        """Put networks beside the linear layers that any side updates, on top of those that are there."""
        for name in sorted({name for updates in stage.items for name in updates}):
            parent, _, child = name.rpartition(".")
            inner = getattr(self.layers[parent], child)
            updated = UpdatedLinear(inner, stage.map(lambda u, name=name: u.get(name)), self.routing)  # type: ignore[misc]
            updated.blocks.to(self.dtype)
            setattr(self.layers[parent], child, updated)

    def train(self, mode: bool = True) -> "ComposedEncoder":
        """Stay in evaluation mode: dropout in a frozen encoder would only blur what the modules are to learn."""
        return super().train(mode=False)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor, sides: Tensor, variants: Tensor | None = None
    ) -> Tensor:
        """Last hidden states [rows, tokens, hidden].

        Args:
            input_ids: integers [rows, tokens], as the next three.
            attention_mask: 1 where a token is no padding.
            token_type_ids: as the base's tokenizer sets them.
            sides: 0 query, 1 document.
            variants: [rows], number of each row's composition; needed where there are several.
        """
        self.routing.set(sides, variants)
        output = self.encoder(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids)
        return output.last_hidden_state  # type: ignore[no-any-return]


def invertible_block(adapter: Adapter | None) -> Invertible | None:
    """An adapter's block on the embeddings, if it has one."""
    return None if adapter is None else adapter.invertible


def _ascending(edits: Iterable[Edit]) -> list[SparseEdit]:
    """The edits if all are sparse with ascending positions, else none."""
    found = list(edits)
    sparse = [edit for edit in found if isinstance(edit, SparseEdit) and bool((edit.index[1:] > edit.index[:-1]).all())]
    return sparse if len(sparse) == len(found) else []
