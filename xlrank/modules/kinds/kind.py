"""What a kind of module must say of itself, so that compositions need not know the kinds one by one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from xlrank.errors import XlrankError

if TYPE_CHECKING:
    from torch import nn

    from xlrank.bases import Base
    from xlrank.modules.module import Module
    from xlrank.modules.weights import Edit

Sizes = tuple[int, int]
"""Hidden size and number of layers of an encoder."""


class Kind:
    """A way of changing an encoder. A new kind overrides what it can do; everything else refuses with the reason.

    Attributes:
        name: as in ``module.json``.
        place: ``layers``: a network of its own after the blocks of each layer (:meth:`build`); ``weights``: changes of the
            base's parameters (:meth:`edits`); ``head``: changes nothing in the encoder.
        sided: whether the two sides of a split may each have one of their own.
        summable: whether it is a difference to the base, so that two may be added and subtracted.
    """

    name: ClassVar[str]
    place: ClassVar[Literal["layers", "weights", "head"]]
    sided: ClassVar[bool] = False
    summable: ClassVar[bool] = False

    def works_on_embeddings(self, module: Module) -> bool:
        """Whether part of it transforms the embeddings, so that nothing may lie below it."""
        return False

    def replaces_weights(self, module: Module) -> bool:
        """Whether it holds new weights instead of changes to the base's, so that it would undo what lies below it."""
        return False

    def build(self, module: Module, sizes: Sizes) -> nn.Module:
        """The network between the layers; see :class:`xlrank.modules.kinds.adapter.layers.Adapter` for what it must offer."""
        raise XlrankError(f"module {module.name!r} is a {self.name} module, not one that works between layers")

    def edits(self, module: Module) -> Iterator[Edit]:
        """What it does to parameters of the encoder, in order."""
        yield from ()

    def updates(self, module: Module, base: Base) -> Mapping[str, nn.Module]:
        """By linear layer: a network from the layer's input to what is added to its output, for single tokens.

        Raises:
            XlrankError: the kind cannot act on some tokens only.
        """
        raise XlrankError(f"split: {module.name!r} is a {self.name} module, which cannot act on some tokens only")

    def scaled(self, module: Module, factor: float) -> Module:
        """The module with its effect times ``factor``."""
        raise XlrankError(f"scale: {module.name!r} is a {self.name} module; expected an adapter, a mask or a LoRA")

    def averaged(self, modules: Sequence[Module], name: str) -> Module:
        """The mean of modules of this kind and one base, called ``name``."""
        raise XlrankError(f"{name}: {self.name} modules have no mean here; expected adapters, masks or LoRAs")

    def subtracted(self, module: Module, less: Module, name: str) -> Module:
        """What one module changes less what the other does, called ``name``."""
        raise XlrankError(f"{name}: {self.name} modules are no differences to a base; expected masks or LoRAs")
