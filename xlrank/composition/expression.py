"""The algebra of compositions as plain data: which module applies to which tokens.

``split(ky,en)+rank`` reads: on every layer first a language module, ``ky`` for the tokens of the query's side and ``en`` for
those of the document's, then the module ``rank`` for all tokens. Compositions are frozen, hashable, and print as they parse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from xlrank.errors import XlrankError
from xlrank.modules import Module

Resolver = Callable[[str], "Leaf"]


@dataclass(frozen=True)
class Composition:
    """Base of the three nodes; ``+`` stacks, the left operand below the right one."""

    def __add__(self, other: Composition | Module) -> Composition:
        return Stack((*self.stages(), *as_composition(other).stages()))

    def stages(self) -> tuple[Composition, ...]:
        """The stacked parts, the lowest first."""
        return (self,)

    def leaves(self) -> Iterator[Leaf]:
        """The leaves from left to right."""
        for stage in self.stages():
            yield from stage.leaves()

    def resolve(self, resolver: Resolver) -> Composition:
        """The same composition with every leaf that has no module replaced by ``resolver(name)``."""
        return Stack(tuple(stage.resolve(resolver) for stage in self.stages()))


@dataclass(frozen=True)
class Leaf(Composition):
    """One module, by the name it is printed with; ``module`` is None until resolved.

    Attributes:
        name: what the user wrote, e.g. ``ky`` or ``language/ky``.
        module: the loaded module.
        stand_in: name of the module that is used because ``name`` has none, printed as ``name~stand_in``.
    """

    name: str
    module: Module | None = None
    stand_in: str | None = None

    def leaves(self) -> Iterator[Leaf]:
        """This leaf."""
        yield self

    def resolve(self, resolver: Resolver) -> Composition:
        """This leaf if it has its module, else what ``resolver`` makes of its name."""
        if self.module is not None:
            return self
        found = resolver(self.stand_in or self.name)
        if self.stand_in and found.stand_in:
            raise XlrankError(f"composition: {self}: there is no module for {self.stand_in!r}")
        return replace(found, name=self.name, stand_in=self.stand_in) if self.stand_in else found

    def loaded(self) -> Module:
        """The module.

        Raises:
            XlrankError: the leaf was never resolved.
        """
        if self.module is None:
            raise XlrankError(f"composition: {self.name!r} was not resolved to a module; use parse(...).resolve(...) first")
        return self.module

    def __str__(self) -> str:
        return self.name + (f"~{self.stand_in}" if self.stand_in else "")


@dataclass(frozen=True)
class Split(Composition):
    """Each token gets the module of its side: [CLS], query and first [SEP] the query's, the rest the document's."""

    query: Leaf
    document: Leaf

    def leaves(self) -> Iterator[Leaf]:
        """The query's leaf, then the document's."""
        yield self.query
        yield self.document

    def resolve(self, resolver: Resolver) -> Composition:
        """Both sides resolved."""
        query, document = self.query.resolve(resolver), self.document.resolve(resolver)
        if not isinstance(query, Leaf) or not isinstance(document, Leaf):
            raise XlrankError(f"composition: the sides of {self} must each be one module")
        return Split(query, document)

    def __str__(self) -> str:
        return f"split({self.query},{self.document})"


@dataclass(frozen=True)
class Stack(Composition):
    """Stages applied one after the other on every layer, the lowest first."""

    parts: tuple[Composition, ...]

    def stages(self) -> tuple[Composition, ...]:
        """The parts."""
        return self.parts

    def __str__(self) -> str:
        return "+".join(str(part) for part in self.parts)


def as_composition(value: Composition | Module) -> Composition:
    """A module as a composition of one leaf; a composition as it is.

    Raises:
        XlrankError: the value is neither.
    """
    if isinstance(value, Module):
        return Leaf(value.name, value)
    if isinstance(value, Composition):
        return value
    raise XlrankError(f"composition: expected a module or a composition, got {type(value).__name__}")


def split(*, query: Module | str, document: Module | str) -> Composition:
    """Compose two language modules so that each token gets its own side's (paper, section 3.3, LA^Split).

    Args:
        query: module or name for [CLS], the query's tokens and the first [SEP].
        document: module or name for the document's tokens and the last [SEP].
    """
    sides = [Leaf(side) if isinstance(side, str) else as_composition(side) for side in (query, document)]
    if not isinstance(sides[0], Leaf) or not isinstance(sides[1], Leaf):
        raise XlrankError("split: each side must be one module")
    return Split(sides[0], sides[1])
