"""What can be done with masks: they are sparse differences to the base's weights, so sums of them mean what they say.

Tensors: ``index.PARAMETER`` int32 [k] (int64 where a parameter is too large), ascending flat row-major positions;
``value.PARAMETER`` float [k], the differences there; ``absolute.PARAMETER``, whole new values.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from xlrank.errors import XlrankError
from xlrank.modules.arithmetic import check_same_others, derived, means, others
from xlrank.modules.kinds.kind import Kind
from xlrank.modules.module import Module
from xlrank.modules.weights import Edit, SparseEdit, replacements

if TYPE_CHECKING:
    from torch import Tensor

INDEX, VALUE = "index.", "value."
DIFFERENCES = (INDEX, VALUE)


class MaskKind(Kind):
    """Differences to single entries of parameters."""

    name = "mask"
    place = "weights"
    summable = True

    def edits(self, module: Module) -> Iterator[Edit]:
        """Whole values first, then differences."""
        yield from replacements(module)
        for name, index in module.tensors.items():
            if name.startswith(INDEX):
                parameter = name.removeprefix(INDEX)
                values = module.tensors.get(VALUE + parameter)
                if values is None or index.dim() != 1 or values.dim() != 1 or index.is_floating_point():
                    raise XlrankError(f"module {module.name!r}: {parameter}: its positions and differences are not two lists")
                yield SparseEdit(module.name, parameter, index, values)

    def scaled(self, module: Module, factor: float) -> Module:
        """All differences times ``factor``."""
        tensors = {name: t * factor if name.startswith(VALUE) else t for name, t in module.tensors.items()}
        return derived(module, f"scale({module.name},{factor:g})", tensors)

    def averaged(self, modules: Sequence[Module], name: str) -> Module:
        """The mean of the differences, an entry that one of them leaves alone counting as 0."""
        check_same_others(modules, DIFFERENCES, name)
        total = _sum([(module, 1 / len(modules)) for module in modules])
        return derived(modules[0], name, {**total, **means(modules, list(others(modules[0], DIFFERENCES)))})

    def subtracted(self, module: Module, less: Module, name: str) -> Module:
        """The differences of one less those of the other; heads and whole parameters are those of the first."""
        return derived(module, name, {**_sum([(module, 1.0), (less, -1.0)]), **others(module, DIFFERENCES)})


def _sum(terms: Sequence[tuple[Module, float]]) -> Mapping[str, "Tensor"]:
    import torch

    parameters = {name.removeprefix(INDEX) for module, _ in terms for name in module.tensors if name.startswith(INDEX)}
    total: dict[str, Tensor] = {}
    for parameter in sorted(parameters):
        parts = [
            (m.tensors[INDEX + parameter], m.tensors[VALUE + parameter] * f) for m, f in terms if INDEX + parameter in m.tensors
        ]
        index, inverse = torch.unique(torch.cat([i for i, _ in parts]), return_inverse=True)
        values = torch.zeros(len(index)).index_add_(0, inverse, torch.cat([v.float() for _, v in parts]))
        total |= {INDEX + parameter: index, VALUE + parameter: values}
    return total


KIND = MaskKind()
