"""Compositions: which module applies to which tokens, as data, as text, and applied to a base."""

from xlrank.composition.expression import Composition, Leaf, Split, Stack, as_composition, split
from xlrank.composition.parser import parse

__all__ = ["Composition", "Leaf", "Split", "Stack", "as_composition", "parse", "split"]
