"""Functions of single modules in compositions, each with its meaning: means, differences, factors, blocks and layers left out.

A new function is a node here and a place in :data:`FUNCTIONS`.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace

from xlrank.composition.expression import Both, Composition, Late, Split, as_composition
from xlrank.errors import XlrankError
from xlrank.modules import Module
from xlrank.modules.arithmetic import averaged, scaled, subtracted
from xlrank.modules.kinds import kind_named


@dataclass(frozen=True)
class Part:
    """A module as one stage of a composition uses it.

    Attributes:
        module: the module, or what arithmetic made of several.
        invertible: whether its invertible block is used.
        dropped: layers in which it is left out.
    """

    module: Module
    invertible: bool = True
    dropped: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Changed(Composition, ABC):
    """Every module of its part, changed."""

    part: Composition

    @abstractmethod
    def change(self, part: Part) -> Part:
        """A module under this function.

        Raises:
            XlrankError: modules of its kind cannot be changed like this.
        """


@dataclass(frozen=True)
class Merged(Composition, ABC):
    """One module made of several of one kind."""

    @abstractmethod
    def merge(self, parts: Sequence[Part]) -> Part:
        """The module made of the children's.

        Raises:
            XlrankError: they do not go together.
        """


@dataclass(frozen=True)
class Scale(Changed):
    """A module's effect times a factor."""

    function = "scale"
    factor: float

    def __post_init__(self) -> None:
        """Whole numbers are factors as well."""
        object.__setattr__(self, "factor", float(self.factor))

    def change(self, part: Part) -> Part:
        """See :class:`Changed`."""
        return replace(part, module=scaled(part.module, self.factor))


@dataclass(frozen=True)
class WithoutInvertible(Changed):
    """A language adapter without its invertible block (the paper's -INV)."""

    function = "noinv"

    def change(self, part: Part) -> Part:
        """See :class:`Changed`."""
        return replace(part, invertible=False)


@dataclass(frozen=True)
class Drop(Changed):
    """A module that is left out of some layers, numbered from 0 (AdapterDrop; Rücklé et al., EMNLP 2021)."""

    function = "drop"
    layers: tuple[int, ...]

    def change(self, part: Part) -> Part:
        """See :class:`Changed`."""
        if kind_named(part.module.kind).place == "weights":
            raise XlrankError(
                f"{self}: only adapters can be left out of single layers, {part.module.name!r} is a {part.module.kind} module"
            )
        return replace(part, dropped=part.dropped | frozenset(self.layers))


@dataclass(frozen=True)
class Average(Merged):
    """The mean of modules of one kind: of the weights of adapters, of the differences that masks and LoRAs make."""

    function = "average"
    parts: tuple[Composition, ...]

    def merge(self, parts: Sequence[Part]) -> Part:
        """See :class:`Merged`."""
        if len({(part.invertible, part.dropped) for part in parts}) > 1:
            raise XlrankError(f"{self}: noinv and drop must hold for all parts alike; put them around it")
        return replace(parts[0], module=averaged([part.module for part in parts]))


@dataclass(frozen=True)
class Subtract(Merged):
    """The differences that one mask or LoRA makes less those of another (task arithmetic)."""

    function = "subtract"
    part: Composition
    less: Composition

    def merge(self, parts: Sequence[Part]) -> Part:
        """See :class:`Merged`."""
        return Part(subtracted(parts[0].module, parts[1].module))


FUNCTIONS: dict[str, type[Composition]] = {
    node.function: node for node in (Split, Both, Average, Subtract, Scale, WithoutInvertible, Late, Drop)
}
"""Nodes by the name of the function that they are written as."""

Operand = Module | Composition | str


def split(*, query: Operand, document: Operand) -> Composition:
    """Compose two language modules so that each token gets its own side's (paper, section 3.3, LA^Split).

    Args:
        query: module or name for [CLS], the query's tokens and the first [SEP].
        document: module or name for the document's tokens and the last [SEP].
    """
    return Split(as_composition(query), as_composition(document))


def both(*, query: Operand, document: Operand) -> Composition:
    """Add the masks of both sides' languages (paper, section 3.3, LM^both)."""
    return Both(as_composition(query), as_composition(document))


def late() -> Composition:
    """Late interaction by the encoder's own vectors, where no ranking module says how query and document meet."""
    return Late()


def average(*parts: Operand) -> Composition:
    """The mean of modules of one kind."""
    return Average(tuple(as_composition(part) for part in parts))


def scale(part: Operand, factor: float) -> Composition:
    """A module's effect times ``factor``."""
    return Scale(as_composition(part), factor)


def subtract(part: Operand, less: Operand) -> Composition:
    """The differences of one mask or LoRA less those of another."""
    return Subtract(as_composition(part), as_composition(less))


def without_invertible(part: Operand) -> Composition:
    """A language adapter without its invertible block."""
    return WithoutInvertible(as_composition(part))


def drop(part: Operand, *layers: int) -> Composition:
    """A module left out of the given layers, numbered from 0."""
    return Drop(as_composition(part), layers)
