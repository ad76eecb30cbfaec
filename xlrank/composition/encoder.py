"""A composition applied to a base: an encoder of its own that shares the base's weights and never changes them."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from xlrank.bases import Base
from xlrank.composition.expression import Composition
from xlrank.composition.routing import Routing
from xlrank.composition.rules import check_kinds
from xlrank.modules import Module
from xlrank.modules.adapter import Adapter, build_adapter
from xlrank.modules.full import replaced_parameters


class AdaptedOutput(nn.Module):
    """A layer's output block with a stack of bottlenecks: h <- h + A(LN(h + a)) for each stage, then LN(h + a).

    ``a`` is the attention block's output and LN the layer's own, re-used (Pfeiffer configuration).
    """

    def __init__(self, inner: nn.Module, stages: Sequence[Sequence[nn.Module]], routing: Routing) -> None:
        super().__init__()
        self.inner: Any = inner
        self.stages = nn.ModuleList(nn.ModuleList(stage) for stage in stages)
        self.routing = routing

    def forward(self, hidden_states: Tensor, input_tensor: Tensor) -> Tensor:
        """Map the feed-forward block's inner states and its input [rows, tokens, hidden] to the layer's output."""
        h = self.inner.dropout(self.inner.dense(hidden_states))
        for stage in self.stages:
            h = h + self.routing.apply(list(stage), self.inner.LayerNorm(h + input_tensor))  # type: ignore[call-overload]
        return self.inner.LayerNorm(h + input_tensor)  # type: ignore[no-any-return]


class AdaptedEmbeddings(nn.Module):
    """The embeddings followed by the invertible adapters of the lowest stage, each token's own."""

    def __init__(self, inner: nn.Module, invertibles: Sequence[nn.Module], routing: Routing) -> None:
        super().__init__()
        self.inner: Any = inner
        self.invertibles = nn.ModuleList(invertibles)
        self.routing = routing

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:  # noqa: ANN401 - passes on the embeddings' own arguments
        """The embeddings' output, transformed."""
        return self.routing.apply(list(self.invertibles), self.inner(*args, **kwargs))


class ComposedEncoder(nn.Module):
    """A base with stages of adapters and, for full fine-tuning, replaced weights."""

    def __init__(
        self,
        base: Base,
        stages: Sequence[Sequence[Adapter]],
        replaced: Mapping[str, Tensor] | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.routing = Routing()
        self.encoder: Any = base.copy_encoder(replaced or {}, dtype)
        for adapter in (adapter for stage in stages for adapter in stage):
            adapter.to(dtype)
        for i, layer in enumerate(self.encoder.encoder.layer):
            if stages:
                layer.output = AdaptedOutput(layer.output, [[a.layer[i] for a in stage] for stage in stages], self.routing)
        invertibles = [adapter.invertible or nn.Identity() for adapter in stages[0]] if stages else []
        if any(not isinstance(block, nn.Identity) for block in invertibles):
            self.encoder.embeddings = AdaptedEmbeddings(self.encoder.embeddings, invertibles, self.routing)

    def train(self, mode: bool = True) -> "ComposedEncoder":
        """Stay in evaluation mode: dropout in a frozen encoder would only blur what the modules are to learn."""
        return super().train(mode=False)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor, sides: Tensor) -> Tensor:
        """Last hidden states [rows, tokens, hidden]; all arguments are integers [rows, tokens], ``sides`` 0 query, 1 document."""
        self.routing.set(sides)
        output = self.encoder(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids)
        return output.last_hidden_state  # type: ignore[no-any-return]


def compose(base: Base, composition: Composition, dtype: torch.dtype = torch.float32) -> ComposedEncoder:
    """Apply a resolved composition to a base, with all weights in ``dtype``.

    Raises:
        XlrankError: a module belongs to another base, or the parts cannot be combined.
    """
    check_kinds(composition)
    stages: list[list[Adapter]] = []
    replaced: dict[str, Tensor] = {}
    sizes = (int(base.config.hidden_size), int(base.config.num_hidden_layers))
    for stage in composition.stages():
        modules = [leaf.loaded() for leaf in stage.leaves()]
        for module in modules:
            module.check_base(base)
        if modules[0].kind == "full":
            replaced = replaced_parameters(modules[0], base)
        else:
            stages.append([build_adapter(module, *sizes) for module in modules])
    return ComposedEncoder(base, stages, replaced, dtype)


def trainable(base: Base, adapter: Adapter, below: Sequence[Module] = ()) -> ComposedEncoder:
    """An encoder in which only ``adapter`` learns, on top of frozen adapter modules ``below``."""
    sizes = (int(base.config.hidden_size), int(base.config.num_hidden_layers))
    for module in below:
        module.check_base(base)
    return ComposedEncoder(base, [*([build_adapter(module, *sizes)] for module in below), [adapter]])
