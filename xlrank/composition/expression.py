"""The algebra of compositions as plain data: which modules apply to which tokens, and in what mixture.

``split(ky,en)+rank`` reads: on every layer first a language module, ``ky`` for the tokens of the query's side and ``en`` for
those of the document's, then the module ``rank`` for all tokens. Compositions are frozen, hashable, and print as they parse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, get_args, get_type_hints

from xlrank.errors import XlrankError
from xlrank.modules import Module

Resolver = Callable[[str], "Composition"]
"""From a leaf's name to a leaf with its module, or to a :class:`StandIn`."""


@dataclass(frozen=True)
class Composition:
    """Base of all nodes; ``+`` stacks, the left operand below the right one.

    A node's fields say what it is made of: compositions, or a tuple of them, are its children in their order. A node that is
    written as a function prints and parses by its fields as well: each takes one argument, a tuple at the end all the rest.

    Attributes:
        function: name of the function that it is written as; empty where it is written otherwise.
    """

    function: ClassVar[str] = ""

    def __add__(self, other: Composition | Module | str) -> Composition:
        return Stack((*self.stages(), *as_composition(other).stages()))

    def __str__(self) -> str:
        return f"{self.function}({','.join(_written(value) for values in self._values() for value in values)})"

    @classmethod
    def of_arguments(cls, arguments: Sequence[Composition]) -> Composition:
        """The node from the arguments of its function, in which numbers still look like names.

        Raises:
            ValueError: an argument is not the number that it should be.
        """
        values, rest = list[Any](), list(arguments)
        for hint in cls._hints():
            kind = (get_args(hint) or (hint,))[0]
            taken = rest if get_args(hint) else [rest.pop(0)]
            read = [argument if kind is Composition else kind(str(argument)) for argument in taken]
            values.append(tuple(read) if get_args(hint) else read[0])
        return cls(*values)

    @classmethod
    def arity(cls) -> tuple[int, int | None]:
        """Least and most arguments of its function, at least two where there may be any number."""
        hints = cls._hints()
        return (2, None) if any(map(get_args, hints)) else (len(hints), len(hints))

    def stages(self) -> tuple[Composition, ...]:
        """The stacked parts, the lowest first."""
        return (self,)

    def children(self) -> tuple[Composition, ...]:
        """The nodes that this one is made of."""
        return tuple(value for values in self._values() for value in values if isinstance(value, Composition))

    def with_children(self, children: Sequence[Composition]) -> Composition:
        """The same node over as many other children."""
        rest = iter(children)
        changed: dict[str, Any] = {}
        for field, values in zip(fields(self), self._values(), strict=True):
            if values and isinstance(values[0], Composition):
                found = tuple(next(rest) for _ in values)
                changed[field.name] = found if isinstance(getattr(self, field.name), tuple) else found[0]
        return replace(self, **changed)

    def leaves(self) -> Iterator[Leaf]:
        """The leaves from left to right."""
        for child in self.children():
            yield from child.leaves()

    def stand_ins(self) -> Iterator[StandIn]:
        """The places where something stands in for a language without a module, from left to right."""
        for child in self.children():
            yield from child.stand_ins()

    def resolve(self, resolver: Resolver) -> Composition:
        """The same composition with every leaf that has no module replaced by ``resolver(name)``."""
        return self.with_children([child.resolve(resolver) for child in self.children()])

    def _values(self) -> list[tuple[Any, ...]]:
        """The values of each field, whether it holds one or a tuple."""
        found = [getattr(self, field.name) for field in fields(self)]
        return [value if isinstance(value, tuple) else (value,) for value in found]

    @classmethod
    def _hints(cls) -> list[Any]:
        hints = get_type_hints(cls)
        return [hints[field.name] for field in fields(cls)]


def _written(value: object) -> str:
    """An argument as it is parsed. All digits, as two numbers must never print alike; without a plus sign, which would stack."""
    return repr(value).removesuffix(".0").replace("e+", "e") if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class Leaf(Composition):
    """One module, by the name it is printed with; ``module`` is None until resolved.

    Attributes:
        name: what the user wrote, e.g. ``ky`` or ``language/ky``.
        module: the loaded module.
    """

    name: str
    module: Module | None = None

    def leaves(self) -> Iterator[Leaf]:
        """This leaf."""
        yield self

    def resolve(self, resolver: Resolver) -> Composition:
        """This leaf if it has its module, else what ``resolver`` makes of its name."""
        return self if self.module is not None else resolver(self.name)

    def loaded(self) -> Module:
        """The module.

        Raises:
            XlrankError: the leaf was never resolved.
        """
        if self.module is None:
            raise XlrankError(f"composition: {self.name!r} was not resolved to a module; use parse(...).resolve(...) first")
        return self.module

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Plain(Composition):
    """No module: the tokens pass as the base leaves them.

    Attributes:
        name: how it is printed: ``none``, or the language that is plain because its modules' peers were aligned with it.
    """

    name: str = "none"

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Late(Composition):
    """Late interaction without a ranking module: each side encoded alone, compared by the vectors as they are."""

    function = "late"


NO_MODULE = Plain, Late
"""Nodes under which tokens pass as the base leaves them."""


@dataclass(frozen=True)
class StandIn(Composition):
    """What is used because ``name`` has no module, printed as ``ug~ky`` or ``ug~average(ky,tr)``."""

    name: str
    part: Composition

    def resolve(self, resolver: Resolver) -> Composition:
        """The same with its modules, which must be those it names."""
        part = self.part.resolve(resolver)
        if any(part.stand_ins()):
            raise XlrankError(f"composition: {self}: there is no module for {next(part.stand_ins()).name!r}")
        return StandIn(self.name, part)

    def stand_ins(self) -> Iterator[StandIn]:
        """This node."""
        yield self

    def __str__(self) -> str:
        return f"{self.name}~{self.part}"


@dataclass(frozen=True)
class Stack(Composition):
    """Stages applied one after the other on every layer, the lowest first."""

    parts: tuple[Composition, ...]

    def stages(self) -> tuple[Composition, ...]:
        """The parts."""
        return self.parts

    def with_children(self, children: Sequence[Composition]) -> Composition:
        """A stack of other parts, and of the parts of stacks among them."""
        return Stack(tuple(stage for child in children for stage in child.stages()))

    def __str__(self) -> str:
        return "+".join(str(part) for part in self.parts)


@dataclass(frozen=True)
class Split(Composition):
    """Each token gets the module of its side: [CLS], query and first [SEP] the query's, the rest the document's."""

    function = "split"
    query: Composition
    document: Composition


@dataclass(frozen=True)
class Both(Composition):
    """The sum of two sparse masks (LM^both); one mask on both sides counts once, except in reference mode."""

    function = "both"
    query: Composition
    document: Composition


def as_composition(value: Composition | Module | str) -> Composition:
    """A module as a composition of one leaf; a name as a leaf to resolve, an expression parsed; a composition as it is.

    Raises:
        XlrankError: the value is none of these.
    """
    if isinstance(value, Module):
        return Leaf(value.name, value)
    if isinstance(value, str):
        from xlrank.composition.parser import parse

        if value == Plain.name:
            return Plain()
        return parse(value) if set(value) & set("(),+") else Leaf(value)
    if isinstance(value, Composition):
        return value
    raise XlrankError(f"composition: expected a module or a composition, got {type(value).__name__}")
