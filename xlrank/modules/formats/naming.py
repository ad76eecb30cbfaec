"""How others name a base's parameters, and how modules here do: no model prefix, heads as ``head.dense`` and ``head.out``."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from xlrank.errors import XlrankError
from xlrank.modules.module import BaseReference, Module, Role

if TYPE_CHECKING:
    from xlrank.bases import Base

PREFIXES = {"bert": "bert.", "xlm-roberta": "roberta."}
"""What transformers' models with a head put before the encoder's names."""
HEADS = {
    "bert": {"classifier": "head.out"},
    "xlm-roberta": {"classifier.dense": "head.dense", "classifier.out_proj": "head.out"},
}
PREDICTIONS = {"bert": "cls.predictions", "xlm-roberta": "lm_head"}
"""Their masked-language-model heads."""
ABSOLUTE = "absolute."
LABELS = (1, 2)
"""Outputs that a relevance head may have: a score, or irrelevant and relevant."""


class Names:
    """Both namings of a base's parameters, with their shapes.

    Args:
        base: the base that a module must fit.
        path: the file that is read or written, for messages.
    """

    def __init__(self, base: "Base", path: Path) -> None:
        self.base = base
        self.path = path
        self.architecture = str(base.config.model_type)
        self.prefix = PREFIXES[self.architecture]
        self.hidden = int(base.config.hidden_size)
        self.encoder = {name: tuple(parameter.shape) for name, parameter in base.encoder.named_parameters()}
        self.own_pooler = self.architecture == "bert" and "pooler.dense.weight" not in self.encoder

    @cached_property
    def predictions(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the masked-language-model head's parameters, by full name."""
        h, v = (self.hidden,), (int(self.base.config.vocab_size),)
        start = PREDICTIONS[self.architecture] + "."
        dense, norm = ("transform.dense", "transform.LayerNorm") if self.architecture == "bert" else ("dense", "layer_norm")
        shapes = {f"{dense}.weight": h + h, f"{dense}.bias": h, f"{norm}.weight": h, f"{norm}.bias": h}
        shapes |= {"bias": v, "decoder.bias": v, "decoder.weight": v + h}
        return {start + name: shape for name, shape in shapes.items()}

    def parameters_of(self, module: str) -> list[str]:
        """The parameters that a module of the encoder (with model prefix) or the prediction head holds itself."""
        known = [*(self.prefix + name for name in self.encoder), *self.predictions]
        return [name for name in known if name.rpartition(".")[0] == module]

    def strip(self, name: str) -> str:
        """A foreign name without the model prefix."""
        return name.removeprefix(self.prefix)

    def head(self, name: str) -> str | None:
        """The canonical name of a parameter of the relevance head, or None.

        A BERT base without pooler has its first layer nowhere else, so a pooler that comes with a module is ``head.dense`` then.
        """
        part, _, kind = name.rpartition(".")
        found = HEADS[self.architecture].get(part) if kind in ("weight", "bias") else None
        if found is None and self.own_pooler and part == "pooler.dense":
            found = "head.dense"
        return f"{found}.{kind}" if found else None

    def absolute(self, foreign: str, tensor: Tensor) -> str:
        """The canonical name of a value that replaces the base's: ``head.*`` or ``absolute.*``.

        Raises:
            XlrankError: the base has no such parameter, or one of another shape.
        """
        name = self.strip(foreign)
        head = self.head(name)
        if head:
            return head
        shape = self.encoder.get(name) or self.predictions.get(name)
        if shape is None:
            raise self.error(f"{foreign[:80]!r} is no parameter of base {self.base.name!r}; use the base that it was made for")
        self.check_shape(foreign, tuple(tensor.shape), shape)
        return ABSOLUTE + name

    def check_shape(self, name: str, found: tuple[int, ...], expected: tuple[int, ...]) -> None:
        """Refuse a shape that is not the base's.

        Raises:
            XlrankError: naming both.
        """
        if found != expected:
            raise self.error(
                f"{name[:80]!r} has shape {list(found)}, expected {list(expected)}; use the base that it was made for"
            )

    def check_head(self, tensors: Mapping[str, Tensor], role: Role) -> dict[str, str]:
        """The settings that the head among ``tensors`` needs: its pooling, or none without a head.

        Raises:
            XlrankError: the head is incomplete, of another hidden size or number of labels, or needs a pooler that is not there.
        """
        head = {name: tuple(tensor.shape) for name, tensor in tensors.items() if name.startswith("head.")}
        if not head:
            return {}
        labels = (head.get("head.out.bias") or (0,))[0]
        expected = {"head.out.weight": (labels, self.hidden), "head.out.bias": (labels,)}
        if self.architecture != "bert" or self.own_pooler or "head.dense.weight" in head:
            expected |= {"head.dense.weight": (self.hidden, self.hidden), "head.dense.bias": (self.hidden,)}
        if head != expected or labels < 1:
            layers = "classifier and pooler" if self.own_pooler else "classifier"
            raise self.error(f"its {layers} are not a whole head for hidden size {self.hidden} of base {self.base.name!r}")
        if role == "ranking" and labels not in LABELS:
            raise self.error(f"its classifier has {labels} labels; a relevance head has 1 or 2, so this is no ranking module")
        return {"pooling": "cls"}

    def foreign(self, module: Module) -> dict[str, Tensor]:
        """A module's head and replaced values under the names of transformers' models, with the model prefix.

        Raises:
            XlrankError: the head does not pool the first token, or the architecture's own head cannot express it.
        """
        heads = {canonical: name for name, canonical in HEADS[self.architecture].items()}
        if self.architecture == "bert":
            heads["head.dense"] = self.prefix + "pooler.dense"
        found: dict[str, Tensor] = {}
        for name, tensor in module.tensors.items():
            part, _, kind = name.rpartition(".")
            if part in heads:
                found[f"{heads[part]}.{kind}"] = tensor
            elif name.startswith(ABSOLUTE):
                name = name.removeprefix(ABSOLUTE)
                found.setdefault(self.prefix + name if name in self.encoder else name, tensor)
        pooling = module.config.get("pooling", "cls")
        if "head.out.weight" in module.tensors and pooling != "cls":
            raise self.error(
                f"module {module.name!r} scores with {pooling!r} pooling, which the format does not know (only 'cls')"
            )
        if self.architecture != "bert" and "head.out.weight" in module.tensors and "head.dense.weight" not in module.tensors:
            raise self.error(f"module {module.name!r} has a head of one layer; this architecture's format needs two")
        return found

    def module(self, tensors: Mapping[str, Tensor], **fields: Any) -> Module:  # noqa: ANN401 - Module's attributes
        """A module for this base, named after the folder it was read from unless it is given a name."""
        fields["name"] = fields.get("name") or str(self.path.parent)
        reference = BaseReference(self.base.name, self.base.fingerprint)
        return Module.create({name: self._as_float(name, tensor) for name, tensor in tensors.items()}, base=reference, **fields)

    def _as_float(self, name: str, tensor: Tensor) -> Tensor:
        """Floating values of any precision in float32; positions (integers) as they are."""
        if not tensor.is_floating_point():
            return tensor
        values = tensor.to(torch.float32)
        if tensor.dtype == torch.float64 and not values.isfinite().all():
            raise self.error(f"{name[:80]!r} holds values too large for float32")
        return values

    def error(self, problem: str) -> XlrankError:
        """An error that names the file."""
        return XlrankError(f"{self.path}: {problem}")


def check_writable(module: Module, base: "Base", kind: str, starts: tuple[str, ...]) -> None:
    """Refuse to write a module that is of another kind or base, or that holds tensors which the format has no place for.

    Raises:
        XlrankError: naming the module.
    """
    module.check_base(base)
    if module.kind != kind:
        raise XlrankError(f"module {module.name!r} is of kind {module.kind!r}; this format holds modules of kind {kind!r}")
    for name in module.tensors:
        if not name.startswith((*starts, ABSOLUTE, "head.")):
            raise XlrankError(f"module {module.name!r}: the format has no place for tensor {name!r}")
