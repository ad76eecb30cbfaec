"""What can be done with adapters.

An adapter is a function: its effect can be scaled, and adapters that share an architecture have a mean of weights (as
AdapterHub's ``average_adapter``), but the difference of two says nothing.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from xlrank.errors import XlrankError
from xlrank.modules.arithmetic import derived, means
from xlrank.modules.kinds.kind import Kind, Sizes
from xlrank.modules.module import Module

if TYPE_CHECKING:
    from xlrank.modules.kinds.adapter.layers import Adapter

LAST_LINEAR = (".up.weight", ".up.bias", ".F.2.weight", ".F.2.bias", ".G.2.weight", ".G.2.bias")
"""What an adapter's effect is linear in."""


class AdapterKind(Kind):
    """Bottlenecks after the blocks of each layer, and possibly an invertible block on the embeddings."""

    name = "adapter"
    place = "layers"
    sided = True

    def works_on_embeddings(self, module: Module) -> bool:
        """Whether it has an invertible block."""
        return bool(module.config.get("invertible"))

    def build(self, module: Module, sizes: Sizes) -> "Adapter":
        """The adapter as layers, its tensors shared with the module."""
        from xlrank.modules.kinds.adapter.layers import build_adapter

        return build_adapter(module, sizes)

    def scaled(self, module: Module, factor: float) -> Module:
        """What the bottlenecks and invertible blocks add, times ``factor``."""
        if module.config.get("ln_after"):
            raise XlrankError(f"scale: adapter {module.name!r} ends in a layer norm, which would undo the factor")
        tensors = {name: t * factor if name.endswith(LAST_LINEAR) else t for name, t in module.tensors.items()}
        return derived(module, f"scale({module.name},{factor:g})", tensors)

    def averaged(self, modules: Sequence[Module], name: str) -> Module:
        """The mean of the weights of adapters of one configuration."""
        first = modules[0]
        if any(dict(module.config) != dict(first.config) or set(module.tensors) != set(first.tensors) for module in modules):
            raise XlrankError(f"{name}: adapters must have the same configuration to have a mean")
        return derived(first, name, means(modules, list(first.tensors)))


KIND = AdapterKind()
