"""Edits of a base's parameters: what masks, LoRAs and full fine-tuning come down to.

An edited parameter is computed from the base's own each time, so edits never accumulate and nothing has to be taken back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xlrank.errors import XlrankError
from xlrank.modules.module import Module

if TYPE_CHECKING:
    from torch import Tensor

    from xlrank.bases import Base

ABSOLUTE = "absolute."
OUTSIDE = ("head.", "cls.", "lm_head.", "absolute.cls.", "absolute.lm_head.")
"""Tensors that belong to a head, not to the encoder."""


@dataclass(frozen=True, eq=False)
class Edit:
    """A change of one parameter of an encoder.

    Attributes:
        module: name of the module that makes it, for messages.
        parameter: name of the parameter.
    """

    module: str
    parameter: str

    def check(self, value: Tensor) -> None:
        """Refuse a parameter that the edit does not fit.

        Raises:
            XlrankError: shapes differ, or an index lies outside.
        """
        raise AssertionError("abstract")

    def applied(self, value: Tensor) -> Tensor:
        """The new float32 value of the parameter whose value before is ``value``, which is left as it is."""
        raise AssertionError("abstract")


@dataclass(frozen=True, eq=False)
class SparseEdit(Edit):
    """Differences [k] to the entries at flat row-major positions ``index`` [k], int32 or int64."""

    index: Tensor
    difference: Tensor

    def check(self, value: Tensor) -> None:
        """Positions must lie inside the parameter."""
        index, count = self.index, len(self.index)
        if count != len(self.difference) or (count and not 0 <= int(index.min()) <= int(index.max()) < value.numel()):
            raise XlrankError(
                f"module {self.module!r}: {self.parameter}: indices do not fit a parameter of shape {list(value.shape)}"
            )

    def applied(self, value: Tensor) -> Tensor:
        """A copy with the differences added."""
        result = value.clone()
        self.add_to(result)
        return result

    def add_to(self, value: Tensor) -> None:
        """Add the differences in place."""
        value.view(-1).index_add_(0, self.index, self.difference.to(value.dtype))


@dataclass(frozen=True, eq=False)
class _WholeEdit(Edit):
    tensor: Tensor

    def check(self, value: Tensor) -> None:
        """Shapes must be equal."""
        if self.tensor.shape != value.shape:
            raise XlrankError(
                f"module {self.module!r}: {self.parameter} has shape {list(self.tensor.shape)}, expected {list(value.shape)}"
            )


@dataclass(frozen=True, eq=False)
class SumEdit(_WholeEdit):
    """A difference to every entry."""

    def applied(self, value: Tensor) -> Tensor:
        """The sum."""
        return value + self.tensor.float()


@dataclass(frozen=True, eq=False)
class Replacement(_WholeEdit):
    """A new value of every entry."""

    def applied(self, value: Tensor) -> Tensor:
        """The new value."""
        return self.tensor.float()


def replacements(module: Module) -> Iterator[Edit]:
    """The whole new values (``absolute.PARAMETER``) that a module of any kind may hold beside its differences."""
    for name, tensor in module.tensors.items():
        if name.startswith(ABSOLUTE) and not name.startswith(OUTSIDE):
            yield Replacement(module.name, name.removeprefix(ABSOLUTE), tensor)


def edits_of(modules: Iterable[Module], base: Base) -> dict[str, list[Edit]]:
    """What the modules do to each parameter of the encoder, in order.

    Raises:
        XlrankError: a parameter is unknown to the base, has another shape, or an index lies outside of it.
    """
    from xlrank.modules.kinds import kind_named

    parameters = dict(base.encoder.named_parameters())
    found: dict[str, list[Edit]] = {}
    for module in modules:
        for edit in kind_named(module.kind).edits(module):
            if edit.parameter not in parameters:
                raise XlrankError(f"module {module.name!r} changes {edit.parameter!r}, which base {base.name!r} does not have")
            edit.check(parameters[edit.parameter])
            found.setdefault(edit.parameter, []).append(edit)
    return found


def edited_parameters(modules: Iterable[Module], base: Base) -> dict[str, Tensor]:
    """New float32 values of the encoder parameters that the modules change, applied in order.

    Raises:
        XlrankError: a parameter is unknown to the base, has another shape, or an index lies outside of it.
    """
    parameters = dict(base.encoder.named_parameters())
    return {name: edited(parameters[name].detach(), edits) for name, edits in edits_of(modules, base).items()}


def edited(value: Tensor, edits: Iterable[Edit]) -> Tensor:
    """The float32 value of a parameter after edits; ``value`` itself is left as it is."""
    for edit in edits:
        value = edit.applied(value)
    return value
