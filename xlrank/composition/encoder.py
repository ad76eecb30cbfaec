"""A composition applied to a base: an encoder of its own that shares the base's weights and never changes them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from xlrank.bases import Base
from xlrank.composition.expression import Composition
from xlrank.composition.layers import AdaptedEmbeddings, AdaptedOutput, RoutedLora
from xlrank.composition.plan import Part, Stage, plan
from xlrank.composition.routing import Routing
from xlrank.errors import XlrankError
from xlrank.modules import Module
from xlrank.modules.adapter import Adapter, Bottleneck, Invertible, Sizes, build_adapter
from xlrank.modules.arithmetic import lora_scaling
from xlrank.modules.weights import ABSOLUTE, OUTSIDE, edited_parameters

AdapterStage = Sequence[Adapter]


class ComposedEncoder(nn.Module):
    """A base with edited weights and stages of adapters.

    Args:
        base: gives structure and shared weights.
        stages: adapters, the lowest stage first; one a stage, or the query side's and the document side's.
        edited: parameters of its own, by name.
        dtype: of all weights.
        reference: the lowest stage's first invertible block applies to all tokens, as in the original.
    """

    def __init__(
        self,
        base: Base,
        stages: Sequence[AdapterStage] = (),
        edited: Mapping[str, Tensor] | None = None,
        dtype: torch.dtype = torch.float32,
        *,
        reference: bool = False,
    ) -> None:
        super().__init__()
        self.routing = Routing()
        self.encoder: Any = base.copy_encoder(edited or {}, dtype)
        for adapter in (adapter for stage in stages for adapter in stage):
            adapter.to(dtype)
        for i, layer in enumerate(self.encoder.encoder.layer):
            for place, block in (("attention", layer.attention), ("layer", layer)):
                blocks = [[adapter.at(place, i) for adapter in stage] for stage in stages]
                if any(bottleneck is not None for stage in blocks for bottleneck in stage):
                    block.output = AdaptedOutput(block.output, blocks, self.routing)
        self.invertibles = _invertibles(stages, reference=reference)
        if any(block is not None for block in self.invertibles):
            self.encoder.embeddings = AdaptedEmbeddings(self.encoder.embeddings, self.invertibles, self.routing)

    def add_updates(self, stage: Stage) -> None:
        """Put a LoRA for each side beside the linear layers that either of them updates."""
        layers = {name.removeprefix("A.") for part in stage for name in part.module.tensors if name.startswith("A.")}
        for name in sorted(layers):
            parent_name, _, child = name.rpartition(".")
            parent = self.encoder.get_submodule(parent_name)
            if isinstance(parent, AdaptedOutput):
                parent = parent.inner
            updates = [_low_rank(part.module, name) for part in stage]
            routed = RoutedLora(getattr(parent, child), updates, self.routing)
            routed.blocks.to(self.encoder.dtype)
            setattr(parent, child, routed)

    def train(self, mode: bool = True) -> "ComposedEncoder":
        """Stay in evaluation mode: dropout in a frozen encoder would only blur what the modules are to learn."""
        return super().train(mode=False)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor, sides: Tensor) -> Tensor:
        """Last hidden states [rows, tokens, hidden]; all arguments are integers [rows, tokens], ``sides`` 0 query, 1 document."""
        self.routing.set(sides)
        output = self.encoder(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids)
        return output.last_hidden_state  # type: ignore[no-any-return]


def compose(
    base: Base, composition: Composition, dtype: torch.dtype = torch.float32, *, reference: bool = False
) -> ComposedEncoder:
    """Apply a resolved composition to a base, with all weights in ``dtype``.

    Args:
        base: the encoder.
        composition: with all modules loaded.
        dtype: of the composed encoder's weights.
        reference: behave as the original code: in a split the query side's invertible block and layer-norm options apply to
            all tokens, and ``both`` adds one mask twice when it stands on both sides.

    Raises:
        XlrankError: a module belongs to another base, or the parts cannot be combined.
    """
    wanted = plan(composition, reference=reference)
    for module in wanted.modules:
        module.check_base(base)
    sizes = (int(base.config.hidden_size), int(base.config.num_hidden_layers))
    stages = [[_adapter(part, sizes) for part in stage] for stage in wanted.adapters]
    _check_parallel(stages, composition)
    if reference:
        stages = [_first_rules(stage) for stage in stages]
    encoder = ComposedEncoder(base, stages, edited_parameters(wanted.edits, base), dtype, reference=reference)
    for updates in wanted.updates:
        for part in updates:
            _check_updates(part.module, base)
        encoder.add_updates(updates)
    return encoder


def trainable(base: Base, adapter: Adapter, below: Sequence[Module] = ()) -> ComposedEncoder:
    """An encoder in which only ``adapter`` learns, on top of frozen adapter modules ``below``."""
    sizes = (int(base.config.hidden_size), int(base.config.num_hidden_layers))
    for module in below:
        module.check_base(base)
    return ComposedEncoder(base, [*([build_adapter(module, sizes)] for module in below), [adapter]])


def _invertibles(stages: Sequence[AdapterStage], *, reference: bool) -> list[Invertible | None]:
    """The lowest stage's invertible blocks; those of higher stages have no place, the embeddings are passed once."""
    blocks = [adapter.invertible for adapter in stages[0]] if stages else []
    return blocks[:1] if reference else blocks


def _adapter(part: Part, sizes: Sizes) -> Adapter:
    adapter = build_adapter(part.module, sizes)
    if not part.invertible:
        adapter.invertible = None
    outside = sorted(layer for layer in part.dropped if not 0 <= layer < sizes[1])
    if outside:
        raise XlrankError(f"drop: layer {outside[0]} does not exist; the base has layers 0 to {sizes[1] - 1}")
    for blocks in (adapter.attention, adapter.layer):
        for layer in part.dropped:
            if str(layer) in blocks:  # type: ignore[operator]
                del blocks[str(layer)]  # type: ignore[operator, union-attr]
    return adapter


def _check_parallel(stages: Sequence[AdapterStage], composition: Composition) -> None:
    if len(stages) > 1 and any(adapter.config.parallel for stage in stages for adapter in stage):
        raise XlrankError(
            f"composition {composition}: a parallel adapter reads its block's input, so it cannot be stacked with others"
        )


def _check_updates(module: Module, base: Base) -> None:
    """Refuse a LoRA that cannot differ from token to token."""
    edited_parameters([module], base)  # refuses layers that the base lacks or has in other sizes
    whole = next((name for name in module.tensors if name.startswith(ABSOLUTE) and not name.startswith(OUTSIDE)), None)
    if whole:
        raise XlrankError(
            f"split: {module.name!r} holds {whole!r}, a whole parameter that all tokens share; use it without split"
        )
    pooler = next((name.removeprefix("A.") for name in module.tensors if name.startswith("A.pooler.")), None)
    if pooler:
        raise XlrankError(f"split: {module.name!r} updates {pooler!r}, which sees no document; use it without split")


def _first_rules(stage: AdapterStage) -> list[Adapter]:
    """The original asks only the first side's adapter whether layer norm and residual come before the bottleneck."""
    first = stage[0].config
    if any(adapter.config.leave_out != first.leave_out for adapter in stage[1:]):
        raise XlrankError(
            "reference mode: the original cannot split adapters that leave out different layers; use the default mode"
        )
    for adapter in stage[1:]:
        for bottleneck in (module for module in adapter.modules() if isinstance(module, Bottleneck)):
            bottleneck.config = replace(
                bottleneck.config, original_ln_before=first.original_ln_before, residual_before_ln=first.residual_before_ln
            )
    return list(stage)


def _low_rank(module: Module, layer: str) -> tuple[Tensor, Tensor, float] | None:
    if f"A.{layer}" not in module.tensors:
        return None
    return module.tensors[f"A.{layer}"], module.tensors[f"B.{layer}"], lora_scaling(module, layer)
