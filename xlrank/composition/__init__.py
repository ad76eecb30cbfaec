"""Compositions: which module applies to which tokens, as data, as text, and applied to a base."""

from xlrank.composition.expression import Composition, Leaf, Split, Stack, as_composition
from xlrank.composition.functions import (
    WithoutInvertible,
    average,
    both,
    drop,
    late,
    scale,
    split,
    subtract,
    without_invertible,
)
from xlrank.composition.parser import parse

__all__ = [
    "Composition",
    "Leaf",
    "Split",
    "Stack",
    "WithoutInvertible",
    "as_composition",
    "average",
    "both",
    "drop",
    "late",
    "parse",
    "scale",
    "split",
    "subtract",
    "without_invertible",
]
