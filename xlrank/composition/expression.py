"""The algebra of compositions as plain data: which modules apply to which tokens, and in what mixture.

``split(ky,en)+rank`` reads: on every layer first a language module, ``ky`` for the tokens of the query's side and ``en`` for
those of the document's, then the module ``rank`` for all tokens. Compositions are frozen, hashable, and print as they parse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from xlrank.errors import XlrankError
from xlrank.modules import Module

Resolver = Callable[[str], "Composition"]
"""From a leaf's name to a leaf with its module, or to a :class:`StandIn`."""


@dataclass(frozen=True)
class Composition:
    """Base of all nodes; ``+`` stacks, the left operand below the right one."""

    def __add__(self, other: Composition | Module | str) -> Composition:
        return Stack((*self.stages(), *as_composition(other).stages()))

    def stages(self) -> tuple[Composition, ...]:
        """The stacked parts, the lowest first."""
        return (self,)

    def children(self) -> tuple[Composition, ...]:
        """The nodes that this one is made of."""
        return ()

    def with_children(self, children: tuple[Composition, ...]) -> Composition:
        """The same node over other children."""
        raise XlrankError(f"composition: {self} has no parts")

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
        return self.with_children(tuple(child.resolve(resolver) for child in self.children()))


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

    def with_children(self, children: tuple[Composition, ...]) -> Composition:
        """This node, which has none."""
        return self

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Late(Plain):
    """Late interaction without a ranking module: each side encoded alone, compared by the vectors as they are."""

    name: str = "late()"


@dataclass(frozen=True)
class StandIn(Composition):
    """What is used because ``name`` has no module, printed as ``ug~ky`` or ``ug~average(ky,tr)``."""

    name: str
    part: Composition

    def children(self) -> tuple[Composition, ...]:
        """What stands in."""
        return (self.part,)

    def with_children(self, children: tuple[Composition, ...]) -> Composition:
        """Something else in the same place."""
        return StandIn(self.name, children[0])

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

    def children(self) -> tuple[Composition, ...]:
        """The parts."""
        return self.parts

    def with_children(self, children: tuple[Composition, ...]) -> Composition:
        """A stack of other parts."""
        return Stack(tuple(stage for child in children for stage in child.stages()))

    def __str__(self) -> str:
        return "+".join(str(part) for part in self.parts)


@dataclass(frozen=True)
class _Pair(Composition):
    query: Composition
    document: Composition

    def children(self) -> tuple[Composition, ...]:
        """The query's side, then the document's."""
        return self.query, self.document

    def with_children(self, children: tuple[Composition, ...]) -> Composition:
        """The same node over other sides."""
        return type(self)(*children)


@dataclass(frozen=True)
class Split(_Pair):
    """Each token gets the module of its side: [CLS], query and first [SEP] the query's, the rest the document's."""

    def __str__(self) -> str:
        return f"split({self.query},{self.document})"


@dataclass(frozen=True)
class Both(_Pair):
    """The sum of two sparse masks (LM^both); one mask on both sides counts once, except in reference mode."""

    def __str__(self) -> str:
        return f"both({self.query},{self.document})"


@dataclass(frozen=True)
class Average(Composition):
    """The mean of modules of one kind: of the weights of adapters, of the differences that masks and LoRAs make."""

    parts: tuple[Composition, ...]

    def children(self) -> tuple[Composition, ...]:
        """The parts."""
        return self.parts

    def with_children(self, children: tuple[Composition, ...]) -> Composition:
        """The mean of other parts."""
        return Average(children)

    def __str__(self) -> str:
        return f"average({','.join(str(part) for part in self.parts)})"


@dataclass(frozen=True)
class Subtract(Composition):
    """The differences that one mask or LoRA makes less those of another (task arithmetic)."""

    part: Composition
    less: Composition

    def children(self) -> tuple[Composition, ...]:
        """The minuend, then the subtrahend."""
        return self.part, self.less

    def with_children(self, children: tuple[Composition, ...]) -> Composition:
        """The same of others."""
        return Subtract(*children)

    def __str__(self) -> str:
        return f"subtract({self.part},{self.less})"


@dataclass(frozen=True)
class _Changed(Composition):
    part: Composition

    def children(self) -> tuple[Composition, ...]:
        """The one part."""
        return (self.part,)

    def with_children(self, children: tuple[Composition, ...]) -> Composition:
        """The same change to another part."""
        return replace(self, part=children[0])


@dataclass(frozen=True)
class Scale(_Changed):
    """A module's effect times a factor."""

    factor: float

    def __str__(self) -> str:
        # All digits, as two factors must never print alike; without a plus sign, which would stack.
        return f"scale({self.part},{repr(float(self.factor)).removesuffix('.0').replace('e+', 'e')})"


@dataclass(frozen=True)
class WithoutInvertible(_Changed):
    """A language adapter without its invertible block (the paper's -INV)."""

    def __str__(self) -> str:
        return f"noinv({self.part})"


@dataclass(frozen=True)
class Drop(_Changed):
    """A module that is left out of some layers, numbered from 0 (AdapterDrop; Rücklé et al., EMNLP 2021)."""

    layers: tuple[int, ...]

    def __str__(self) -> str:
        return f"drop({self.part},{','.join(map(str, self.layers))})"


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


Part = Module | Composition | str


def split(*, query: Part, document: Part) -> Composition:
    """Compose two language modules so that each token gets its own side's (paper, section 3.3, LA^Split).

    Args:
        query: module or name for [CLS], the query's tokens and the first [SEP].
        document: module or name for the document's tokens and the last [SEP].
    """
    return Split(as_composition(query), as_composition(document))


def both(*, query: Part, document: Part) -> Composition:
    """Add the masks of both sides' languages (paper, section 3.3, LM^both)."""
    return Both(as_composition(query), as_composition(document))


def average(*parts: Part) -> Composition:
    """The mean of modules of one kind."""
    return Average(tuple(as_composition(part) for part in parts))


def scale(part: Part, factor: float) -> Composition:
    """A module's effect times ``factor``."""
    return Scale(as_composition(part), factor)


def subtract(part: Part, less: Part) -> Composition:
    """The differences of one mask or LoRA less those of another."""
    return Subtract(as_composition(part), as_composition(less))


def late() -> Composition:
    """Late interaction by the encoder's own vectors, where no ranking module says how query and document meet."""
    return Late()


def without_invertible(part: Part) -> Composition:
    """A language adapter without its invertible block."""
    return WithoutInvertible(as_composition(part))


def drop(part: Part, *layers: int) -> Composition:
    """A module left out of the given layers, numbered from 0."""
    return Drop(as_composition(part), layers)
