"""Settings of a bottleneck adapter, in all of AdapterHub's variants."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from transformers.activations import ACT2FN

from xlrank.errors import XlrankError
from xlrank.modules.module import LATE, Module


@dataclass(frozen=True)
class AdapterConfig:
    """Settings of an adapter; the defaults are AdapterHub's ``pfeiffer`` / ``seq_bn``.

    Attributes:
        reduction_factor: hidden size / bottleneck size (paper: 2 for languages, 16 for ranking), or one by layer number
            with ``default`` for the others.
        non_linearity: ``relu``, ``leakyrelu`` or a name of transformers' activations.
        invertible: whether a NICE block on the embeddings belongs to it.
        invertible_reduction_factor: (hidden size / 2) / its bottleneck size.
        attention: a bottleneck after each attention block (Houlsby).
        output: a bottleneck after each feed-forward block.
        leave_out: layers without bottlenecks, numbered from 0.
        original_ln_before: the block's own residual and layer norm precede the bottleneck.
        original_ln_after: they follow it.
        ln_before: a layer norm of its own opens the bottleneck.
        ln_after: a layer norm of its own closes it.
        residual_before_ln: what is added to the bottleneck's output: True, the block's output; False, the bottleneck's
            input; ``post_add``, block output plus block input.
        adapter_residual_before_ln: that residual is added before ``ln_after`` instead of after it.
        parallel: the bottleneck reads the block's input instead of its output.
        scaling: factor of the bottleneck's output.
    """

    reduction_factor: float | Mapping[str, float] = 16
    non_linearity: str = "relu"
    invertible: bool = False
    invertible_reduction_factor: float = 2
    attention: bool = False
    output: bool = True
    leave_out: Sequence[int] = ()
    original_ln_before: bool = True
    original_ln_after: bool = True
    ln_before: bool = False
    ln_after: bool = False
    residual_before_ln: bool | Literal["post_add"] = True
    adapter_residual_before_ln: bool = False
    parallel: bool = False
    scaling: float = 1.0

    def __post_init__(self) -> None:
        # Settings are read from files, so their types are no more certain than their values.
        if str(self.non_linearity) not in {"leakyrelu", *ACT2FN}:
            known = "relu, gelu, gelu_new, swish, tanh, leakyrelu"
            raise XlrankError(f"adapter: unknown activation {self.non_linearity!r}; expected {known} or another of transformers'")
        factors = [*(self.reduction_factor.values() if isinstance(self.reduction_factor, Mapping) else [self.reduction_factor])]
        if not all(_is_number(factor) and factor > 0 for factor in [*factors, self.invertible_reduction_factor]):
            raise XlrankError("adapter: reduction factors must be positive numbers")
        if not _is_number(self.scaling):
            raise XlrankError(f"adapter: the scaling {self.scaling!r} is no finite number")

    @classmethod
    def of(cls, module: Module) -> "AdapterConfig":
        """The adapter settings among a module's configuration.

        Raises:
            XlrankError: the configuration has a key that this version does not know.
        """
        values = {key: value for key, value in module.config.items() if key not in ("pooling", LATE)}
        unknown = sorted(set(values) - set(cls.__dataclass_fields__))
        if unknown:
            raise XlrankError(f"module {module.name!r}: unknown adapter setting {unknown[0]!r}; made by a newer xlrank?")
        return cls(**values)

    def as_dict(self) -> dict[str, Any]:
        """The fields that differ from the defaults, and the four that say most, as JSON values."""
        shown = ("reduction_factor", "non_linearity", "invertible", "invertible_reduction_factor")
        values = asdict(self)
        return {f.name: values[f.name] for f in fields(self) if f.name in shown or values[f.name] != f.default}

    def bottleneck(self, layer: int, hidden: int) -> int:
        """The bottleneck's size in a layer.

        Raises:
            XlrankError: the reduction factors name neither the layer nor a default.
        """
        factor = self.reduction_factor
        if isinstance(factor, Mapping):
            found = factor.get(str(layer), factor.get("default"))
            if found is None:
                raise XlrankError(f"adapter: no reduction factor for layer {layer} and no 'default'")
            factor = found
        return max(1, int(hidden // factor))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
