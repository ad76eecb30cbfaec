"""From compositions to an encoder: one composition, several in one batch, or another one in place of the last."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from xlrank.bases import Base
from xlrank.composition.encoder import NO_BLOCKS, ComposedEncoder, invertible_block
from xlrank.composition.expression import Composition
from xlrank.composition.functions import Part
from xlrank.composition.plan import Plan, Stage, plan
from xlrank.composition.routing import Slots
from xlrank.errors import XlrankError
from xlrank.modules.kinds import Sizes, kind_named
from xlrank.modules.kinds.adapter.layers import Adapter, Bottleneck, Invertible
from xlrank.modules.weights import edits_of

Stages = list[Slots[Adapter | None]]


def compose(
    base: Base, composition: Composition, dtype: torch.dtype = torch.float32, *, reference: bool = False
) -> "ComposedEncoder":
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
    return compose_many(base, [composition], dtype, reference=reference)


def compose_many(
    base: Base, compositions: Sequence[Composition], dtype: torch.dtype = torch.float32, *, reference: bool = False
) -> ComposedEncoder:
    """One encoder for batches whose rows belong to different compositions, each module held once.

    The compositions' stages are laid over each other from the highest down; where one has fewer, its tokens pass.

    Raises:
        XlrankError: as :func:`compose`, or the compositions change the shared weights differently.
    """
    return Composer(base, dtype, reference=reference).compose([plan(each, reference=reference) for each in compositions])


class Composer:
    """Composes one encoder again and again, keeping of it what the next compositions share with the last.

    Args:
        base: the encoder's base.
        dtype: of all weights.
        reference: see :func:`compose`.
    """

    def __init__(self, base: Base, dtype: torch.dtype = torch.float32, *, reference: bool = False) -> None:
        self.base, self.dtype, self.reference = base, dtype, reference
        self.sizes: Sizes = (int(base.config.hidden_size), int(base.config.num_hidden_layers))
        self._adapters: dict[Part, Adapter] = {}
        self._plans: list[Plan] = []
        self._encoder: ComposedEncoder | None = None

    def compose(self, plans: Sequence[Plan]) -> ComposedEncoder:
        """The encoder with these compositions in it; an encoder that an earlier call returned may be the same, changed.

        Args:
            plans: of the compositions (:func:`~xlrank.composition.plan.plan`), made in the composer's mode.

        Raises:
            XlrankError: see :func:`compose_many`; the encoder is as it was then.
        """
        plans = list(plans)
        for module in (module for wanted in plans for module in wanted.modules):
            module.check_base(self.base)
        if any(wanted.edits != plans[0].edits for wanted in plans):
            raise XlrankError(
                f"compositions {plans[0].composition} and others change the weights that all rows of a batch share; "
                "rank them apart"
            )
        adapters = self._built(plans)
        for wanted in plans:
            stages = [[adapters[part] for part in stage if part is not None] for stage in wanted.adapters]
            _check_parallel(stages, wanted.composition)
        placed, invertibles = _stages(plans, adapters)
        if self.reference:
            placed, invertibles = _as_the_original(placed, invertibles, len(plans))
        updates = [parts.map(self._updates) for parts in _laid_over([wanted.updates for wanted in plans])]
        encoder = (
            None if any(wanted.updates for wanted in [*self._plans, *plans]) else self._encoder
        )  # updates cannot be taken out
        edits = None if encoder and self._plans[0].edits == plans[0].edits else edits_of(plans[0].edits, self.base)
        encoder = encoder or ComposedEncoder(self.base, dtype=self.dtype).eval()
        if edits is not None:
            encoder.edit(edits)
        encoder.adapt(placed, invertibles)
        for stage in updates:
            encoder.update(stage)
        self._adapters, self._plans, self._encoder = adapters, plans, encoder
        return encoder

    def _built(self, plans: Sequence[Plan]) -> dict[Part, Adapter]:
        """The adapters of all parts, those of the last compositions used again."""
        parts = {part for wanted in plans for stage in wanted.adapters for part in stage if part is not None}
        # Reference mode bends the settings of adapters, so each composition gets its own.
        kept = {} if self.reference else self._adapters
        return {part: kept[part] if part in kept else _build(part, self.sizes) for part in parts}

    def _updates(self, part: Part | None) -> Mapping[str, nn.Module]:
        return {} if part is None else kind_named(part.module.kind).updates(part.module, self.base)


def _stages(plans: Sequence[Plan], adapters: Mapping[Part, Adapter]) -> tuple[Stages, Slots[Invertible | None]]:
    """The stages of all compositions, and the invertible blocks of each one's lowest."""
    stages: Stages = [
        parts.map(lambda part: None if part is None else adapters[part]) for parts in _laid_over([p.adapters for p in plans])
    ]
    if not stages:
        return [], NO_BLOCKS
    lowest: Slots[Part | None] = Slots.of([wanted.adapters[0] if wanted.adapters else (None,) for wanted in plans])
    return stages, lowest.map(lambda part: invertible_block(None if part is None else adapters[part]))


def _laid_over(plans: Sequence[Sequence[Stage]]) -> list[Slots[Part | None]]:
    """The stages of several compositions by height, the lowest first."""
    height = max((len(stages) for stages in plans), default=0)
    padded: list[list[Sequence[Part | None]]] = [[(None,)] * (height - len(stages)) + list(stages) for stages in plans]
    return [Slots.of(stages) for stages in zip(*padded, strict=True)]


def _build(part: Part, sizes: Sizes) -> Adapter:
    adapter: Any = kind_named(part.module.kind).build(part.module, sizes)
    if not part.invertible:
        adapter.invertible = None
    outside = sorted(layer for layer in part.dropped if not 0 <= layer < sizes[1])
    if outside:
        raise XlrankError(f"drop: layer {outside[0]} does not exist; the base has layers 0 to {sizes[1] - 1}")
    for blocks in (adapter.attention, adapter.layer):
        for layer in part.dropped:
            if str(layer) in blocks:
                del blocks[str(layer)]
    return adapter  # type: ignore[no-any-return]


def _check_parallel(stages: Sequence[Sequence[Adapter]], composition: Composition) -> None:
    if len(stages) > 1 and any(adapter.config.parallel for stage in stages for adapter in stage):
        raise XlrankError(
            f"composition {composition}: a parallel adapter reads its block's input, so it cannot be stacked with others"
        )


def _as_the_original(
    stages: Stages, invertibles: Slots[Invertible | None], compositions: int
) -> tuple[Stages, Slots[Invertible | None]]:
    """The first side's invertible block for all tokens, and its rules on layer norm and residual."""
    if compositions > 1:
        raise XlrankError("reference mode: the original takes one composition at a time; use the default mode")
    for stage in stages:
        _first_rules([adapter for adapter in stage.items if adapter is not None])
    return stages, Slots(invertibles.items[:1], ((0, 0),))


def _first_rules(stage: Sequence[Adapter]) -> None:
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
