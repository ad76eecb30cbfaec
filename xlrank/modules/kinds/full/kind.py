"""What can be done with fully fine-tuned encoders.

Tensors: ``PARAMETER`` for each one; configuration ``values``: ``difference`` (to the base's) or ``absolute``.
"""

from collections.abc import Iterator

from xlrank.modules.kinds.kind import Kind
from xlrank.modules.module import Module
from xlrank.modules.weights import OUTSIDE, Edit, Replacement, SumEdit


class FullKind(Kind):
    """New values of, or differences to, whole parameters."""

    name = "full"
    place = "weights"

    def replaces_weights(self, module: Module) -> bool:
        """Whether it holds absolute values."""
        return module.config.get("values") == "absolute"

    def edits(self, module: Module) -> Iterator[Edit]:
        """One for each parameter."""
        edit = Replacement if self.replaces_weights(module) else SumEdit
        for name, tensor in module.tensors.items():
            if not name.startswith(OUTSIDE):
                yield edit(module.name, name, tensor)


KIND = FullKind()
