"""Modules in the making, one class a kind: the encoder in which the module learns, and what of it is the module.

Whatever lies below (the English language module under a ranking module) is active and frozen.
"""

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from xlrank.bases import Base
from xlrank.composition import Leaf, Stack
from xlrank.composition.compose import compose
from xlrank.composition.encoder import ComposedEncoder, invertible_block
from xlrank.composition.routing import Slots
from xlrank.errors import XlrankError
from xlrank.modules import Module
from xlrank.modules.kinds.adapter.config import AdapterConfig
from xlrank.modules.kinds.adapter.layers import Adapter, Invertible
from xlrank.modules.kinds.lora.layers import LowRank

ATTENTION = ("attention.self.query", "attention.self.value")
"""Where LoRA's authors put it."""


class Trainee(ABC):
    """A module in the making.

    Attributes:
        kind: of the module.
        encoder: in which it learns.
        config: the module's settings.
    """

    kind: ClassVar[str]
    encoder: ComposedEncoder
    config: dict[str, Any]

    @property
    def invertible(self) -> Invertible | None:
        """The block whose inverse precedes the prediction head, if there is one."""
        items = self.encoder.invertibles.items
        return items[0] if items else None

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """What has been learnt, as the module's tensors."""


class AdapterTrainee(Trainee):
    """A bottleneck adapter on top of what lies below."""

    kind = "adapter"

    def __init__(self, base: Base, config: AdapterConfig, below: Sequence[Module] = ()) -> None:
        self.adapter = Adapter(config, int(base.config.hidden_size), int(base.config.num_hidden_layers))
        self.encoder, self.config = beneath(base, below), config.as_dict()
        lowest = not self.encoder.stages
        if config.invertible and not lowest:
            raise XlrankError(f"training: an invertible adapter works on the embeddings, so it cannot lie on {below[-1].name!r}")
        invertibles = alone(invertible_block(self.adapter)) if lowest else self.encoder.invertibles
        self.encoder.adapt([*self.encoder.stages, alone(self.adapter)], invertibles)

    def tensors(self) -> dict[str, Tensor]:
        """The adapter's."""
        return dict(self.adapter.state_dict())


class LoraTrainee(Trainee):
    """Low-rank updates of linear layers; A is drawn, B starts at zero (Hu et al. 2022).

    Args:
        base: the encoder's base.
        rank: of the updates.
        alpha: the updates count ``alpha / rank``.
        targets: ends of the names of the linear layers.
        below: frozen modules.
    """

    kind = "lora"

    def __init__(
        self, base: Base, rank: int, alpha: float, targets: Sequence[str] = ATTENTION, below: Sequence[Module] = ()
    ) -> None:
        if rank < 1 or alpha <= 0:
            raise XlrankError(f"training: LoRA of rank {rank} and alpha {alpha:g}; expected positive numbers")
        self.encoder, self.config = beneath(base, below), {"rank": rank, "scaling": alpha / rank}
        self.updates: dict[str, LowRank] = {}
        for name, layer in self.encoder.layers.items():
            if isinstance(layer, nn.Linear) and name.startswith("encoder.") and name.endswith(tuple(f".{t}" for t in targets)):
                down = torch.empty(rank, layer.in_features)
                nn.init.kaiming_uniform_(down, a=5**0.5)
                self.updates[name] = LowRank.learning(down, torch.zeros(layer.out_features, rank), alpha / rank)
        if not self.updates:
            raise XlrankError(f"training: the base has no linear layers named {', '.join(targets)}; name others")
        self.encoder.update(alone(self.updates))

    def tensors(self) -> dict[str, Tensor]:
        """A and B of every layer; the scaling is in the configuration."""
        return {f"{letter}.{name}": factor for name, update in self.updates.items() for letter, factor in update.factors()}


class FullTrainee(Trainee):
    """Parameters of the encoder's own, all of which may move, from where the modules below have put them.

    Args:
        base: the encoder's base.
        below: frozen modules.
        frozen: parts of the names of parameters that stay as they are.
    """

    kind = "full"

    def __init__(self, base: Base, below: Sequence[Module] = (), frozen: Sequence[str] = ()) -> None:
        self.encoder, self.config = beneath(base, below), {}
        self.names = [name for name, _ in base.encoder.named_parameters() if not any(part in name for part in frozen)]
        self.start = own_parameters(self.encoder, self.names)
        if not self.names:
            raise XlrankError("training: everything is frozen; leave some parameters to learn")

    def tensors(self) -> dict[str, Tensor]:
        """What was changed, in float16: rounding a small difference loses far less than rounding a weight."""
        return {name: (value.detach() - self.start[name]).half() for name, value in self.values().items()}

    def moved(self) -> Iterator[Tensor]:
        """How far every entry that may move has moved, a tensor a parameter."""
        for name in self.names:
            layer, _, leaf = name.rpartition(".")
            free = getattr(self.encoder.layers[layer], "parametrizations", {})
            if leaf in free:  # only chosen entries may move
                yield free[leaf].original - self.start[name].reshape(-1)[free[leaf][0].index]
            elif parameter_of(self.encoder, name).requires_grad:
                yield parameter_of(self.encoder, name) - self.start[name]

    def values(self) -> dict[str, Tensor]:
        """The present values of the parameters that may move."""
        return {name: parameter_of(self.encoder, name) for name in self.names}


def beneath(base: Base, below: Sequence[Module]) -> ComposedEncoder:
    """An encoder with frozen modules in it, in which others learn."""
    encoder = compose(base, Stack(tuple(Leaf(module.name, module) for module in below)))
    if not torch.cuda.is_available():
        _attend_plainly(encoder)
    return encoder


def _attend_plainly(encoder: ComposedEncoder) -> None:
    """Let attention be plain matrix products and a softmax: on a CPU the fused kernel makes steps half as long again."""
    own = encoder.encoder.config
    plain = copy.copy(own)  # the base's own stays as it is
    plain._attn_implementation = "eager"
    for module in encoder.encoder.modules():
        if getattr(module, "config", None) is own:
            module.config = plain


def alone(item: Any) -> Slots[Any]:  # noqa: ANN401 - whatever a stage holds
    """A stage with one item for all tokens."""
    return Slots((item,), ((0, 0),))


def parameter_of(encoder: ComposedEncoder, name: str) -> Tensor:
    """A parameter by the base's name for it."""
    layer, _, leaf = name.rpartition(".")
    return getattr(encoder.layers[layer], leaf)  # type: ignore[no-any-return]


def own_parameters(encoder: ComposedEncoder, names: Sequence[str]) -> Mapping[str, Tensor]:
    """Give the encoder copies of the named parameters that may learn, and return their values at the start."""
    start: dict[str, Tensor] = {}
    words = encoder.layers["embeddings"].word_embeddings
    if words is not encoder.layers["embeddings.word_embeddings"]:  # sparse differences from below: make them part of the table
        encoder.layers["embeddings.word_embeddings"].weight = nn.Parameter(words.table(), requires_grad=False)
        encoder.layers["embeddings"].word_embeddings = encoder.layers["embeddings.word_embeddings"]
    for name in names:
        layer, _, leaf = name.rpartition(".")
        start[name] = parameter_of(encoder, name).detach()
        setattr(encoder.layers[layer], leaf, nn.Parameter(start[name].clone()))
    return start
